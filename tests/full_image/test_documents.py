"""The document skills, used as an agent uses them in the full image: every script, every recipe
that their pages give, and the programs that they name. Other libraries judge what comes out."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from pypdf import PdfReader

import freehold.skills
from tests.full_image.conftest import DOCUMENTS

pytestmark = pytest.mark.docker

PAGES = Path(freehold.skills.__file__).parent / "documents"
SKILLS = "/workspace/skills"
BOOK: dict[str, Any] = {
    "sheets": [
        {
            "name": "Budget",
            "columns": [
                {"header": "Item", "width": 24},
                {"header": "Cost", "format": "money"},
                {"header": "Paid on", "format": "date"},
                {"header": "Share", "format": "0.0%"},
            ],
            "rows": [
                ["Rent", 1200, "2026-01-03", "=B2/B$4"],
                ["Power", 300, "2026-01-09", "=B3/B$4"],
            ],
            "total": ["Total", "=SUM(B2:B3)", None, "=SUM(D2:D3)"],
        }
    ]
}
TEXT = """# Yearly report

## Summary

Sales **doubled**, {{name}} says: Zürich and 東京.

| Region | Sold |
| --- | --- |
| North | 22 |

- one
  - two
"""
CHART = """python3 - <<'END'
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
pyplot.bar(["a", "b"], [1, 2])
pyplot.savefig("chart.png")
END"""


def recipe(page: str, language: str, containing: str) -> str:
    """The block of code in a page of a skill that has this in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text(), re.S)
    (found,) = [block for block in blocks if containing in block]
    return str(found)


def python(*parts: str) -> str:
    return "python3 - <<'END'\n" + "\n".join(parts) + "\nEND"


@pytest.fixture(autouse=True)
def folder(desk: Any, request: pytest.FixtureRequest) -> str:
    """A folder of the test's own, in which all commands run."""
    made = f"/workspace/{request.node.name}"
    desk.run(f"mkdir {made}")
    before = desk.tried
    request.addfinalizer(lambda: setattr(desk, "tried", before))
    desk.tried = lambda command: before(f"cd {made}\n{command}")
    return made


def script(skill: str, name: str, arguments: str) -> str:
    return f"python3 {SKILLS}/{skill}/scripts/{name} {arguments}"


def test_they_are_there_as_they_were_written(desk: Any) -> None:
    for skill in DOCUMENTS:
        for path in (PAGES / skill).rglob("*.md"):
            there = f"{SKILLS}/{skill}/{path.relative_to(PAGES / skill)}"
            assert desk.run(f"cat {there}") == path.read_text().strip()


