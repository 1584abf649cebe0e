"""The document skills' scripts, run as an agent runs them, held to other people's libraries."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from pypdf import PdfReader, PdfWriter

import freehold.skills
from freehold.skills import frontmatter
from freehold.skills.prebuilt import NAMES

DOCUMENTS = Path(freehold.skills.__file__).parent / "documents"
MARKDOWN = """# Report <1>

Some **bold** and *slanted* words, `code` & a [link](https://e.org/?a=1&b=2).

- one
  - two
1. first

| A | B |
| --- | --- |
| x \\| y | **z** |

```
raw  text
```

Dear {{name}}, **hel**lo.
"""


def run(skill: str, script: str, *args: str, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", DOCUMENTS / skill / "scripts" / script, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_a_skill_names_is_there(name: str) -> None:
    folder = DOCUMENTS / name
    said = frontmatter.parse((folder / "SKILL.md").read_bytes())
    assert said.name == name
    named: set[str] = set()
    for page in folder.rglob("*.md"):
        named |= set(re.findall(r"\b((?:scripts|reference)/\w+\.\w+)", page.read_text()))
    assert named
    for path in named:
        assert (folder / path).is_file(), path
    for script in (folder / "scripts").glob("*.py"):
        assert (script.stat().st_mode & 0o111 != 0) == script.read_text().startswith("#!")


class TestXlsx:
    BOOK: dict[str, Any] = {  # noqa: RUF012
        "sheets": [
            {
                "name": "Costs & more",
                "columns": [
                    {"header": "Item", "width": 24},
                    {"header": "Cost", "format": "money"},
                    {"header": "Paid", "format": "date"},
                ],
                "rows": [["Rent <1>", 1200, "2026-01-03"], ["Power", 85.5, "2026-01-09"]],
                "total": ["Total", "=SUM(B2:B3)"],
                "filter": True,
            },
            {"name": "Two", "rows": [["='Costs & more'!B4", True, {"value": "=x", "text": True}]]},
        ],
        "names": {"rate": "Two!$A$1"},
    }

    def test_create(self, tmp_path: Path) -> None:
        (tmp_path / "b.json").write_text(json.dumps(self.BOOK))
        run("xlsx", "create.py", "b.json", "b.xlsx", cwd=tmp_path)
        book = openpyxl.load_workbook(tmp_path / "b.xlsx")
        sheet = book["Costs & more"]
        assert [[cell.value for cell in row] for row in sheet] == [
            ["Item", "Cost", "Paid"],
            ["Rent <1>", 1200, datetime(2026, 1, 3)],  # noqa: DTZ001
            ["Power", 85.5, datetime(2026, 1, 9)],  # noqa: DTZ001
            ["Total", "=SUM(B2:B3)", None],
        ]
        assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:C3")
        assert sheet["B2"].number_format == "#,##0.00"
        assert sheet["A4"].font.b
        assert [cell.data_type for cell in book["Two"][1]] == ["f", "b", "s"]
        assert "rate" in book.defined_names

    def test_read_what_another_program_wrote(self, tmp_path: Path) -> None:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["a|b", datetime(2026, 2, 3, 4, 5), 0.5, None, "=A1+1"])  # noqa: DTZ001
        book.save(tmp_path / "o.xlsx")
        assert "A1:E1, 4 cells, 1 formulas" in run("xlsx", "read.py", "o.xlsx", cwd=tmp_path)
        table = run("xlsx", "read.py", "o.xlsx", "--sheet", "1", "--formulas", cwd=tmp_path)
        assert "| 1 | a\\|b | 2026-02-03T04:05:00 | 0.5 |  | =A1+1 |" in table
        part = ("--range", "B1:C1", "--format", "csv")
        assert run("xlsx", "read.py", "o.xlsx", "--sheet", "1", *part, cwd=tmp_path) == (
            "2026-02-03T04:05:00,0.5\n"
        )

    def test_check_finds_mistakes(self, tmp_path: Path) -> None:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["#REF!", "=Missing!A1", "12"])
        book.save(tmp_path / "o.xlsx")
        said = run("xlsx", "check.py", "o.xlsx", cwd=tmp_path, code=1)
        assert "error: Sheet!A1: shows #REF!" in said
        assert "error: Sheet!B1: refers to a sheet that is not there: 'Missing'" in said
        assert "note: Sheet!C1: a number kept as text" in said

    def test_csv_is_data_and_never_a_formula(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("n,day,text\n1,2026-01-02,=cmd()\n2.5,2026-01-03,007\n")
        run("xlsx", "create.py", "d.csv", "d.xlsx", cwd=tmp_path)
        sheet = openpyxl.load_workbook(tmp_path / "d.xlsx")["d"]
        assert [cell.value for cell in sheet[2]] == [1, datetime(2026, 1, 2), "=cmd()"]  # noqa: DTZ001
        assert sheet["C2"].data_type == "s"
        assert sheet["C3"].value == "007"


class TestDocx:
    def test_create_and_read(self, tmp_path: Path) -> None:
        (tmp_path / "t.md").write_text(MARKDOWN)
        run("docx", "create.py", "t.md", "t.docx", "--page-numbers", "--title", "T", cwd=tmp_path)
        document = docx.Document(str(tmp_path / "t.docx"))
        found = [(each.style.name, each.text) for each in document.paragraphs if each.style]
        assert ("Heading 1", "Report <1>") in found
        assert ("Normal", "Some bold and slanted words, code & a link.") in found
        bold = [run.text for each in document.paragraphs for run in each.runs if run.bold]
        assert bold == ["bold", "hel"]
        assert [[cell.text for cell in row.cells] for row in document.tables[0].rows] == [
            ["A", "B"],
            ["x | y", "z"],
        ]
        assert document.core_properties.title == "T"
        said = run("docx", "read.py", "t.docx", cwd=tmp_path)
        for line in ("# Report <1>", "  - two", "1. first", "| x \\| y | **z** |"):
            assert line in said.splitlines()
        assert "[link](https://e.org/?a=1&b=2)" in said

    def test_replace_across_formats(self, tmp_path: Path) -> None:
        document = docx.Document()
        paragraph = document.add_paragraph("Dear na")
        paragraph.add_run("me").bold = True
        document.sections[0].header.paragraphs[0].text = "for name"
        document.save(str(tmp_path / "o.docx"))
        changes = json.dumps({"name": "Ann & Bob"})
        said = run("docx", "replace.py", "o.docx", "n.docx", changes, cwd=tmp_path)
        assert said == "2 x 'name'\n"
        changed = docx.Document(str(tmp_path / "n.docx"))
        assert changed.paragraphs[0].text == "Dear Ann & Bob"
        assert changed.sections[0].header.paragraphs[0].text == "for Ann & Bob"
        run("docx", "replace.py", "o.docx", "n.docx", '{"absent": ""}', cwd=tmp_path, code=1)


def png(wide: int, high: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = zlib.compress((b"\0" + b"\xff\0\0" * wide) * high)
    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


class TestPptx:
    def test_create_and_read(self, tmp_path: Path) -> None:
        (tmp_path / "p.png").write_bytes(png(4, 2))
        slides = [
            {"layout": "title", "title": "Spring <review>", "subtitle": "Team"},
            {"title": "Doubled", "bullets": ["North", ["two"], "South & East"]},
            {"title": "Ways", "columns": [{"heading": "Grow", "bullets": ["hire"]}, {}]},
            {"title": "Numbers", "table": [["R", "25"], ["N", 10], ["S", None]]},
            {"title": "Picture", "image": "p.png"},
        ]
        (tmp_path / "s.json").write_text(json.dumps({"slides": slides}))
        run("pptx", "create.py", "s.json", "s.pptx", cwd=tmp_path)
        deck = pptx.Presentation(str(tmp_path / "s.pptx"))
        titles = [slide.shapes.title.text for slide in deck.slides]
        assert titles == ["Spring <review>", "Doubled", "Ways", "Numbers", "Picture"]
        levels = [
            (each.text, each.level) for each in deck.slides[1].placeholders[1].text_frame.paragraphs
        ]
        assert levels == [("North", 0), ("two", 1), ("South & East", 0)]
        table = deck.slides[3].shapes[1].table
        assert [[cell.text for cell in row.cells] for row in table.rows][1] == ["N", "10"]
        picture = deck.slides[4].shapes[1]
        assert picture.width == 2 * picture.height
        added = deck.slides.add_slide(deck.slide_layouts[2])
        added.shapes.title.text = "Added"
        added.notes_slide.notes_text_frame.text = "Say why."
        deck.save(str(tmp_path / "t.pptx"))
        said = run("pptx", "read.py", "t.pptx", cwd=tmp_path)
        for line in ("## Slide 2: Doubled", "  - two", "| N | 10 |", "## Slide 6: Added"):
            assert line in said.splitlines()
        assert "Notes: Say why." in said


class TestPdf:
    def test_create(self, tmp_path: Path) -> None:
        long = "\n\n".join(f"Paragraph {n}: Zürich (in \\ 1) " + "word " * 30 for n in range(60))
        (tmp_path / "t.md").write_text(MARKDOWN + "\n" + long + "\n\n日\n")
        said = run(
            "pdf", "create.py", "t.md", "t.pdf", "--page-numbers", "--title", "Tïtle", cwd=tmp_path
        )
        assert "fonts lack them: 日" in said
        reader = PdfReader(tmp_path / "t.pdf", strict=True)
        assert reader.metadata is not None
        assert reader.metadata.title == "Tïtle"
        text = "\n".join(page.extract_text() for page in reader.pages)
        assert len(reader.pages) > 3
        for part in ("Report <1>", "Zürich (in \\ 1)", "x | y", "Paragraph 59", "1 / "):
            assert part in text

    def test_pages(self, tmp_path: Path) -> None:
        (tmp_path / "t.md").write_text("one\n\n<!-- pagebreak -->\n\ntwo\n")
        run("pdf", "create.py", "t.md", "a.pdf", cwd=tmp_path)
        run("pdf", "pdf.py", "merge", "m.pdf", "a.pdf", "a.pdf", cwd=tmp_path)
        run("pdf", "pdf.py", "pages", "m.pdf", "p.pdf", "--pages", "2-3", cwd=tmp_path)
        run("pdf", "pdf.py", "rotate", "p.pdf", "r.pdf", "90", "--pages", "2", cwd=tmp_path)
        run("pdf", "pdf.py", "encrypt", "r.pdf", "e.pdf", "--password", "x", cwd=tmp_path)
        assert "give --password" in run("pdf", "pdf.py", "text", "e.pdf", cwd=tmp_path, code=1)
        said = run("pdf", "pdf.py", "text", "e.pdf", "--password", "x", cwd=tmp_path)
        assert said.split() == ["---", "page", "1", "---", "two", "---", "page", "2", "---", "one"]
        assert [page.rotation for page in PdfReader(tmp_path / "r.pdf").pages] == [0, 90]
        said = run("pdf", "pdf.py", "pages", "m.pdf", "x.pdf", "--pages", "9", cwd=tmp_path, code=1)
        assert "is not within 1-4" in said

    def test_fill(self, tmp_path: Path) -> None:
        form(tmp_path / "f.pdf")
        (tmp_path / "v.json").write_text('{"name": "Ann"}')
        assert "field 'name' (/Tx)" in run("pdf", "pdf.py", "info", "f.pdf", cwd=tmp_path)
        run("pdf", "pdf.py", "fill", "f.pdf", "g.pdf", "v.json", cwd=tmp_path)
        assert PdfReader(tmp_path / "g.pdf").get_form_text_fields() == {"name": "Ann"}
        (tmp_path / "v.json").write_text('{"other": "x"}')
        said = run("pdf", "pdf.py", "fill", "f.pdf", "g.pdf", "v.json", cwd=tmp_path, code=1)
        assert "no such fields: other; there are name" in said


def form(path: Path) -> None:
    """A page with one field for text."""
    from pypdf.generic import (
        ArrayObject,
        DictionaryObject,
        FloatObject,
        NameObject,
        TextStringObject,
    )

    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    field = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/FT"): NameObject("/Tx"),
            NameObject("/T"): TextStringObject("name"),
            NameObject("/DA"): TextStringObject("/Helv 10 Tf 0 g"),
            NameObject("/Rect"): ArrayObject([FloatObject(n) for n in (10, 10, 100, 30)]),
        }
    )
    reference = writer._add_object(field)
    page[NameObject("/Annots")] = ArrayObject([reference])
    writer._root_object[NameObject("/AcroForm")] = DictionaryObject(
        {NameObject("/Fields"): ArrayObject([reference])}
    )
    writer.write(path)
