#!/usr/bin/env python3
"""Make a PDF from Markdown, with the fonts that every PDF reader has."""

from __future__ import annotations

import argparse
import re
import sys
import zlib
from pathlib import Path

PLAIN = (
    278,
    278,
    355,
    556,
    556,
    889,
    667,
    191,
    333,
    333,
    389,
    584,
    278,
    333,
    278,
    278,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    278,
    278,
    584,
    584,
    584,
    556,
    1015,
    667,
    667,
    722,
    722,
    667,
    611,
    778,
    722,
    278,
    500,
    667,
    556,
    833,
    722,
    778,
    667,
    778,
    722,
    667,
    611,
    722,
    667,
    944,
    667,
    667,
    611,
    278,
    278,
    278,
    469,
    556,
    333,
    556,
    556,
    500,
    556,
    556,
    278,
    556,
    556,
    222,
    222,
    500,
    222,
    833,
    556,
    556,
    556,
    556,
    333,
    500,
    278,
    556,
    500,
    722,
    500,
    500,
    500,
    334,
    260,
    334,
    584,
)
BOLD = (
    278,
    333,
    474,
    556,
    556,
    889,
    722,
    238,
    333,
    333,
    389,
    584,
    278,
    333,
    278,
    278,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    556,
    333,
    333,
    584,
    584,
    584,
    611,
    975,
    722,
    722,
    722,
    722,
    667,
    611,
    778,
    722,
    278,
    556,
    722,
    611,
    833,
    722,
    778,
    667,
    778,
    722,
    667,
    611,
    722,
    667,
    944,
    667,
    667,
    611,
    333,
    278,
    333,
    584,
    556,
    333,
    556,
    611,
    556,
    611,
    556,
    333,
    611,
    611,
    278,
    278,
    556,
    278,
    889,
    611,
    611,
    611,
    611,
    389,
    556,
    333,
    611,
    556,
    778,
    556,
    556,
    500,
    389,
    280,
    389,
    584,
)
SIZES = {1: 20, 2: 16, 3: 13.5, 4: 12, 5: 11, 6: 11}
PAPER = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}
MARGIN = 64
ITEM = re.compile(r"(?P<indent> *)(?P<mark>[-*+]|\d+[.)]) +(?P<text>.*)")


class Encoder:
    """Text to the fonts' letters (Windows-1252); remembers what they lack."""

    def __init__(self):
        self.missing = set()

    def __call__(self, text):
        made = []
        for char in text:
            try:
                made.append(char.encode("cp1252"))
            except UnicodeEncodeError:
                self.missing.add(char)
                made.append(b"?")
        return b"".join(made)


def width(text, font, size):
    """How wide a text is, in points."""
    if font == "F3":
        return len(text) * 0.6 * size
    table = BOLD if font == "F2" else PLAIN
    # Letters with accents are about as wide as those without.
    return (
        sum(
            table[ord(char) - 32]
            if 32 <= ord(char) < 127
            else 600
            if char in "\u2014\u2026\u2122"
            else 556
            for char in text
        )
        * size
        / 1000
    )


def words(text, font="F1"):
    """(font, word) pairs; a word keeps the blank before it."""
    pieces = re.split(r"(\*\*.+?\*\*|`[^`]+`)", text)
    for piece in pieces:
        kind = font
        if len(piece) > 4 and piece.startswith("**") and piece.endswith("**"):
            piece, kind = piece[2:-2], "F2"
        elif len(piece) > 2 and piece.startswith("`") and piece.endswith("`"):
            piece, kind = piece[1:-1], "F3"
        else:
            piece = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r"\1 (\2)", piece)
            piece = re.sub(r"(?<!\w)\*(\S[^*]*?)\*(?!\w)", r"\1", piece)
        for word in re.findall(r"\s*\S+|\s+$", piece):
            yield kind, word


def wrap(text, room, size, font="F1"):
    """Lines of (font, text) pieces that fit."""
    lines, line, used = [], [], 0.0
    for kind, word in words(text, font):
        while True:
            shown = word if line else word.lstrip()
            wide = width(shown, kind, size)
            if used + wide <= room or (not line and len(shown) < 2):
                break
            if line and word[:1].isspace():
                lines.append(line)
                line, used = [], 0.0
                continue
            if line:
                lines.append(line)
                line, used = [], 0.0
                continue
            cut = len(shown)
            while cut > 1 and width(shown[:cut], kind, size) > room:
                cut -= 1
            lines.append([(kind, shown[:cut])])
            word = shown[cut:]
        if shown:
            line.append((kind, shown))
            used += wide
    return [*lines, line] if line else lines


