#!/usr/bin/env python3
"""Read, take apart, put together and fill in PDF files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

try:
    from pypdf import PdfReader, PdfWriter
    from pypdf.errors import PyPdfError
except ImportError:
    sys.exit(
        "pypdf is not here: `pip install pypdf` gets it where the network allows; otherwise "
        "try pdftotext, pdfinfo, pdfunite, pdfseparate or qpdf"
    )


def opened(path, password):
    """A file, opened for reading."""
    reader = PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(password or ""):
        sys.exit(f"{path}: encrypted; give --password")
    return reader


def wanted(text, count):
    """The pages that 1,3-5 names, from 0."""
    if not text:
        return list(range(count))
    pages = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.strip().isdigit() or (last and not last.strip().isdigit()):
            sys.exit(f"--pages: {part!r} is not a page or a range such as 3-5")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= count:
            sys.exit(f"--pages: {part!r} is not within 1-{count}")
        pages += range(low - 1, high)
    return pages


def info(given):
    """What the file is."""
    reader = opened(given.source, given.password)
    count = len(reader.pages)
    print(f"pages: {count}")
    if count:
        box = reader.pages[0].mediabox
        print(f"size of page 1: {float(box.width):.0f} x {float(box.height):.0f} points")
    for name, value in (reader.metadata or {}).items():
        print(f"{name.lstrip('/').lower()}: {value}")
    letters = sum(len((page.extract_text() or "").strip()) for page in reader.pages[:5])
    print(f"text: {'yes' if letters else 'none on the first pages; probably scanned'}")
    for name, field in (reader.get_fields() or {}).items():
        states = field.get("/_States_")
        print(
            f"field {name!r} ({field.get('/FT', '?')}): {field.get('/V', '')!r}"
            + (f", one of {list(states)}" if states else "")
        )


def text(given):
    """The text, page by page."""
    reader = opened(given.source, given.password)
    for index in wanted(given.pages, len(reader.pages)):
        print(f"--- page {index + 1} ---")
        print(reader.pages[index].extract_text())


def saved(writer, target):
    """Write the result."""
    with open(target, "wb") as stream:
        writer.write(stream)
    print(f"wrote {target}: {len(writer.pages)} pages")


def merge(given):
    """Files one after the other."""
    writer = PdfWriter()
    for source in given.sources:
        writer.append(opened(source, given.password))
    saved(writer, given.target)


def pages(given):
    """Some pages, in the order given."""
    reader = opened(given.source, given.password)
    writer = PdfWriter()
    for index in wanted(given.pages, len(reader.pages)):
        writer.add_page(reader.pages[index])
    saved(writer, given.target)


def rotate(given):
    """All or some pages turned clockwise."""
    reader = opened(given.source, given.password)
    writer = PdfWriter(clone_from=reader)
    for index in wanted(given.pages, len(reader.pages)):
        writer.pages[index].rotate(given.angle)
    saved(writer, given.target)


def fill(given):
    """Fields of a form."""
    reader = opened(given.source, given.password)
    try:
        values = json.loads(Path(given.values).read_text("utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{given.values}: {error}")
    fields = reader.get_fields() or {}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        sys.exit(f"no such fields: {', '.join(unknown)}; there are {', '.join(fields) or 'none'}")
    writer = PdfWriter(clone_from=reader)
    for page in writer.pages:
        if "/Annots" in page:
            writer.update_page_form_field_values(page, values, auto_regenerate=False)
    writer.set_need_appearances_writer(True)
    saved(writer, given.target)


def encrypt(given):
    """A copy that asks for a password."""
    writer = PdfWriter(clone_from=opened(given.source, None))
    writer.encrypt(given.password, algorithm="AES-256")
    saved(writer, given.target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for run, arguments in (
        (info, ["source"]),
        (text, ["source"]),
        (merge, ["target", "sources"]),
        (pages, ["source", "target"]),
        (rotate, ["source", "target", "angle"]),
        (fill, ["source", "target", "values"]),
        (encrypt, ["source", "target"]),
    ):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        for name in arguments:
            if name == "sources":
                command.add_argument(name, nargs="+")
            elif name == "angle":
                command.add_argument(name, type=int, choices=(90, 180, 270))
            else:
                command.add_argument(name)
        command.add_argument("--password", required=run is encrypt)
        if run in (text, pages, rotate):
            command.add_argument("--pages", help="such as 1,3-5 (default: all)")
        command.set_defaults(run=run)
    given = parser.parse_args()
    try:
        given.run(given)
    except (OSError, PyPdfError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
