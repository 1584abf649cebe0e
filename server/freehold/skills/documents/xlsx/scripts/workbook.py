"""What the other scripts share: reading the parts of a workbook with the standard library."""

from __future__ import annotations

import posixpath
import re
import sys
import zipfile
from datetime import datetime, timedelta
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
BUILTIN_DATES = {14, 15, 16, 17, 18, 19, 20, 21, 22, 45, 46, 47}
CELL = re.compile(r"([A-Z]{1,3})([0-9]+)")


def column_number(letters):
    """1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number):
    """The inverse of column_number."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


class Workbook:
    """An .xlsx or .xlsm file, opened for reading."""

    def __init__(self, path):
        try:
            self.archive = zipfile.ZipFile(path)
            self.parts = self.archive.namelist()
            book = self.xml("xl/workbook.xml")
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            sys.exit(
                f"{path}: not an .xlsx workbook ({error}); old .xls files need LibreOffice: "
                "soffice --headless --convert-to xlsx FILE"
            )
        targets = {
            node.get("Id"): posixpath.normpath(posixpath.join("xl", node.get("Target")))
            if not node.get("Target").startswith("/")
            else node.get("Target")[1:]
            for node in self.xml("xl/_rels/workbook.xml.rels")
        }
        properties = book.find(f"{MAIN}workbookPr")
        dated = properties is not None and properties.get("date1904") in ("1", "true")
        self.epoch = datetime(1904, 1, 1) if dated else datetime(1899, 12, 30)
        self.sheets = [
            (node.get("name"), targets[node.get(RELATION)], node.get("state", "visible"))
            for node in book.iter(f"{MAIN}sheet")
            if "worksheets/" in targets[node.get(RELATION)]
        ]
        self.names = {node.get("name"): node.text for node in book.iter(f"{MAIN}definedName")}
        self.strings = self._strings()
        self.date_styles = self._date_styles()

    def xml(self, part):
        """A part of the file, parsed."""
        return ElementTree.fromstring(self.archive.read(part))

    def cells(self, part):
        """(row, column, value, formula) of each cell that holds something, in order."""
        shared = {}
        with self.archive.open(part) as stream:
            row = 0
            for _, node in ElementTree.iterparse(stream):
                if node.tag != f"{MAIN}row":
                    continue
                row = int(node.get("r", row + 1))
                column = 0
                for cell in node.iter(f"{MAIN}c"):
                    place = CELL.fullmatch(cell.get("r", ""))
                    column = column_number(place[1]) if place else column + 1
                    value = self._value(cell)
                    formula = self._formula(cell, shared)
                    if value is not None or formula is not None:
                        yield row, column, value, formula
                node.clear()

    def _value(self, cell):
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(node.text or "" for node in cell.iter(f"{MAIN}t"))
        node = cell.find(f"{MAIN}v")
        if node is None or node.text is None:
            return None
        if kind == "s":
            return self.strings[int(node.text)]
        if kind == "b":
            return node.text == "1"
        if kind in ("str", "e", "d"):
            return node.text
        number = float(node.text)
        if int(cell.get("s", 0)) in self.date_styles:
            return self._moment(number)
        return int(number) if number.is_integer() and abs(number) < 1e15 else number

    def _moment(self, number):
        try:
            moment = self.epoch + timedelta(days=number)
        except OverflowError:
            return number
        moment = (moment + timedelta(microseconds=500)).replace(microsecond=0)
        if 0 <= number < 1:
            return moment.time().isoformat()
        return moment.date().isoformat() if number.is_integer() else moment.isoformat()

    @staticmethod
    def _formula(cell, shared):
        node = cell.find(f"{MAIN}f")
        if node is None:
            return None
        if node.get("t") == "shared":
            if node.text:
                shared[node.get("si")] = (node.text, cell.get("r"))
                return "=" + node.text
            text, origin = shared.get(node.get("si"), ("?", "?"))
            return f"={text} (as in {origin}, moved)"
        return "=" + (node.text or "")

    def _strings(self):
        if "xl/sharedStrings.xml" not in self.parts:
            return []
        return [
            "".join(
                node.text or ""
                for child in item
                if child.tag in (f"{MAIN}t", f"{MAIN}r")
                for node in ([child] if child.tag == f"{MAIN}t" else child.iter(f"{MAIN}t"))
            )
            for item in self.xml("xl/sharedStrings.xml").iter(f"{MAIN}si")
        ]

    def _date_styles(self):
        if "xl/styles.xml" not in self.parts:
            return set()
        styles = self.xml("xl/styles.xml")
        custom = set()
        for node in styles.iter(f"{MAIN}numFmt"):
            code = re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", node.get("formatCode", "")).lower()
            if re.search(r"[dyh]|mm|ss", code) and "general" not in code:
                custom.add(int(node.get("numFmtId")))
        formats = styles.find(f"{MAIN}cellXfs")
        dates = BUILTIN_DATES | custom
        return {
            index
            for index, node in enumerate([] if formats is None else formats)
            if int(node.get("numFmtId", 0)) in dates
        }