class Pages:
    """Pages, filled from top to bottom."""

    def __init__(self, paper, size, numbers):
        self.wide, self.high = PAPER[paper]
        self.size, self.numbers, self.encode = size, numbers, Encoder()
        self.pages, self.y = [], 0.0
        self.new()

    @property
    def room(self):
        """The width between the margins."""
        return self.wide - 2 * MARGIN

    def new(self):
        """Begin a page."""
        self.pages.append([])
        self.y = self.high - MARGIN

    def need(self, height):
        """Begin a page if this does not fit on the present one."""
        if self.y - height < MARGIN and self.pages[-1]:
            self.new()

    def put(self, x, y, pieces, size, color="0.1"):
        """Write pieces of text from a point."""
        made = [f"BT {color} g {x:.2f} {y:.2f} Td".encode()]
        for font, text in pieces:
            data = self.encode(text)
            data = data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
            made.append(f"/{font} {size:g} Tf (".encode() + data + b") Tj")
        self.pages[-1].append(b" ".join([*made, b"ET"]))

    def box(self, x, y, wide, high, shade=None):
        """A rectangle, filled or with a thin line."""
        paint = (
            f"{shade} g {x:.2f} {y:.2f} {wide:.2f} {high:.2f} re f"
            if shade
            else (f"0.6 G 0.5 w {x:.2f} {y:.2f} {wide:.2f} {high:.2f} re S")
        )
        self.pages[-1].append(paint.encode())

    def text(self, text, size=None, font="F1", indent=0.0, mark=None, after=6.0):
        """A paragraph."""
        size = size or self.size
        step = size * 1.35
        for number, line in enumerate(wrap(text, self.room - indent, size, font)):
            self.need(step)
            self.y -= step
            if mark and not number:
                gap = max(14.0, width(mark, "F1", size) + 4)
                self.put(MARGIN + indent - gap, self.y, [("F1", mark)], size)
            self.put(MARGIN + indent, self.y, line, size)
        self.y -= after

    def code(self, lines):
        """Lines as they are, cut into what fits."""
        size = self.size - 1.5
        most = int((self.room - 12) / (0.6 * size))
        parts = [line[at : at + most] for line in lines for at in range(0, max(len(line), 1), most)]
        for part in parts:
            self.need(size * 1.35)
            self.y -= size * 1.35
            self.box(MARGIN, self.y - size * 0.35, self.room, size * 1.4, "0.94")
            self.put(MARGIN + 6, self.y, [("F3", part)], size)
        self.y -= 8

    def table(self, rows):
        """A table; columns share the width by what they hold."""
        columns = max(len(row) for row in rows)
        rows = [row + [""] * (columns - len(row)) for row in rows]
        size = self.size - 1
        natural = [
            min(max(width(row[n], "F2", size) for row in rows) + 12, 240) for n in range(columns)
        ]
        scale = self.room / sum(natural)
        widths = [each * min(scale, 1.6) for each in natural]
        for index, row in enumerate(rows):
            font = "F1" if index else "F2"
            cells = [wrap(text, widths[n] - 10, size, font) for n, text in enumerate(row)]
            step = size * 1.3
            high = max(len(lines) for lines in cells) * step + 6
            high = max(high, step + 6)
            self.need(high)
            x = MARGIN
            for n, lines in enumerate(cells):
                if not index:
                    self.box(x, self.y - high, widths[n], high, "0.88")
                self.box(x, self.y - high, widths[n], high)
                for number, line in enumerate(lines):
                    self.put(x + 5, self.y - 1 - step * (number + 1), line, size)
                x += widths[n]
            self.y -= high
        self.y -= 10

    def rule(self):
        """A line across."""
        self.need(14)
        self.y -= 8
        self.pages[-1].append(
            f"0.6 G 0.5 w {MARGIN} {self.y:.2f} m {self.wide - MARGIN} {self.y:.2f} l S".encode()
        )
        self.y -= 6

    def write(self, path, title):
        """Write the file."""
        count = len(self.pages)
        objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
        for name in ("Helvetica", "Helvetica-Bold", "Courier"):
            objects.append(
                f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding "
                "/WinAnsiEncoding >>".encode()
            )
        data = title.encode("utf-16-be").hex()
        objects.append(f"<< /Title <feff{data}> /Producer (create.py) >>".encode())
        info = len(objects)
        kids = []
        for number, page in enumerate(self.pages, start=1):
            if self.numbers:
                label = f"{number} / {count}"
                self.pages.append(page)  # `put` writes on the last page
                self.put(
                    (self.wide - width(label, "F1", 9)) / 2, MARGIN / 2, [("F1", label)], 9, "0.4"
                )
                self.pages.pop()
            body = zlib.compress(b"\n".join(page))
            objects.append(
                f"<< /Length {len(body)} /Filter /FlateDecode >>\nstream\n".encode()
                + body
                + b"\nendstream"
            )
            objects.append(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {self.wide:g} "
                f"{self.high:g}] /Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >>"
                f" >> /Contents {len(objects)} 0 R >>".encode()
            )
            kids.append(f"{len(objects)} 0 R")
        objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {count} >>".encode()
        made, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
        for number, body in enumerate(objects, start=1):
            places.append(len(made))
            made += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
        start = len(made)
        made += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
        made += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
        made += (
            f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {info} 0 R >>\nstartxref\n"
            f"{start}\n%%EOF\n"
        ).encode()
        Path(path).write_bytes(bytes(made))


