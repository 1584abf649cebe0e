#!/usr/bin/env python3
"""Make a presentation from a JSON description (create.md)."""

from __future__ import annotations

import argparse
import json
import re
import struct
import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.presentationml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
SPACES = f'xmlns:a="{A}" xmlns:r="{R}" xmlns:p="{P}"'
WIDE, HIGH = 12192000, 6858000
INCH = 914400
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
TITLE = (0.6, 0.4, 12.1, 1.1)
BODY = (0.6, 1.7, 12.1, 5.2)
GROUP = (
    '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr>'
    '<a:xfrm><a:off x="0" y="0"/><a:ext cx="0" cy="0"/><a:chOff x="0" y="0"/>'
    '<a:chExt cx="0" cy="0"/></a:xfrm></p:grpSpPr>'
)
LAYOUTS = {"title": "title", "section": "secHead", "body": "obj"}


def place(box, tag="a"):
    """The position of a shape, from inches."""
    left, top, width, height = (int(each * INCH) for each in box)
    return (
        f'<{tag}:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{width}" cy="{height}"/></{tag}:xfrm>'
    )


def paragraph(text, level=0, bold=False, plain=False):
    """One paragraph."""
    formats = f' lvl="{min(level, 8)}"' if level else ""
    inner = "<a:buNone/>" if plain else ""
    indent = ' marL="0" indent="0"' if plain else ""
    letters = '<a:rPr lang="en-US" b="1"/>' if bold else '<a:rPr lang="en-US"/>'
    return (
        f"<a:p><a:pPr{indent}{formats}>{inner}</a:pPr><a:r>{letters}"
        f"<a:t>{escape(CONTROL.sub('', str(text)))}</a:t></a:r></a:p>"
    )


def bullets(items, level=0):
    """Paragraphs of a list; a list within it is one level deeper."""
    return "".join(
        bullets(item, level + 1) if isinstance(item, list) else paragraph(item, level)
        for item in items
    )


class Slide:
    """One slide, grown shape by shape."""

    def __init__(self):
        self.shapes, self.images, self.number = [], [], 1

    def next_id(self):
        """A number that no other shape has."""
        self.number += 1
        return self.number

    def text(self, body, box, kind=None, index=None):
        """Add a placeholder, or a box of text."""
        number = self.next_id()
        holder = (
            f'<p:ph type="{kind}"' + (f' idx="{index}"' if index else "") + "/>" if kind else ""
        )
        if index and not kind:
            holder = f'<p:ph idx="{index}"/>'
        self.shapes.append(
            f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="Text {number}"/><p:cNvSpPr/><p:nvPr>'
            f"{holder}</p:nvPr></p:nvSpPr><p:spPr>{place(box)}"
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr><p:txBody><a:bodyPr>'
            f"<a:normAutofit/></a:bodyPr><a:lstStyle/>{body or '<a:p/>'}</p:txBody></p:sp>"
        )

    def table(self, rows, accent):
        """Add a table; its first row is the head."""
        columns = max(len(row) for row in rows)
        width, height = int(BODY[2] * INCH / columns), int(min(0.5, BODY[3] / len(rows)) * INCH)
        made = []
        for index, row in enumerate(rows):
            cells = []
            for value in [*row, *[""] * (columns - len(row))]:
                color = "FFFFFF" if not index else "262626"
                fill = accent if not index else ("F2F2F2" if index % 2 else "FFFFFF")
                right = ' algn="r"' if isinstance(value, (int, float)) and index else ""
                text = escape(CONTROL.sub("", "" if value is None else str(value)))
                cells.append(
                    f"<a:tc><a:txBody><a:bodyPr/><a:lstStyle/><a:p><a:pPr{right}/><a:r>"
                    f'<a:rPr lang="en-US" sz="1600" b="{int(not index)}"><a:solidFill><a:srgbClr '
                    f'val="{color}"/></a:solidFill></a:rPr><a:t>{text}</a:t></a:r></a:p></a:txBody>'
                    f'<a:tcPr><a:solidFill><a:srgbClr val="{fill}"/></a:solidFill></a:tcPr></a:tc>'
                )
            made.append(f'<a:tr h="{height}">{"".join(cells)}</a:tr>')
        number = self.next_id()
        box = (BODY[0], BODY[1], BODY[2], height * len(rows) / INCH)
        grid = f'<a:gridCol w="{width}"/>' * columns
        self.shapes.append(
            f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="{number}" name="Table {number}"/>'
            f"<p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>{place(box, 'p')}<a:graphic>"
            '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/table"><a:tbl>'
            f'<a:tblPr firstRow="1"/><a:tblGrid>{grid}</a:tblGrid>{"".join(made)}</a:tbl>'
            "</a:graphicData></a:graphic></p:graphicFrame>"
        )

    def image(self, data, suffix, title):
        """Add a picture, as large as fits."""
        wide, high = size_of(data)
        scale = min(BODY[2] / wide, BODY[3] / high)
        width, height = wide * scale, high * scale
        box = (BODY[0] + (BODY[2] - width) / 2, BODY[1], width, height)
        number = self.next_id()
        self.images.append((data, suffix))
        self.shapes.append(
            f'<p:pic><p:nvPicPr><p:cNvPr id="{number}" name="Picture {number}" '
            f"descr={quoteattr(title)}/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill>"
            f'<a:blip r:embed="image{len(self.images)}"/><a:stretch><a:fillRect/></a:stretch>'
            f"</p:blipFill><p:spPr>{place(box)}"
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr></p:pic>'
        )

    def xml(self):
        """slideN.xml."""
        return (
            f"{HEAD}<p:sld {SPACES}><p:cSld><p:spTree>{GROUP}{''.join(self.shapes)}</p:spTree>"
            "</p:cSld><p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sld>"
        )