class TestXlsx:
    def test_create_compute_check_and_read(self, desk: Any) -> None:
        desk.put("book.json", json.dumps(BOOK))
        desk.run(script("xlsx", "create.py", "book.json book.xlsx"))
        assert "0 errors, 4 notes" in desk.run(script("xlsx", "check.py", "book.xlsx"))
        desk.run(script("xlsx", "recalculate.py", "book.xlsx --output done.xlsx"))
        assert "0 errors, 0 notes" in desk.run(script("xlsx", "check.py", "done.xlsx"))
        read = desk.run(script("xlsx", "read.py", "done.xlsx --sheet Budget --format csv"))
        assert read.splitlines()[1].startswith("Rent,1200,2026-01-03")
        fresh, done = desk.delivered("book.xlsx", "done.xlsx")
        sheet = openpyxl.load_workbook(io.BytesIO(fresh))["Budget"]
        assert [sheet["B4"].value, sheet["D2"].value] == ["=SUM(B2:B3)", "=B2/B$4"]
        assert openpyxl.load_workbook(io.BytesIO(fresh), data_only=True)["Budget"]["B4"].value is (
            None
        )
        values = openpyxl.load_workbook(io.BytesIO(done), data_only=True)["Budget"]
        assert [values[cell].value for cell in ("B4", "D2", "D4")] == [1500, 0.8, 1]
        assert values["C2"].value == datetime(2026, 1, 3)  # noqa: DTZ001
        formulas = openpyxl.load_workbook(io.BytesIO(done))["Budget"]
        assert formulas["B4"].value == "=SUM(B2:B3)"
        assert "#,##0.00" in formulas["B2"].number_format

    def test_a_mistake_is_found_once_it_was_computed(self, desk: Any) -> None:
        book = {"sheets": [{"name": "S", "rows": [[1, 0, "=A1/B1"]]}]}
        desk.put("book.json", json.dumps(book))
        desk.run(script("xlsx", "create.py", "book.json book.xlsx"))
        desk.run(script("xlsx", "recalculate.py", "book.xlsx"))
        status, said = desk.tried(script("xlsx", "check.py", "book.xlsx"))
        assert (status, "error: S!C1: shows #DIV/0!" in said) == (1, True)

    def test_the_recipes_for_editing(self, desk: Any) -> None:
        desk.put("book.json", json.dumps(BOOK))
        desk.run(script("xlsx", "create.py", "book.json in.xlsx"))
        page = "xlsx/reference/editing.md"
        edit, chart = recipe(page, "python", 'book.save("out.xlsx")'), recipe(page, "python", "Bar")
        desk.run(python(edit, chart, 'book.save("out.xlsx")'))
        desk.run(script("xlsx", "recalculate.py", "out.xlsx --output computed.xlsx"))
        assert "computed" not in desk.run(script("xlsx", "check.py", "computed.xlsx"))
        assert "chart" in desk.run(script("xlsx", "read.py", "out.xlsx --parts"))
        out, computed = desk.delivered("out.xlsx", "computed.xlsx")
        sheet = openpyxl.load_workbook(io.BytesIO(out))["Budget"]
        assert sheet["B5"].value == "=SUM(B2:B4)"
        assert len(sheet.data_validations.dataValidation) == 1
        assert [str(rules.sqref) for rules in sheet.conditional_formatting] == ["B2:B4"]
        values = openpyxl.load_workbook(io.BytesIO(computed), data_only=True)["Budget"]
        assert values["B5"].value == 3000

    def test_conversions(self, desk: Any) -> None:
        desk.put("data.csv", "day,amount,code\n2026-01-02,1.5,007\n2026-01-03,2.5,=cmd()\n")
        desk.run(script("xlsx", "create.py", "data.csv data.xlsx"))
        desk.run("soffice --headless --convert-to pdf data.xlsx")
        desk.run("soffice --headless --convert-to ods data.xlsx")
        desk.run("mkdir back; soffice --headless --convert-to xlsx --outdir back data.ods")
        book, pdf, back = desk.delivered("data.xlsx", "data.pdf", "back/data.xlsx")
        for content in (book, back):
            (sheet,) = openpyxl.load_workbook(io.BytesIO(content)).worksheets
            assert [cell.value for cell in sheet[3]] == [datetime(2026, 1, 3), 2.5, "=cmd()"]  # noqa: DTZ001
            assert sheet["C2"].value == "007"
        assert "=cmd()" in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


class TestDocx:
    def test_create_read_replace_and_convert(self, desk: Any) -> None:
        desk.put("text.md", TEXT)
        desk.run(script("docx", "create.py", "text.md made.docx --title Yearly --page-numbers"))
        changes = json.dumps({"{{name}}": "Ann"})
        said = desk.run(script("docx", "replace.py", f"made.docx out.docx '{changes}'"))
        assert said == "1 x '{{name}}'"
        read = desk.run(script("docx", "read.py", "out.docx"))
        assert "Sales **doubled**, Ann says: Zürich and 東京." in read
        desk.run("soffice --headless --convert-to pdf out.docx")
        out, pdf = desk.delivered("out.docx", "out.pdf")
        document = docx.Document(io.BytesIO(out))
        assert [p.text for p in document.paragraphs if p.style and "Head" in str(p.style.name)] == [
            "Yearly report",
            "Summary",
        ]
        assert document.tables[0].rows[1].cells[1].text == "22"
        shown = PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
        assert "Ann says: Zürich" in shown

    def test_the_recipes_for_editing(self, desk: Any) -> None:
        desk.put("text.md", "Summary\n\n| A |\n| --- |\n| 1 |\n")
        desk.run(script("docx", "create.py", "text.md in.docx"))
        desk.run(CHART)
        desk.run(python(recipe("docx/editing.md", "python", "add_picture")))
        # And once more as its parts, from which the same document comes.
        desk.run("mv out.docx in.docx")
        desk.run(recipe("docx/editing.md", "sh", "unzip"))
        desk.run(script("docx", "read.py", "out.docx"))
        (out,) = desk.delivered("out.docx")
        document = docx.Document(io.BytesIO(out))
        assert [p.text for p in document.paragraphs][:2] == ["New text", "Summary"]
        assert [row.cells[0].text for row in document.tables[0].rows] == ["A", "1", "New"]
        assert len(document.inline_shapes) == 1

    def test_an_old_format_and_one_of_others(self, desk: Any) -> None:
        desk.put("text.md", TEXT)
        desk.run(script("docx", "create.py", "text.md new.docx"))
        for kind in ("doc", "odt"):
            desk.run(f"soffice --headless --convert-to {kind} new.docx")
            desk.run(
                f"mkdir {kind}; soffice --headless --convert-to docx --outdir {kind} new.{kind}"
            )
            said = desk.run(script("docx", "read.py", f"{kind}/new.docx"))
            assert "# Yearly report" in said.splitlines()
            assert "| North | 22 |" in said.splitlines()


