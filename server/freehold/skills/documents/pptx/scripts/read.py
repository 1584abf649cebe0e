#!/usr/bin/env python3
"""Print the texts, tables and notes of a presentation, slide by slide."""

from __future__ import annotations

import argparse
import posixpath
import sys
import zipfile
from xml.etree import ElementTree

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


class Deck:
    """A presentation, opened for reading."""

    def __init__(self, path):
        try:
            self.archive = zipfile.ZipFile(path)
            listed = self.xml("ppt/presentation.xml").iter(f"{P}sldId")
            targets = {target: part for target, _, part in self.relations("ppt/presentation.xml")}
            self.slides = [targets[node.get(f"{R}id")] for node in listed]
        except (OSError, zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
            sys.exit(
                f"{path}: not a .pptx presentation ({error}); old .ppt files need "
                "LibreOffice: soffice --headless --convert-to pptx FILE"
            )

    def xml(self, part):
        """A part of the file, parsed."""
        return ElementTree.fromstring(self.archive.read(part))

    def relations(self, part):
        """(id, type, target) of what a part refers to."""
        folder, name = posixpath.split(part)
        place = f"{folder}/_rels/{name}.rels"
        if place not in self.archive.namelist():
            return []
        return [
            (
                node.get("Id"),
                node.get("Type").rpartition("/")[2],
                posixpath.normpath(posixpath.join(folder, node.get("Target"))).lstrip("/")
                if not node.get("Target").startswith("/")
                else node.get("Target")[1:],
            )
            for node in self.xml(place)
        ]


def text_of(paragraph):
    """The text of a paragraph."""
    pieces = []
    for node in paragraph.iter():
        if node.tag == f"{A}t":
            pieces.append(node.text or "")
        elif node.tag == f"{A}br":
            pieces.append("\n")
    return "".join(pieces)


def lines_of(shape):
    """The lines of a shape, deeper ones indented."""
    for paragraph in shape.iter(f"{A}p"):
        text = text_of(paragraph)
        if text.strip():
            formats = paragraph.find(f"{A}pPr")
            level = 0 if formats is None else int(formats.get("lvl", 0))
            yield "  " * level + text


def show(deck, number, part):
    """One slide."""
    root = deck.xml(part)
    hidden = " (hidden)" if root.get("show") == "0" else ""
    blocks = []
    title = ""
    for shape in root.iter():
        if shape.tag == f"{P}sp":
            place = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
            kind = "" if place is None else place.get("type", "body")
            lines = list(lines_of(shape))
            if kind in ("title", "ctrTitle") and lines and not title:
                title = " ".join(line.strip() for line in lines)
            elif lines and kind not in ("sldNum", "dt", "ftr"):
                blocks.append(
                    "\n".join(
                        line
                        if kind == "subTitle"
                        else line[: len(line) - len(line.lstrip())] + "- " + line.lstrip()
                        for line in lines
                    )
                )
        elif shape.tag == f"{A}tbl":
            rows = [
                [
                    " ".join(text_of(p) for p in cell.iter(f"{A}p")).replace("|", "\\|")
                    for cell in row.findall(f"{A}tc")
                ]
                for row in shape.findall(f"{A}tr")
            ]
            if rows:
                texts = ["| " + " | ".join(row) + " |" for row in rows]
                blocks.append("\n".join([texts[0], "|" + " --- |" * len(rows[0]), *texts[1:]]))
        elif shape.tag == f"{P}pic":
            named = shape.find(f"{P}nvPicPr/{P}cNvPr")
            blocks.append(f"[picture: {named.get('descr') or named.get('name')}]")
    relations = deck.relations(part)
    blocks += [f"[chart: {target}]" for _, kind, target in relations if kind == "chart"]
    print(f"## Slide {number}{hidden}: {title}".rstrip(": "))
    for block in blocks:
        print(f"\n{block}")
    for _, kind, target in relations:
        if kind == "notesSlide":
            notes = [
                line
                for shape in deck.xml(target).iter(f"{P}sp")
                if shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph[@type='body']") is not None
                for line in lines_of(shape)
            ]
            if notes:
                print("\nNotes: " + "\n".join(notes))
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--slide", type=int, help="only this one, from 1")
    given = parser.parse_args()
    deck = Deck(given.file)
    if given.slide is not None and not 1 <= given.slide <= len(deck.slides):
        sys.exit(f"there are {len(deck.slides)} slides")
    for number, part in enumerate(deck.slides, start=1):
        if given.slide in (None, number):
            show(deck, number, part)


if __name__ == "__main__":
    main()
