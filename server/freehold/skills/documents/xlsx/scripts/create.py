#!/usr/bin/env python3
"""Make a workbook from a JSON description (reference/create.md) or from a CSV file."""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workbook import column_letters

FORMATS = {
    "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm",
    "percent": "0.0%",
    "money": "#,##0.00",
    "integer": "#,##0",
}
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?")


class Styles:
    """Cell formats, each written once."""

    def __init__(self):
        self.fonts = ['<font><sz val="11"/><name val="Calibri"/></font>']
        self.fills = [
            '<fill><patternFill patternType="none"/></fill>',
            '<fill><patternFill patternType="gray125"/></fill>',
        ]
        self.borders = ["<border><left/><right/><top/><bottom/><diagonal/></border>"]
        self.formats = []
        self.cells = ['<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>']

    @staticmethod
    def _index(items, item):
        if item not in items:
            items.append(item)
        return items.index(item)

    def get(
        self,
        number_format=None,
        bold=False,
        fill=None,
        color=None,
        top=False,
        wrap=False,
        align=None,
    ):
        """The number of a cell format."""
        font = "<font>" + ("<b/>" if bold else "") + '<sz val="11"/>'
        font += (f'<color rgb="FF{rgb(color)}"/>' if color else "") + '<name val="Calibri"/></font>'
        font_id = self._index(self.fonts, font)
        fill_id = 0
        if fill:
            fill_id = self._index(
                self.fills,
                '<fill><patternFill patternType="solid">'
                f'<fgColor rgb="FF{rgb(fill)}"/></patternFill></fill>',
            )
        border_id = 0
        if top:
            border_id = self._index(
                self.borders,
                '<border><left/><right/><top style="thin"/><bottom/><diagonal/></border>',
            )
        format_id = 0
        if number_format:
            code = FORMATS.get(number_format, number_format)
            format_id = 164 + self._index(self.formats, code)
        inner = ""
        if wrap or align:
            inner = "<alignment" + (f" horizontal={quoteattr(align)}" if align else "")
            inner += ' wrapText="1" vertical="top"/>' if wrap else "/>"
        cell = (
            f'<xf numFmtId="{format_id}" fontId="{font_id}" fillId="{fill_id}" '
            f'borderId="{border_id}" xfId="0" applyNumberFormat="1" applyFont="1" '
            f'applyFill="1" applyBorder="1" applyAlignment="1">{inner}</xf>'
        )
        return self._index(self.cells, cell)

    def xml(self):
        """styles.xml."""
        formats = "".join(
            f'<numFmt numFmtId="{164 + index}" formatCode={quoteattr(code)}/>'
            for index, code in enumerate(self.formats)
        )
        parts = [HEAD, f'<styleSheet xmlns="{MAIN}">']
        if formats:
            parts.append(f'<numFmts count="{len(self.formats)}">{formats}</numFmts>')
        for tag, items in (("fonts", self.fonts), ("fills", self.fills), ("borders", self.borders)):
            parts.append(f'<{tag} count="{len(items)}">{"".join(items)}</{tag}>')
        parts.append(
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
            "</cellStyleXfs>"
        )
        parts.append(f'<cellXfs count="{len(self.cells)}">{"".join(self.cells)}</cellXfs>')
        parts.append(
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/>'
            "</cellStyles></styleSheet>"
        )
        return "".join(parts)


def rgb(color):
    """Six hexadecimal digits."""
    text = str(color).lstrip("#").upper()
    if not re.fullmatch(r"[0-9A-F]{6}", text):
        sys.exit(f"{color!r} is not a color such as FFF2CC")
    return text