class TestPptx:
    DECK: dict[str, Any] = {  # noqa: RUF012
        "theme": {"accent": "1F4E79", "font": "Liberation Sans"},
        "slides": [
            {"layout": "title", "title": "Spring review", "subtitle": "2025"},
            {"title": "Doubled in 2025", "bullets": ["North", ["two new shops"], "South"]},
            {"title": "Numbers", "table": [["Region", "2025"], ["North", 10]]},
            {"title": "The chart", "image": "chart.png"},
        ],
    }

    def test_create_look_at_and_edit(self, desk: Any) -> None:
        desk.run(CHART)
        desk.put("slides.json", json.dumps(self.DECK))
        desk.run(script("pptx", "create.py", "slides.json in.pptx"))
        desk.run(python(recipe("pptx/editing.md", "python", "add_chart")))
        read = desk.run(script("pptx", "read.py", "out.pptx"))
        assert "## Slide 2: Doubled in 2026" in read.splitlines()
        assert "Notes: Say why." in read
        only = desk.run(script("pptx", "read.py", "out.pptx --slide 3"))
        assert "| North | 10 |" in only
        desk.run("soffice --headless --convert-to pdf out.pptx && pdftoppm -r 60 -png out.pdf page")
        assert desk.run("ls page*.png | wc -l") == "5"
        # A page on which nothing shows has one color.
        colors = desk.run("for p in page*.png; do identify -format '%k\\n' $p; done").split()
        assert all(int(count) > 10 for count in colors)
        out, pdf = desk.delivered("out.pptx", "out.pdf")
        deck = pptx.Presentation(io.BytesIO(out))
        titles = [slide.shapes.title.text for slide in deck.slides if slide.shapes.title]
        assert titles[-2:] == ["The chart", "North grew most"]
        assert [shape.has_chart for shape in deck.slides[4].shapes].count(True) == 1
        pages = PdfReader(io.BytesIO(pdf)).pages
        assert len(pages) == 5
        assert "two new shops" in pages[1].extract_text()


