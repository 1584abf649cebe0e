#!/usr/bin/env python3
"""Make a Word document from Markdown."""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
INLINE = re.compile(
    r"(?P<code>`[^`]+`)|(?P<bold>\*\*(?=\S).+?(?<=\S)\*\*(?!\*))|(?P<italic>\*(?=\S)[^*]+?(?<=\S)\*)"
    r"|\[(?P<text>[^\]]+)\]\((?P<url>[^)\s]+)\)"
)
ITEM = re.compile(r"(?P<indent> *)(?:(?P<bullet>[-*+])|(?P<number>\d+)[.)]) +(?P<text>.*)")
SIZES = {1: 32, 2: 26, 3: 24, 4: 22, 5: 22, 6: 22}


class Writer:
    """The body of a document, grown block by block."""

    def __init__(self):
        self.blocks, self.links, self.lists = [], [], 0

    def runs(self, text, formats=""):
        """Runs of a text with Markdown's inline marks."""
        made, at = [], 0
        for match in INLINE.finditer(text):
            made.append(run(text[at : match.start()], formats))
            at = match.end()
            if match["code"]:
                made.append(run(match["code"][1:-1], formats + CODE))
            elif match["bold"]:
                made.append(self.runs(match["bold"][2:-2], formats + "<w:b/>"))
            elif match["italic"]:
                made.append(self.runs(match["italic"][1:-1], formats + "<w:i/>"))
            else:
                self.links.append(match["url"])
                inner = run(
                    match["text"], formats + '<w:color w:val="0563C1"/><w:u w:val="single"/>'
                )
                made.append(f'<w:hyperlink r:id="link{len(self.links)}">{inner}</w:hyperlink>')
        return "".join([*made, run(text[at:], formats)])

    def paragraph(self, text, style=None, extra=""):
        """Add a paragraph."""
        formats = (f'<w:pStyle w:val="{style}"/>' if style else "") + extra
        self.blocks.append(f"<w:p><w:pPr>{formats}</w:pPr>{self.runs(text)}</w:p>")

    def item(self, text, level, numbered, number):
        """Add an item of a list."""
        self.paragraph(
            text,
            "ListParagraph",
            f'<w:numPr><w:ilvl w:val="{min(level, 8)}"/>'
            f'<w:numId w:val="{number if numbered else 1}"/></w:numPr>',
        )

    def code(self, lines):
        """Add lines as they are."""
        body = "<w:r><w:br/></w:r>".join(run(line, CODE) for line in lines)
        self.blocks.append('<w:p><w:pPr><w:pStyle w:val="Code"/></w:pPr>' + body + "</w:p>")

    def table(self, rows):
        """Add a table; the first row is its head."""
        width = max(len(row) for row in rows)
        grid = f'<w:gridCol w:w="{9000 // width}"/>' * width
        made = []
        for index, row in enumerate(rows):
            cells = []
            for text in row + [""] * (width - len(row)):
                shade = '<w:shd w:val="clear" w:color="auto" w:fill="D9E1F2"/>' if not index else ""
                cells.append(
                    f'<w:tc><w:tcPr><w:tcW w:w="{9000 // width}" w:type="dxa"/>{shade}'
                    f"</w:tcPr><w:p>{self.runs(text, '' if index else '<w:b/>')}</w:p>"
                    "</w:tc>"
                )
            head = "" if index else "<w:trPr><w:tblHeader/></w:trPr>"
            made.append(f"<w:tr>{head}{''.join(cells)}</w:tr>")
        self.blocks.append(
            '<w:tbl><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="0" '
            f'w:type="auto"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>'
            f"{''.join(made)}</w:tbl><w:p/>"
        )


CODE = '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/>'


def run(text, formats=""):
    """A run of one format."""
    text = CONTROL.sub("", text)
    if not text:
        return ""
    # Word reads these in one order only.
    order = ("rFonts", "b/", "i/", "color", "u ")
    tags = sorted(
        set(re.findall(r"<w:[^>]+/>", formats)),
        key=lambda tag: next(n for n, each in enumerate(order) if f"w:{each}" in tag),
    )
    inner = f"<w:rPr>{''.join(tags)}</w:rPr>" if tags else ""
    return f'<w:r>{inner}<w:t xml:space="preserve">{escape(text)}</w:t></w:r>'


def row_cells(line):
    """The cells of a table's line."""
    bare = line.strip().strip("|") if not line.strip().endswith("\\|") else line.strip().lstrip("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", bare)]