def serial(text):
    """The number Excel has for an ISO date or time, or None."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.replace(tzinfo=None)
    delta = moment - datetime(1899, 12, 30)
    return delta.days + delta.seconds / 86400


def cell_xml(place, value, style, is_text):
    """One <c> element."""
    start = f'<c r="{place}" s="{style}"'
    if value is None:
        return start + "/>"
    if isinstance(value, bool):
        return f'{start} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            sys.exit(f"{place}: {value} is not a number that a cell can hold")
        return f"{start}><v>{value!r}</v></c>"
    text = CONTROL.sub("", str(value))
    if text.startswith("=") and len(text) > 1 and not is_text:
        return f"{start}><f>{escape(text[1:])}</f></c>"
    if len(text) > 32767:
        sys.exit(f"{place}: a cell holds at most 32,767 characters, this has {len(text)}")
    return f'{start} t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


class Sheet:
    """One worksheet, from its description."""

    def __init__(self, described, styles):
        self.described, self.styles = described, styles
        self.columns = described.get("columns") or []
        self.header = any(column.get("header") is not None for column in self.columns)
        self.lines, self.widths = [], {}

    def row(self, values, **common):
        """Add a row."""
        number = len(self.lines) + 1
        cells = []
        for index, given in enumerate(values):
            own = given if isinstance(given, dict) else {"value": given}
            column = self.columns[index] if index < len(self.columns) else {}
            value = own.get("value")
            number_format = own.get("format") or (
                None if common.get("fill") else column.get("format")
            )
            if number_format in ("date", "datetime") and isinstance(value, str):
                moment = serial(value)
                value = value if moment is None else moment
            looks = {
                key: own[key] for key in ("bold", "fill", "color", "wrap", "align") if key in own
            }
            style = self.styles.get(number_format, **{**common, **looks})
            place = f"{column_letters(index + 1)}{number}"
            cells.append(cell_xml(place, value, style, own.get("text", False)))
            self._measure(index, value, number_format)
        self.lines.append(f'<row r="{number}">{"".join(cells)}</row>')

    def _measure(self, index, value, number_format):
        length = (
            12
            if isinstance(value, str) and value.startswith("=")
            else max(
                (len(line) for line in str("" if value is None else value).splitlines()), default=0
            )
        )
        if number_format:
            length = max(length + 2, 11)
        self.widths[index] = max(self.widths.get(index, 8), min(length + 2, 60))

    def xml(self):
        """sheetN.xml."""
        described = self.described
        if self.header:
            self.row(
                [column.get("header") for column in self.columns],
                bold=True,
                fill="D9E1F2",
                wrap=True,
            )
        for values in described.get("rows", ()):
            self.row(values)
        last = len(self.lines)
        if described.get("total"):
            self.row(described["total"], bold=True, top=True)
        count = max(len(self.widths), len(self.columns), 1)
        parts = [HEAD, f'<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0">']
        parts.append(freeze(described.get("freeze", "A2" if self.header else None)))
        parts.append("</sheetView></sheetViews><cols>")
        for index in range(count):
            column = self.columns[index] if index < len(self.columns) else {}
            width = column.get("width") or self.widths.get(index, 8)
            parts.append(
                f'<col min="{index + 1}" max="{index + 1}" width="{float(width)}" customWidth="1"/>'
            )
        parts.append(f"</cols><sheetData>{''.join(self.lines)}</sheetData>")
        if described.get("filter") and self.header and last:
            parts.append(f'<autoFilter ref="A1:{column_letters(count)}{last}"/>')
        if described.get("merge"):
            merged = "".join(f"<mergeCell ref={quoteattr(each)}/>" for each in described["merge"])
            parts.append(f'<mergeCells count="{len(described["merge"])}">{merged}</mergeCells>')
        parts.append("</worksheet>")
        return "".join(parts)


def freeze(place):
    """The <pane> that keeps what is above and left of a cell in sight."""
    match = re.fullmatch(r"([A-Z]{1,3})([0-9]+)", place or "")
    if match is None:
        if place:
            sys.exit(f"freeze: {place!r} is not a cell such as A2")
        return ""
    columns = 0
    for letter in match[1]:
        columns = columns * 26 + ord(letter) - 64
    columns, rows = columns - 1, int(match[2]) - 1
    if not rows and not columns:
        return ""
    pane = "bottomRight" if rows and columns else "bottomLeft" if rows else "topRight"
    split = (f' xSplit="{columns}"' if columns else "") + (f' ySplit="{rows}"' if rows else "")
    return f'<pane{split} topLeftCell="{place}" activePane="{pane}" state="frozen"/>'


def check_name(name, taken):
    """What Excel asks of the names of sheets."""
    bad = not name or len(name) > 31 or re.search(r"[\[\]:*?/\\]", name)
    if bad or name.startswith("'") or name.endswith("'"):
        sys.exit(
            f"sheet name {name!r}: 1 to 31 characters, none of [ ] : * ? / \\, no ' at its ends"
        )
    if name.lower() in taken:
        sys.exit(f"sheet name {name!r} occurs twice")
    taken.add(name.lower())


def write(described, target):
    """Write the workbook."""
    sheets = described.get("sheets") or []
    if not sheets:
        sys.exit("the description has no sheets")
    styles, taken, bodies = Styles(), set(), []
    for number, sheet in enumerate(sheets, start=1):
        sheet.setdefault("name", f"Sheet{number}")
        check_name(sheet["name"], taken)
        bodies.append(Sheet(sheet, styles).xml())
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{TYPES}.worksheet+xml"/>'
        for n in numbers
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    listed = "".join(
        f'<sheet name={quoteattr(sheet["name"])} sheetId="{n}" r:id="rId{n}"/>'
        for n, sheet in zip(numbers, sheets)
    )
    names = "".join(
        f"<definedName name={quoteattr(name)}>{escape(ref)}</definedName>"
        for name, ref in (described.get("names") or {}).items()
    )
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006'
        '/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{TYPES}.styles+xml"/>{overrides}</Types>',
        "_rels/.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}'
        "</sheets>"
        + (f"<definedNames>{names}</definedNames>" if names else "")
        + '<calcPr calcId="191029" fullCalcOnLoad="1"/></workbook>',
        "xl/_rels/workbook.xml.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}">{relations}'
        f'<Relationship Id="rId{len(sheets) + 1}" Type="{OFFICE}/styles" Target="styles.xml"/>'
        "</Relationships>",
        "xl/styles.xml": styles.xml(),
    }
    for number, body in zip(numbers, bodies):
        parts[f"xl/worksheets/sheet{number}.xml"] = body
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)


def from_csv(path, delimiter):
    """A description of a CSV file: its first row are the headers."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        sample = stream.read(65536)
        stream.seek(0)
        if delimiter is None:
            try:
                delimiter = csv.Sniffer().sniff(sample, ",;\t|").delimiter
            except csv.Error:
                delimiter = ","
        rows = list(csv.reader(stream, delimiter=delimiter))
    if not rows:
        sys.exit(f"{path}: empty")
    headers, body = rows[0], rows[1:]
    columns = [{"header": header} for header in headers]
    for index, column in enumerate(columns):
        filled = [row[index] for row in body if index < len(row) and row[index]]
        if filled and all(is_date(value) for value in filled):
            column["format"] = "date"
    return {
        "sheets": [
            {
                "name": re.sub(r"[\[\]:*?/\\']", "_", Path(path).stem)[:31],
                "columns": columns,
                "rows": [[typed(value) for value in row] for row in body],
                "filter": True,
            }
        ]
    }


def is_date(text):
    """Whether a text is a date like 2026-01-03."""
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def typed(text):
    """Numbers as numbers; what looks like a formula stays text, because it is data."""
    if text == "":
        return None
    if NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return {"value": text, "text": True}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="description.json, data.csv, or - for JSON from stdin")
    parser.add_argument("target", help="the .xlsx file to write")
    parser.add_argument("--delimiter", help="of the CSV file (default: found out)")
    given = parser.parse_args()
    if given.source.lower().endswith((".csv", ".tsv")):
        described = from_csv(given.source, given.delimiter)
    else:
        try:
            text = (
                sys.stdin.read() if given.source == "-" else Path(given.source).read_text("utf-8")
            )
            described = json.loads(text)
        except (OSError, ValueError) as error:
            sys.exit(f"{given.source}: {error}")
    write(described, given.target)
    print(f"wrote {given.target}: {len(described['sheets'])} sheets")


if __name__ == "__main__":
    main()