def size_of(data):
    """Width and height of a PNG or JPEG."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return struct.unpack(">II", data[16:24])
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data):
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            high, wide = struct.unpack(">HH", data[at + 5 : at + 9])
            return wide, high
        at += 2 + length
    sys.exit("image: must be PNG or JPEG")


def lines_in(items):
    """How many lines a list takes, roughly."""
    return sum(
        lines_in(item) if isinstance(item, list) else 1 + len(str(item)) // 75 for item in items
    )


def build(number, described, accent, folder):
    """One slide and the layout that it uses."""
    slide, layout = Slide(), described.get("layout", "body")
    if layout not in LAYOUTS:
        sys.exit(f"slide {number}: layout {layout!r} is none of {', '.join(LAYOUTS)}")
    title = described.get("title", "")
    if layout != "body":
        slide.text(
            paragraph(title, plain=True),
            (1, 2.3, 11.3, 1.6),
            "ctrTitle" if layout == "title" else "title",
        )
        if described.get("subtitle"):
            slide.text(
                paragraph(described["subtitle"], plain=True),
                (1, 4.1, 11.3, 1),
                "subTitle" if layout == "title" else "body",
                1,
            )
        return slide, layout
    slide.text(paragraph(title, plain=True), TITLE, "title")
    full = 0
    if described.get("columns"):
        columns = described["columns"]
        width = (BODY[2] - 0.4 * (len(columns) - 1)) / len(columns)
        for index, column in enumerate(columns):
            heading = column.get("heading")
            body = paragraph(heading, bold=True, plain=True) if heading else ""
            body += bullets(column.get("bullets") or ())
            box = (BODY[0] + index * (width + 0.4), BODY[1], width, BODY[3])
            slide.text(body, box, None, index + 1)
            full = max(full, lines_in(column.get("bullets") or ()) * len(columns) / 2)
    elif described.get("table"):
        slide.table(described["table"], accent)
        full = len(described["table"]) - 4
    elif described.get("image"):
        path = Path(folder, described["image"])
        try:
            data = path.read_bytes()
        except OSError as error:
            sys.exit(f"slide {number}: {error}")
        slide.image(data, "png" if data[:1] == b"\x89" else "jpeg", title or path.name)
    elif described.get("text"):
        texts = described["text"] if isinstance(described["text"], list) else [described["text"]]
        slide.text("".join(paragraph(text, plain=True) for text in texts), BODY, None, 1)
        full = lines_in(texts)
    elif described.get("bullets"):
        slide.text(bullets(described["bullets"]), BODY, None, 1)
        full = lines_in(described["bullets"])
    if full > 9:
        print(f"warning: slide {number} is very full; split it", file=sys.stderr)
    return slide, layout


def levels(size, color, bullet):
    """The nine levels of a text style."""
    made = []
    for level in range(9):
        points = max(size - 200 * level, 1400) if bullet else size
        mark = '<a:buFont typeface="Arial"/><a:buChar char="&#8226;"/>' if bullet else "<a:buNone/>"
        indent = f' marL="{285750 * (level + 1)}" indent="-285750"' if bullet else ""
        made.append(
            f'<a:lvl{level + 1}pPr{indent}><a:spcBef><a:spcPts val="600"/></a:spcBef>{mark}'
            f'<a:defRPr sz="{points}"><a:solidFill>{color}</a:solidFill>'
            f'<a:latin typeface="+mn-lt"/></a:defRPr></a:lvl{level + 1}pPr>'
        )
    return "".join(made)


def master():
    """slideMaster1.xml."""
    ids = "".join(
        f'<p:sldLayoutId id="{2147483649 + n}" r:id="layout{n}"/>'
        for n in range(1, len(LAYOUTS) + 1)
    )
    holders = Slide()
    holders.text(paragraph("Title", plain=True), TITLE, "title")
    holders.text(paragraph("Text"), BODY, "body", 1)
    dark, accent = '<a:schemeClr val="tx1"/>', '<a:schemeClr val="accent1"/>'
    return (
        f'{HEAD}<p:sldMaster {SPACES}><p:cSld><p:bg><p:bgRef idx="1001"><a:schemeClr '
        f'val="bg1"/></p:bgRef></p:bg><p:spTree>{GROUP}{"".join(holders.shapes)}</p:spTree>'
        '</p:cSld><p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" '
        'accent2="accent2" accent3="accent3" accent4="accent4" accent5="accent5" '
        'accent6="accent6" hlink="hlink" folHlink="folHlink"/>'
        f"<p:sldLayoutIdLst>{ids}</p:sldLayoutIdLst><p:txStyles><p:titleStyle>"
        f"{levels(3200, accent, False)}</p:titleStyle><p:bodyStyle>{levels(2200, dark, True)}"
        f"</p:bodyStyle><p:otherStyle>{levels(1800, dark, False)}</p:otherStyle></p:txStyles>"
        "</p:sldMaster>"
    )


def layout_xml(name, kind):
    """slideLayoutN.xml."""
    holders = Slide()
    if name == "title":
        holders.text(paragraph("Title", plain=True), (1, 2.3, 11.3, 1.6), "ctrTitle")
        holders.text(paragraph("Subtitle", plain=True), (1, 4.1, 11.3, 1), "subTitle", 1)
    elif name == "section":
        holders.text(paragraph("Title", plain=True), (1, 2.3, 11.3, 1.6), "title")
        holders.text(paragraph("Text", plain=True), (1, 4.1, 11.3, 1), "body", 1)
    else:
        holders.text(paragraph("Title", plain=True), TITLE, "title")
        for index in (1, 2, 3):
            holders.text(paragraph("Text"), BODY, None, index)
    return (
        f'{HEAD}<p:sldLayout {SPACES} type="{kind}" preserve="1"><p:cSld name="{name}">'
        f"<p:spTree>{GROUP}{''.join(holders.shapes)}</p:spTree></p:cSld><p:clrMapOvr>"
        "<a:masterClrMapping/></p:clrMapOvr></p:sldLayout>"
    )


def theme(accent, font):
    """theme1.xml."""

    def color(name, value):
        return f'<a:{name}><a:srgbClr val="{value}"/></a:{name}>'

    colors = "".join(
        color(*each)
        for each in (
            ("dk1", "262626"),
            ("lt1", "FFFFFF"),
            ("dk2", "44546A"),
            ("lt2", "E7E6E6"),
            ("accent1", accent),
            ("accent2", "ED7D31"),
            ("accent3", "A5A5A5"),
            ("accent4", "FFC000"),
            ("accent5", "5B9BD5"),
            ("accent6", "70AD47"),
            ("hlink", "0563C1"),
            ("folHlink", "954F72"),
        )
    )
    face = f'<a:latin typeface={quoteattr(font)}/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    return (
        f'{HEAD}<a:theme xmlns:a="{A}" name="Plain"><a:themeElements><a:clrScheme name="Plain">'
        f'{colors}</a:clrScheme><a:fontScheme name="Plain"><a:majorFont>{face}</a:majorFont>'
        f'<a:minorFont>{face}</a:minorFont></a:fontScheme><a:fmtScheme name="Plain">'
        f"<a:fillStyleLst>{fill * 3}</a:fillStyleLst><a:lnStyleLst>"
        + f'<a:ln w="6350">{fill}</a:ln>' * 3
        + "</a:lnStyleLst><a:effectStyleLst>"
        + "<a:effectStyle><a:effectLst/></a:effectStyle>" * 3
        + f"</a:effectStyleLst><a:bgFillStyleLst>{fill * 3}</a:bgFillStyleLst></a:fmtScheme>"
        "</a:themeElements></a:theme>"
    )


def relations(*entries):
    """A .rels part from (id, type, target)."""
    made = "".join(
        f'<Relationship Id="{each}" Type="{R}/{kind}" Target="{target}"/>'
        for each, kind, target in entries
    )
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{made}</Relationships>'


def write(described, folder, target):
    """Write the presentation; how many slides it has."""
    look = described.get("theme") or {}
    accent = str(look.get("accent", "1F4E79")).lstrip("#").upper()
    if not re.fullmatch(r"[0-9A-F]{6}", accent):
        sys.exit(f"theme.accent: {accent!r} is not a color such as 1F4E79")
    slides = described.get("slides") or []
    if not slides:
        sys.exit("the description has no slides")
    names = list(LAYOUTS)
    parts, images = {}, 0
    overrides = [
        ("presentation.xml", "presentation.main"),
        ("slideMasters/slideMaster1.xml", "slideMaster"),
    ]
    for number, each in enumerate(slides, start=1):
        slide, layout = build(number, each, accent, folder)
        entries = [
            ("layout", "slideLayout", f"../slideLayouts/slideLayout{names.index(layout) + 1}.xml")
        ]
        for index, (data, suffix) in enumerate(slide.images, start=1):
            images += 1
            parts[f"ppt/media/image{images}.{suffix}"] = data
            entries.append((f"image{index}", "image", f"../media/image{images}.{suffix}"))
        parts[f"ppt/slides/slide{number}.xml"] = slide.xml()
        parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = relations(*entries)
        overrides.append((f"slides/slide{number}.xml", "slide"))
    for number, (name, kind) in enumerate(LAYOUTS.items(), start=1):
        parts[f"ppt/slideLayouts/slideLayout{number}.xml"] = layout_xml(name, kind)
        parts[f"ppt/slideLayouts/_rels/slideLayout{number}.xml.rels"] = relations(
            ("master", "slideMaster", "../slideMasters/slideMaster1.xml")
        )
        overrides.append((f"slideLayouts/slideLayout{number}.xml", "slideLayout"))
    parts["ppt/slideMasters/slideMaster1.xml"] = master()
    parts["ppt/slideMasters/_rels/slideMaster1.xml.rels"] = relations(
        *(
            (f"layout{n}", "slideLayout", f"../slideLayouts/slideLayout{n}.xml")
            for n in range(1, len(LAYOUTS) + 1)
        ),
        ("theme", "theme", "../theme/theme1.xml"),
    )
    parts["ppt/theme/theme1.xml"] = theme(accent, str(look.get("font", "Calibri")))
    listed = "".join(
        f'<p:sldId id="{255 + n}" r:id="slide{n}"/>' for n in range(1, len(slides) + 1)
    )
    parts["ppt/presentation.xml"] = (
        f'{HEAD}<p:presentation {SPACES}><p:sldMasterIdLst><p:sldMasterId id="2147483648" '
        f'r:id="master"/></p:sldMasterIdLst><p:sldIdLst>{listed}</p:sldIdLst><p:sldSz cx="{WIDE}" '
        f'cy="{HIGH}"/><p:notesSz cx="{HIGH}" cy="9144000"/></p:presentation>'
    )
    parts["ppt/_rels/presentation.xml.rels"] = relations(
        ("master", "slideMaster", "slideMasters/slideMaster1.xml"),
        ("theme", "theme", "theme/theme1.xml"),
        *((f"slide{n}", "slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1)),
    )
    parts["_rels/.rels"] = relations(("rId1", "officeDocument", "ppt/presentation.xml"))
    types = "".join(
        f'<Override PartName="/ppt/{name}" ContentType="{TYPE}.{kind}+xml"/>'
        for name, kind in overrides
    )
    parts["[Content_Types].xml"] = (
        f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/><Default '
        f'Extension="jpeg" ContentType="image/jpeg"/>{types}<Override '
        'PartName="/ppt/theme/theme1.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.theme+xml"/></Types>'
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(parts, key=lambda each: each != "[Content_Types].xml"):
            archive.writestr(name, parts[name])
    return len(slides)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="description.json, or - for stdin")
    parser.add_argument("target", help="the .pptx file to write")
    given = parser.parse_args()
    try:
        text = sys.stdin.read() if given.source == "-" else Path(given.source).read_text("utf-8")
        described = json.loads(text)
    except (OSError, ValueError) as error:
        sys.exit(f"{given.source}: {error}")
    folder = "." if given.source == "-" else Path(given.source).parent
    print(f"wrote {given.target}: {write(described, folder, given.target)} slides")


if __name__ == "__main__":
    main()