def row_cells(line):
    """The cells of a table's line."""
    bare = line.strip().strip("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", bare)]


def convert(text, pages):
    """Read Markdown, block by block."""
    lines, at, waiting = text.expandtabs(4).splitlines(), 0, []

    def flush():
        if waiting:
            pages.text(" ".join(waiting))
            waiting.clear()

    while at < len(lines):
        line = lines[at]
        at += 1
        heading = re.match(r"(#{1,6}) +(.*?)(?: +#+)?$", line)
        item = ITEM.match(line)
        if line.startswith("```"):
            flush()
            body = []
            while at < len(lines) and not lines[at].startswith("```"):
                body.append(lines[at])
                at += 1
            at += 1
            pages.code(body)
        elif heading:
            flush()
            size = SIZES[len(heading[1])]
            pages.need(size * 4)
            pages.y -= size * 0.4
            pages.text(heading[2].replace("**", ""), size, "F2")
        elif line.strip() == "<!-- pagebreak -->":
            flush()
            pages.new()
        elif re.fullmatch(r" {0,3}(-{3,}|\*{3,}|_{3,})\s*", line):
            flush()
            pages.rule()
        elif item:
            flush()
            text = item["text"]
            while (
                at < len(lines)
                and lines[at].startswith("  ")
                and lines[at].strip()
                and not ITEM.match(lines[at])
            ):
                text += " " + lines[at].strip()
                at += 1
            mark = item["mark"] if item["mark"][0].isdigit() else "\u2022"
            pages.text(text, indent=20.0 + 9 * len(item["indent"]), mark=mark, after=3.0)
        elif "|" in line and at < len(lines) and re.fullmatch(r"[ |:-]*-[ |:-]*", lines[at]):
            flush()
            rows = [row_cells(line)]
            at += 1
            while at < len(lines) and "|" in lines[at]:
                rows.append(row_cells(lines[at]))
                at += 1
            pages.table(rows)
        elif line.startswith(">"):
            flush()
            pages.text(line[1:].strip(), indent=18.0)
        elif line.strip():
            waiting.append(line.strip())
        else:
            flush()
    flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="Markdown file, or - for stdin")
    parser.add_argument("target", help="the .pdf file to write")
    parser.add_argument("--title", default="")
    parser.add_argument("--paper", choices=sorted(PAPER), default="a4")
    parser.add_argument("--size", type=float, default=10.5, help="of letters, in points")
    parser.add_argument("--page-numbers", action="store_true")
    given = parser.parse_args()
    try:
        text = sys.stdin.read() if given.source == "-" else Path(given.source).read_text("utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"{given.source}: {error}")
    pages = Pages(given.paper, given.size, given.page_numbers)
    convert(text, pages)
    pages.write(given.target, given.title)
    print(f"wrote {given.target}: {len(pages.pages)} pages")
    if pages.encode.missing:
        print(
            "warning: shown as `?`, because the fonts lack them: "
            + " ".join(sorted(pages.encode.missing)),
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