def convert(text, writer):
    """Read Markdown, block by block."""
    lines, at, waiting = text.expandtabs(4).splitlines(), 0, []
    number = None

    def flush():
        if waiting:
            writer.paragraph(" ".join(waiting))
            waiting.clear()

    while at < len(lines):
        line = lines[at]
        at += 1
        heading = re.match(r"(#{1,6}) +(.*?)(?: +#+)?$", line)
        item = ITEM.match(line)
        if item is None and line.strip():
            number = None
        if line.startswith("```"):
            flush()
            body = []
            while at < len(lines) and not lines[at].startswith("```"):
                body.append(lines[at])
                at += 1
            at += 1
            writer.code(body)
        elif heading:
            flush()
            writer.paragraph(heading[2], f"Heading{len(heading[1])}")
        elif line.strip() == "<!-- pagebreak -->":
            flush()
            writer.blocks.append('<w:p><w:r><w:br w:type="page"/></w:r></w:p>')
        elif re.fullmatch(r" {0,3}(-{3,}|\*{3,}|_{3,})\s*", line):
            flush()
            writer.paragraph(
                "",
                extra='<w:pBdr><w:bottom w:val="single" w:sz="6" w:space="1" '
                'w:color="auto"/></w:pBdr>',
            )
        elif item:
            flush()
            if item["number"] and number is None:
                writer.lists += 1
                number = writer.lists + 1
            text = item["text"]
            while (
                at < len(lines)
                and lines[at].startswith("  ")
                and lines[at].strip()
                and not ITEM.match(lines[at])
            ):
                text += " " + lines[at].strip()
                at += 1
            writer.item(text, len(item["indent"]) // 2, bool(item["number"]), number)
        elif "|" in line and at < len(lines) and re.fullmatch(r"[ |:-]*-[ |:-]*", lines[at]):
            flush()
            rows = [row_cells(line)]
            at += 1
            while at < len(lines) and "|" in lines[at]:
                rows.append(row_cells(lines[at]))
                at += 1
            writer.table(rows)
        elif line.startswith(">"):
            flush()
            quoted = [line[1:].strip()]
            while at < len(lines) and lines[at].startswith(">"):
                quoted.append(lines[at][1:].strip())
                at += 1
            writer.paragraph(" ".join(quoted), "Quote")
        elif line.strip():
            waiting.append(line.strip())
        else:
            flush()
    flush()


def styles(font, size):
    """styles.xml."""
    made = [
        HEAD,
        f'<w:styles xmlns:w="{MAIN}"><w:docDefaults><w:rPrDefault><w:rPr>'
        f"<w:rFonts w:ascii={quoteattr(font)} w:hAnsi={quoteattr(font)} "
        f'w:cs={quoteattr(font)}/><w:sz w:val="{int(size * 2)}"/></w:rPr></w:rPrDefault>'
        '<w:pPrDefault><w:pPr><w:spacing w:after="120" w:line="264" w:lineRule="auto"/></w:pPr>'
        "</w:pPrDefault></w:docDefaults>"
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
        '</w:style><w:style w:type="table" w:default="1" w:styleId="TableNormal">'
        '<w:name w:val="Normal Table"/></w:style>',
    ]
    for level, points in SIZES.items():
        made.append(
            f'<w:style w:type="paragraph" w:styleId="Heading{level}">'
            f'<w:name w:val="heading {level}"/><w:basedOn w:val="Normal"/>'
            '<w:next w:val="Normal"/><w:pPr><w:keepNext/><w:spacing w:before="240" '
            f'w:after="80"/><w:outlineLvl w:val="{level - 1}"/></w:pPr><w:rPr><w:b/>'
            f'<w:color w:val="1F3864"/><w:sz w:val="{points}"/></w:rPr></w:style>'
        )
    for style, name, paragraph, letters in (
        ("ListParagraph", "List Paragraph", '<w:spacing w:after="60"/><w:ind w:left="720"/>', ""),
        ("Quote", "Quote", '<w:ind w:left="567" w:right="567"/>', "<w:i/>"),
        ("Code", "Code", '<w:shd w:val="clear" w:color="auto" w:fill="F2F2F2"/>', CODE),
        ("Footer", "footer", '<w:jc w:val="center"/>', ""),
    ):
        made.append(
            f'<w:style w:type="paragraph" w:styleId="{style}"><w:name w:val="{name}"/>'
            f'<w:basedOn w:val="Normal"/><w:pPr>{paragraph}</w:pPr><w:rPr>{letters}</w:rPr>'
            "</w:style>"
        )
    edges = "".join(
        f'<w:{edge} w:val="single" w:sz="4" w:space="0" w:color="808080"/>'
        for edge in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    made.append(
        '<w:style w:type="table" w:styleId="TableGrid"><w:name w:val="Table Grid"/>'
        f'<w:basedOn w:val="TableNormal"/><w:tblPr><w:tblBorders>{edges}</w:tblBorders>'
        '<w:tblCellMar><w:left w:w="108" w:type="dxa"/><w:right w:w="108" w:type="dxa"/>'
        "</w:tblCellMar></w:tblPr></w:style></w:styles>"
    )
    return "".join(made)


def numbering(lists):
    """numbering.xml: list 1 has bullets, each other counts from one."""

    def levels(form, texts):
        return "".join(
            f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>'
            f'<w:lvlText w:val="{texts(n)}"/><w:lvlJc w:val="left"/><w:pPr><w:ind '
            f'w:left="{720 * (n + 1)}" w:hanging="360"/></w:pPr></w:lvl>'
            for n in range(9)
        )

    made = [
        HEAD,
        f'<w:numbering xmlns:w="{MAIN}"><w:abstractNum w:abstractNumId="0">',
        levels("bullet", lambda n: "\u2022" if n % 2 == 0 else "\u2013"),
        "</w:abstractNum>",
    ]
    made += [
        f'<w:abstractNum w:abstractNumId="{n}">'
        + levels("decimal", lambda m: f"%{m + 1}.")
        + "</w:abstractNum>"
        for n in range(1, lists + 1)
    ]
    made += [
        f'<w:num w:numId="{n + 1}"><w:abstractNumId w:val="{n}"/></w:num>' for n in range(lists + 1)
    ]
    return "".join([*made, "</w:numbering>"])


def write(writer, given):
    """Write the file."""
    wide, high = (16838, 11906) if given.landscape else (11906, 16838)
    footer = '<w:footerReference w:type="default" r:id="footer"/>' if given.page_numbers else ""
    orient = ' w:orient="landscape"' if given.landscape else ""
    section = (
        f'<w:sectPr>{footer}<w:pgSz w:w="{wide}" w:h="{high}"{orient}/><w:pgMar '
        'w:top="1417" w:right="1417" w:bottom="1134" w:left="1417" w:header="708" '
        'w:footer="708" w:gutter="0"/></w:sectPr>'
    )
    links = "".join(
        f'<Relationship Id="link{n}" Type="{OFFICE}/hyperlink" Target={quoteattr(url)} '
        'TargetMode="External"/>'
        for n, url in enumerate(writer.links, start=1)
    )
    part = '<Override PartName="/word/{0}.xml" ContentType="' + TYPE + '.{1}+xml"/>'
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        + part.format("document", "document.main")
        + part.format("styles", "styles")
        + part.format("numbering", "numbering")
        + (part.format("footer1", "footer") if given.page_numbers else "")
        + '<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-'
        'package.core-properties+xml"/></Types>',
        "_rels/.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships"><Relationship '
        f'Id="rId1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/><Relationship '
        f'Id="rId2" Type="{PACKAGE}/relationships/metadata/core-properties" '
        'Target="docProps/core.xml"/></Relationships>',
        "word/document.xml": f'{HEAD}<w:document xmlns:w="{MAIN}" xmlns:r="{OFFICE}"><w:body>'
        f"{''.join(writer.blocks)}{section}</w:body></w:document>",
        "word/_rels/document.xml.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="styles" Type="{OFFICE}/styles" Target="styles.xml"/><Relationship '
        f'Id="numbering" Type="{OFFICE}/numbering" Target="numbering.xml"/>{links}'
        + (
            f'<Relationship Id="footer" Type="{OFFICE}/footer" Target="footer1.xml"/>'
            if given.page_numbers
            else ""
        )
        + "</Relationships>",
        "word/styles.xml": styles(given.font, given.size),
        "word/numbering.xml": numbering(writer.lists),
        "docProps/core.xml": f'{HEAD}<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/'
        'core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>'
        f"{escape(given.title)}</dc:title><dc:creator>{escape(given.author)}</dc:creator>"
        "</cp:coreProperties>",
    }
    if given.page_numbers:
        parts["word/footer1.xml"] = (
            f'{HEAD}<w:ftr xmlns:w="{MAIN}"><w:p><w:pPr><w:pStyle '
            'w:val="Footer"/></w:pPr><w:fldSimple w:instr=" PAGE ">'
            "<w:r><w:t>1</w:t></w:r></w:fldSimple></w:p></w:ftr>"
        )
    with zipfile.ZipFile(given.target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="Markdown file, or - for stdin")
    parser.add_argument("target", help="the .docx file to write")
    parser.add_argument("--title", default="")
    parser.add_argument("--author", default="")
    parser.add_argument("--font", default="Calibri")
    parser.add_argument("--size", type=float, default=11)
    parser.add_argument("--landscape", action="store_true")
    parser.add_argument("--page-numbers", action="store_true")
    given = parser.parse_args()
    try:
        text = sys.stdin.read() if given.source == "-" else Path(given.source).read_text("utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"{given.source}: {error}")
    writer = Writer()
    convert(text, writer)
    write(writer, given)
    print(f"wrote {given.target}")


if __name__ == "__main__":
    main()
