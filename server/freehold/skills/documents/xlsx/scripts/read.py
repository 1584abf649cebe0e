#!/usr/bin/env python3
"""Show what is in a workbook: its sheets, or the cells of one as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workbook import CELL, Workbook, column_letters, column_number


def bounds(text):
    """(first row, first column, last row, last column) of a range such as B2:D9."""
    first, _, last = text.upper().replace("$", "").partition(":")
    places = [CELL.fullmatch(first), CELL.fullmatch(last or first)]
    if None in places:
        sys.exit(f"--range: {text!r} is not a range such as B2:D9")
    (left, top), (right, bottom) = ((place[1], place[2]) for place in places)
    return int(top), column_number(left), int(bottom), column_number(right)


def overview(book, parts):
    """One line a sheet, then defined names."""
    for name, part, state in book.sheets:
        rows = columns = filled = formulas = 0
        for row, column, _, formula in book.cells(part):
            rows, columns = max(rows, row), max(columns, column)
            filled += 1
            formulas += formula is not None
        extent = f"A1:{column_letters(columns)}{rows}" if filled else "empty"
        hidden = "" if state == "visible" else f", {state}"
        print(f"{name}: {extent}, {filled} cells, {formulas} formulas{hidden}")
    for name, target in book.names.items():
        print(f"name {name} = {target}")
    if parts:
        print("\n".join(["parts:", *sorted(book.parts)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--sheet", help="name or number (from 1) of the sheet to show")
    parser.add_argument("--range", help="only these cells, such as B2:D9")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument("--formulas", action="store_true", help="formulas instead of their values")
    parser.add_argument("--rows", type=int, default=200, help="most rows to show (default 200)")
    parser.add_argument("--parts", action="store_true", help="list the parts of the file too")
    given = parser.parse_args()
    book = Workbook(given.file)
    if given.sheet is None:
        overview(book, given.parts)
        return
    found = [sheet for sheet in book.sheets if sheet[0] == given.sheet]
    if not found and given.sheet.isdigit() and 1 <= int(given.sheet) <= len(book.sheets):
        found = [book.sheets[int(given.sheet) - 1]]
    if not found:
        names = ", ".join(repr(sheet[0]) for sheet in book.sheets)
        sys.exit(f"no sheet {given.sheet!r}; there are {names}")
    top, left, bottom, right = bounds(given.range) if given.range else (1, 1, 1048576, 16384)
    grid, cut = {}, False
    for row, column, value, formula in book.cells(found[0][1]):
        if not (top <= row <= bottom and left <= column <= right):
            continue
        if row not in grid and len(grid) >= given.rows:
            cut = True
            break
        shown = formula if given.formulas and formula is not None else value
        grid.setdefault(row, {})[column] = shown
    columns = [column for line in grid.values() for column in line]
    span = range(left if given.range else 1, (max(columns) if columns else 0) + 1)
    lines = [(row, [grid[row].get(column) for column in span]) for row in sorted(grid)]
    if given.format == "json":
        print(
            json.dumps(
                [{"row": row, "values": values} for row, values in lines],
                indent=1,
                ensure_ascii=False,
            )
        )
    elif given.format == "csv":
        csv.writer(sys.stdout).writerows(
            ["" if value is None else value for value in values] for _, values in lines
        )
    else:
        print("| row | " + " | ".join(column_letters(column) for column in span) + " |")
        print("| --- |" + " --- |" * len(span))
        for row, values in lines:
            texts = ["" if value is None else str(value) for value in values]
            cells = (text.replace("|", "\\|").replace("\n", " ") for text in texts)
            print(f"| {row} | " + " | ".join(cells) + " |")
    if cut:
        print(f"only the first {given.rows} rows are shown; use --range or --rows", file=sys.stderr)


if __name__ == "__main__":
    main()
