#!/usr/bin/env python3
"""Look for mistakes in a workbook: error values, broken references, formulas without a value."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workbook import Workbook, column_letters

ERRORS = ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#N/A", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")
SHEET = re.compile(r"(?:'((?:[^']|'')+)'|([A-Za-z_][\w.]*))!")
TEXT = re.compile(r'"[^"]*"')
NUMBER = re.compile(r"-?[0-9][0-9.,]*%?")


def findings(book):
    """(severity, place, what) of each mistake."""
    names = {name for name, _, _ in book.sheets}
    for name, part, _ in book.sheets:
        for row, column, value, formula in book.cells(part):
            place = f"{name}!{column_letters(column)}{row}"
            if value in ERRORS:
                yield "error", place, f"shows {value}" + (f" from {formula}" if formula else "")
            if formula is None:
                if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
                    yield "note", place, f"a number kept as text: {value!r}"
                continue
            bare = TEXT.sub('""', formula)
            if "#REF!" in bare:
                yield "error", place, f"refers to cells that are gone: {formula}"
            for quoted, plain in SHEET.findall(bare):
                target = quoted.replace("''", "'") or plain
                if target not in names and "[" not in target:
                    yield "error", place, f"refers to a sheet that is not there: {target!r}"
            if bare.count("(") != bare.count(")"):
                yield "error", place, f"parentheses do not match: {formula}"
            if value is None:
                yield "note", place, "has no stored value yet (see recalculate.py)"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--limit", type=int, default=50, help="most findings to show (default 50)")
    given = parser.parse_args()
    found = list(findings(Workbook(given.file)))
    for severity, place, what in found[: given.limit]:
        print(f"{severity}: {place}: {what}")
    errors = sum(severity == "error" for severity, _, _ in found)
    print(f"{errors} errors, {len(found) - errors} notes")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
