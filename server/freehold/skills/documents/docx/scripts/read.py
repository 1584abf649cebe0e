#!/usr/bin/env python3
"""Print a Word document as Markdown."""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from xml.etree import ElementTree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


class Reader:
    """A document, opened for reading."""

    def __init__(self, path):
        try:
            self.archive = zipfile.ZipFile(path)
            self.body = self.xml("word/document.xml").find(f"{W}body")
        except (OSError, zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
            sys.exit(
                f"{path}: not a .docx document ({error}); old .doc files need LibreOffice: "
                "soffice --headless --convert-to docx FILE"
            )
        self.links = {}
        if "word/_rels/document.xml.rels" in self.archive.namelist():
            for node in self.xml("word/_rels/document.xml.rels"):
                self.links[node.get("Id")] = node.get("Target")
        self.styles = self._styles()
        self.ordered = self._ordered()
        self.tracked = any(True for _ in self.body.iter(f"{W}ins")) or any(
            True for _ in self.body.iter(f"{W}del")
        )

    def xml(self, part):
        """A part of the file, parsed."""
        return ElementTree.fromstring(self.archive.read(part))

    def _styles(self):
        if "word/styles.xml" not in self.archive.namelist():
            return {}
        return {
            node.get(f"{W}styleId"): node.find(f"{W}name").get(f"{W}val", "")
            for node in self.xml("word/styles.xml").iter(f"{W}style")
            if node.find(f"{W}name") is not None
        }

    def _ordered(self):
        """(list, level) pairs that are numbered."""
        if "word/numbering.xml" not in self.archive.namelist():
            return set()
        root = self.xml("word/numbering.xml")
        kinds = {}
        for node in root.iter(f"{W}abstractNum"):
            for level in node.iter(f"{W}lvl"):
                form = level.find(f"{W}numFmt")
                kinds[node.get(f"{W}abstractNumId"), level.get(f"{W}ilvl")] = (
                    "bullet" if form is None else form.get(f"{W}val")
                )
        found = set()
        for node in root.iter(f"{W}num"):
            base = node.find(f"{W}abstractNumId").get(f"{W}val")
            found |= {
                (node.get(f"{W}numId"), level)
                for (owner, level), kind in kinds.items()
                if owner == base and kind not in ("bullet", "none")
            }
        return found

    def text(self, node):
        """The text below a node, with its formats."""
        pieces = []
        for child in node:
            tag = child.tag.rpartition("}")[2]
            if tag == "r":
                pieces.append(self._run(child))
            elif tag == "hyperlink":
                target = self.links.get(child.get(f"{R}id"))
                inner = self.text(child)
                pieces.append(f"[{inner}]({target})" if target else inner)
            elif tag not in ("del", "moveFrom", "pPr"):
                pieces.append(self.text(child))
        joined = "".join(pieces)
        return joined.replace("****", "").replace("``", "")

    def _run(self, run):
        pieces = []
        for child in run:
            if child.tag == f"{W}t":
                pieces.append(child.text or "")
            elif child.tag in (f"{W}tab", f"{W}ptab"):
                pieces.append("\t")
            elif child.tag in (f"{W}br", f"{W}cr"):
                pieces.append("\n")
            elif child.tag == f"{W}noBreakHyphen":
                pieces.append("-")
            elif child.tag in (f"{W}footnoteReference", f"{W}endnoteReference"):
                kind = "end-" if "endnote" in child.tag else ""
                pieces.append(f"[^{kind}{child.get(f'{W}id')}]")
            elif child.tag == f"{W}commentReference":
                pieces.append(f"[comment {child.get(f'{W}id')}]")
            elif child.tag in (f"{W}drawing", f"{W}pict"):
                pieces.append("[image]")
        text = "".join(pieces)
        formats = run.find(f"{W}rPr")
        if formats is None or not text.strip():
            return text
        for tag, mark in (("b", "**"), ("i", "*")):
            found = formats.find(f"{W}{tag}")
            if found is not None and found.get(f"{W}val") not in ("0", "false", "off"):
                core = text.strip()
                at = text.index(core)
                text = text[:at] + mark + core + mark + text[at + len(core) :]
        return text

    def paragraph(self, node):
        """A paragraph as a line of Markdown."""
        text = self.text(node)
        formats = node.find(f"{W}pPr")
        if formats is None:
            return text
        style = formats.find(f"{W}pStyle")
        name = "" if style is None else style.get(f"{W}val", "")
        name = self.styles.get(name, name)
        heading = re.fullmatch(r"heading ([1-9])", name.lower())
        if heading and text.strip():
            return "#" * int(heading[1]) + " " + text.replace("**", "")
        if name.lower() == "title" and text.strip():
            return "# " + text.replace("**", "")
        numbering = formats.find(f"{W}numPr")
        listed = name.lower().startswith("list")
        if (numbering is None and not listed) or not text.strip():
            return text
        level, number = "0", ""
        if numbering is not None:
            for child in numbering:
                if child.tag == f"{W}ilvl":
                    level = child.get(f"{W}val", "0")
                elif child.tag == f"{W}numId":
                    number = child.get(f"{W}val", "")
        numbered = (number, level) in self.ordered or (not number and "number" in name.lower())
        return "  " * int(level) + ("1. " if numbered else "- ") + text

    def table(self, node):
        """A table as Markdown; what spans columns is repeated as empty cells."""
        rows = []
        for row in node.findall(f"{W}tr"):
            cells = []
            for cell in row.iter(f"{W}tc"):
                parts = [self.text(each) for each in cell.iter(f"{W}p")]
                cells.append(
                    " ".join(part for part in parts if part).replace("|", "\\|").replace("\n", " ")
                )
                span = cell.find(f"{W}tcPr/{W}gridSpan")
                cells += [""] * (0 if span is None else int(span.get(f"{W}val")) - 1)
            rows.append(cells)
        width = max((len(row) for row in rows), default=0)
        rows = [row + [""] * (width - len(row)) for row in rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]])

    def blocks(self, node):
        """The blocks of a body, in order."""
        for child in node:
            if child.tag == f"{W}p":
                yield self.paragraph(child)
            elif child.tag == f"{W}tbl":
                yield self.table(child)
            elif child.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml"):
                yield from self.blocks(child)

    def notes(self):
        """Footnotes, endnotes and comments."""
        for part, tag, label in (
            ("footnotes", "footnote", "[^{}]:"),
            ("endnotes", "endnote", "[^end-{}]:"),
            ("comments", "comment", "[comment {}]"),
        ):
            if f"word/{part}.xml" not in self.archive.namelist():
                continue
            for node in self.xml(f"word/{part}.xml").iter(f"{W}{tag}"):
                text = " ".join(filter(None, (self.text(each) for each in node.iter(f"{W}p"))))
                if text.strip() and node.get(f"{W}type") is None:
                    author = node.get(f"{W}author")
                    yield (
                        label.format(node.get(f"{W}id"))
                        + (f" {author}:" if author else "")
                        + (" " + text.strip())
                    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    given = parser.parse_args()
    reader = Reader(given.file)
    if reader.tracked:
        print("the document has tracked changes; shown as if all were accepted", file=sys.stderr)
    blocks = [block for block in reader.blocks(reader.body) if block.strip()]
    notes = list(reader.notes())
    print("\n\n".join(blocks + (["\n".join(notes)] if notes else [])))


if __name__ == "__main__":
    main()