class TestPdf:
    def test_create_and_work_on(self, desk: Any) -> None:
        desk.put("text.md", TEXT.replace("東京", "Tokyo") + "\n<!-- pagebreak -->\n\nlast\n")
        desk.run(script("pdf", "create.py", "text.md made.pdf --page-numbers --title Yearly"))
        pdf = f"python3 {SKILLS}/pdf/scripts/pdf.py"
        assert "2" in desk.run(f"{pdf} info made.pdf").split()
        assert "Zürich and Tokyo" in desk.run(f"{pdf} text made.pdf --pages 1")
        desk.run(f"{pdf} merge four.pdf made.pdf made.pdf")
        desk.run(f"{pdf} pages four.pdf three.pdf --pages 1,3-4")
        desk.run(f"{pdf} rotate three.pdf turned.pdf 90 --pages 2")
        desk.run(f"{pdf} encrypt turned.pdf locked.pdf --password secret")
        assert "North 22" in desk.run("pdftotext -layout made.pdf - | tr -s ' '")
        turned, locked = desk.delivered("turned.pdf", "locked.pdf")
        reader = PdfReader(io.BytesIO(turned), strict=True)
        assert [page.rotation for page in reader.pages] == [0, 90, 0]
        reader = PdfReader(io.BytesIO(locked))
        assert reader.is_encrypted
        assert reader.decrypt("secret")
        assert "last" in reader.pages[2].extract_text()

    def test_what_other_programs_do(self, desk: Any) -> None:
        desk.put("text.md", "# One\n\n<!-- pagebreak -->\n\n# Two\n")
        desk.run(script("pdf", "create.py", "text.md in.pdf"))
        desk.run("qpdf --rotate=+90 in.pdf out.pdf && qpdf --check out.pdf")
        desk.run("pdfseparate in.pdf p%d.pdf && pdfunite p2.pdf p1.pdf swapped.pdf")
        assert "Pages: 2" in " ".join(desk.run("pdfinfo swapped.pdf").split())
        out, swapped = desk.delivered("out.pdf", "swapped.pdf")
        assert [page.rotation for page in PdfReader(io.BytesIO(out)).pages] == [90, 90]
        texts = [page.extract_text().strip() for page in PdfReader(io.BytesIO(swapped)).pages]
        assert texts == ["Two", "One"]

    def test_a_form_is_filled_in(self, desk: Any) -> None:
        desk.run(
            python(
                "from reportlab.pdfgen.canvas import Canvas",
                'page = Canvas("form.pdf")',
                'page.drawString(50, 720, "Your name:")',
                'page.acroForm.textfield(name="name", x=50, y=700)',
                'page.acroForm.checkbox(name="agreed", x=50, y=600)',
                "page.save()",
            )
        )
        assert "field 'name' (/Tx)" in desk.run(script("pdf", "pdf.py", "info form.pdf"))
        desk.put("values.json", '{"name": "Ann Müller"}')
        desk.run(script("pdf", "pdf.py", "fill form.pdf filled.pdf values.json"))
        (filled,) = desk.delivered("filled.pdf")
        fields = PdfReader(io.BytesIO(filled)).get_form_text_fields()
        assert fields["name"] == "Ann Müller"
        # It shows, too: not every reader makes a field's look itself.
        assert "Ann" in desk.run("pdftotext filled.pdf -")

    def test_a_scan_is_read(self, desk: Any) -> None:
        desk.put("text.md", "# Invoice 4711\n\nPlease pay the whole amount until Friday.\n")
        desk.run(script("pdf", "create.py", "text.md text.pdf --size 14"))
        desk.run("pdftoppm -r 150 -png text.pdf page")
        desk.run(python("from PIL import Image", 'Image.open("page-1.png").save("scan.pdf")'))
        assert "probably scanned" in desk.run(script("pdf", "pdf.py", "info scan.pdf"))
        desk.run("pdftoppm -r 150 -png scan.pdf again && tesseract again-1.png out")
        read = desk.run("cat out.txt")
        assert "Invoice 4711" in read
        assert "Please pay the whole amount until Friday" in read

    def test_letters_that_its_own_fonts_lack(self, desk: Any) -> None:
        desk.put("text.md", "Łódź Ελλάδα\n")
        assert "fonts lack them" in desk.run(script("pdf", "create.py", "text.md plain.pdf"))
        desk.run(script("docx", "create.py", "text.md fine.docx"))
        desk.run("soffice --headless --convert-to pdf fine.docx")
        assert desk.run("pdftotext fine.pdf -") == "Łódź Ελλάδα"


def test_the_base_image_does_what_needs_nothing(plain_desk: Any) -> None:
    plain_desk.put("b.json", json.dumps(BOOK))
    plain_desk.put("t.md", TEXT)
    plain_desk.put("s.json", json.dumps({"slides": TestPptx.DECK["slides"][:3]}))
    for skill, made in (
        ("xlsx", "b.json b.xlsx"),
        ("docx", "t.md t.docx"),
        ("pdf", "t.md t.pdf"),
        ("pptx", "s.json s.pptx"),
    ):
        plain_desk.run(script(skill, "create.py", made))
    for skill, name in (("xlsx", "b.xlsx"), ("docx", "t.docx"), ("pptx", "s.pptx")):
        plain_desk.run(script(skill, "read.py", name))
    status, said = plain_desk.tried(script("xlsx", "recalculate.py", "b.xlsx"))
    assert (status, "LibreOffice is not here" in said) == (1, True)
    status, said = plain_desk.tried(script("pdf", "pdf.py", "info t.pdf"))
    assert (status, "pypdf is not here" in said) == (1, True)
