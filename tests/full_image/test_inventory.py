"""The table of ``docs/SANDBOX_IMAGES.md``, line by line, held to what is in the images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "SANDBOX_IMAGES.md"


@dataclass(frozen=True)
class Line:
    """What a line of the table comes down to.

    ``versions``: pattern of a version in the "Full" cell, and the command that tells the real one.
    ``there``: commands that succeed in the full image. ``based``: those that do in the base image
    too. ``absent``: programs that neither has.
    """

    versions: Sequence[tuple[str, str]] = ()
    there: Sequence[str] = ()
    based: Sequence[str] = ()
    absent: Sequence[str] = ()
    new: Sequence[str] = field(default=())
    """Programs that the base image lacks."""


def python(*modules: str) -> str:
    return f"python3 -c 'import {', '.join(modules)}'"


LIBRARIES = {
    "NumPy": "numpy",
    "pandas": "pandas",
    "SciPy": "scipy",
    "scikit-learn": "sklearn",
    "Matplotlib": "matplotlib",
    "seaborn": "seaborn",
    "SymPy": "sympy",
    "PyArrow": "pyarrow",
    "openpyxl": "openpyxl",
    "XlsxWriter": "xlsxwriter",
    "python-docx": "docx",
    "python-pptx": "pptx",
    "pypdf": "pypdf",
    "pdfplumber": "pdfplumber",
    "ReportLab": "reportlab",
    "Pillow": "PIL",
    "lxml": "lxml",
    "Beautiful Soup": "bs4",
    "Requests": "requests",
    "HTTPX": "httpx",
    "IPython": "IPython",
    "pytest": "pytest",
}

BROWSE = """python3 - <<'END'
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    for headless in ("shell", "new"):
        options = {} if headless == "shell" else {"args": ["--headless=new"]}
        browser = playwright.chromium.launch(**options)
        page = browser.new_page()
        page.set_content("<h1>Seen</h1>")
        assert page.inner_text("h1") == "Seen"
        assert page.screenshot().startswith(b"\\x89PNG")
        browser.close()
END"""

POSTGRES = (
    "initdb -D /tmp/pg > /dev/null && pg_ctl -D /tmp/pg -o '-k /tmp -h \"\"' -w start > /dev/null "
    "&& psql -h /tmp -d postgres -Atc 'select 6*7'; pg_ctl -D /tmp/pg -w stop > /dev/null"
)
REDIS = (
    "redis-server --port 0 --unixsocket /tmp/redis.sock --daemonize yes > /dev/null; sleep 1; "
    "redis-cli -s /tmp/redis.sock ping; redis-cli -s /tmp/redis.sock shutdown nosave"
)
LATEX = r"""cd /tmp && printf '\\documentclass{article}\\begin{document}x\\end{document}' > x.tex
%s -interaction=batchmode x.tex > /dev/null && test -s x.pdf"""
JAVA = (
    "cd /tmp && printf 'class A { public static void main(String[] a) { System.out.print(42); } }' "
    "> A.java && javac A.java && java A"
)
RUST = "cd /tmp && printf 'fn main() { print!(\"{}\", 6*7) }' > a.rs && rustc a.rs && ./a"
GO = (
    "cd /tmp && printf 'package main\\nfunc main() { print(6*7) }' > a.go && go run a.go && "
    "gofmt -l a.go"
)
C = "cd /tmp && printf 'int main(void) { return 42; }' > a.c && %s a.c && ! ./a.out"

TABLE: dict[str, Line] = {
    "Ubuntu 24.04 x86_64": Line(
        based=["grep -q '^VERSION_ID=\"12\"' /etc/os-release && grep -q ^ID=debian /etc/os-release"]
    ),
    "8 GB memory, 10 GB disk": Line(),
    "Python 3.10 to 3.13": Line(based=["python3 --version | grep -E '^Python 3[.](11|12)[.]'"]),
    "pip": Line(based=["pip --version"]),
    "uv, poetry": Line(
        versions=[(r"uv ([\d.]+)", "uv --version"), (r"poetry ([\d.]+)", "poetry --version")],
        new=["uv", "poetry"],
    ),
    "Node.js 20, 21, 22 (default 22)": Line(versions=[(r"([\d.]+)", "node --version")]),
    "npm": Line(based=["npm --version"]),
    "yarn, pnpm, bun": Line(
        versions=[
            (r"yarn ([\d.]+)", "yarn --version"),
            (r"pnpm ([\d.]+)", "pnpm --version"),
            (r"bun ([\d.]+)", "bun --version"),
        ],
        new=["yarn", "pnpm", "bun"],
    ),
    "Go 1.24, 1.25": Line(versions=[(r"([\d.]+)", "go version")], there=[GO], new=["go"]),
    "Rust stable": Line(
        versions=[(r"([\d.]+)", "rustc --version"), (r"([\d.]+)", "cargo --version")],
        there=[RUST],
        new=["rustc", "cargo"],
    ),
    "OpenJDK 21": Line(
        versions=[(r"([\d.]+)", "java -version"), (r"([\d.]+)", "javac -version")],
        there=[JAVA],
        new=["java"],
    ),
    "maven": Line(versions=[(r"([\d.]+)", "mvn --version")], new=["mvn"]),
    "gradle": Line(absent=["gradle"]),
    "Ruby 3.1 to 3.3": Line(
        versions=[(r"([\d.]+)", "ruby --version")],
        there=["bundle --version", "gem --version"],
        new=["ruby"],
    ),
    "PHP 8.3": Line(
        versions=[(r"([\d.]+)", "php --version")],
        there=["composer --version", "php -r 'exit(6*7 === 42 ? 0 : 1);'"],
        new=["php"],
    ),
    "GCC 13": Line(versions=[(r"([\d.]+)", "gcc --version")], there=[C % "gcc"], new=["gcc"]),
    "Clang": Line(versions=[(r"([\d.]+)", "clang --version")], there=[C % "clang"], new=["clang"]),
    "make, cmake, ninja": Line(
        there=["make --version", "cmake --version", "ninja --version"],
        new=["make", "cmake", "ninja"],
    ),
    "PostgreSQL 16, not started": Line(
        versions=[(r"(\d+)", "postgres --version")],
        there=[f"test $({POSTGRES}) = 42", "! pgrep -x postgres"],
        new=["postgres"],
    ),
    "Redis 7, not started": Line(
        versions=[(r"([\d.]+)", "redis-server --version | sed s/.*v=//")],
        there=[f"test $({REDIS}) = PONG", "! pgrep redis-server"],
        new=["redis-server"],
    ),
    "SQLite through language bindings": Line(
        there=[
            "sqlite3 :memory: 'select 1'",
            "php -r 'new SQLite3(\":memory:\");'",
        ],
        based=["python3 -c 'import sqlite3; sqlite3.connect(\":memory:\")'"],
        new=["sqlite3"],
    ),
    "git, curl, jq, tar, zip, ripgrep, sed, awk": Line(
        there=["awk --version | grep GNU"],
        based=[f"{name} --version" for name in ("git", "curl", "jq", "tar", "zip", "rg", "sed")]
        + ["awk 'BEGIN { exit 0 }'"],
    ),
    "wget, yq, tmux, vim, nano": Line(
        there=["wget --version", "yq --version", "tmux -V", "vim --version", "nano --version"],
        new=["wget", "yq", "tmux", "vim", "nano"],
    ),
    "docker (limited)": Line(absent=["docker"]),
    "ffmpeg": Line(
        versions=[(r"([\d.]+)", "ffmpeg -version")],
        there=["ffmpeg -v error -f lavfi -i sine=d=0.1 -y /tmp/a.wav && test -s /tmp/a.wav"],
        new=["ffmpeg"],
    ),
    "ImageMagick": Line(
        versions=[(r"([\d.]+)", "convert --version")],
        there=["convert -size 4x4 xc:red /tmp/a.png && identify /tmp/a.png"],
        new=["convert"],
    ),
    "pandoc": Line(
        versions=[(r"([\d.]+)", "pandoc --version")],
        there=["echo '# x' | pandoc -o /tmp/a.docx"],
        new=["pandoc"],
    ),
    "LibreOffice": Line(versions=[(r"([\d.]+)", "soffice --version")], new=["soffice"]),
    "poppler, qpdf": Line(
        there=["pdftotext -v", "pdftoppm -v", "qpdf --version"], new=["pdftotext", "qpdf"]
    ),
    "tesseract (English)": Line(
        versions=[(r"([\d.]+)", "tesseract --version")],
        there=["tesseract --list-langs | grep -x eng"],
        new=["tesseract"],
    ),
    "TeX Live": Line(there=[LATEX % "pdflatex", LATEX % "xelatex"], new=["pdflatex"]),
    "common data and document packages for Python": Line(
        there=[python(*LIBRARIES.values())], new=["ipython"]
    ),
    "Playwright with Chromium": Line(
        there=[BROWSE, 'test "$PLAYWRIGHT_BROWSERS_PATH" = /opt/pw-browsers'], new=["chromium"]
    ),
    "Firefox, WebKit": Line(absent=["firefox", "firefox-esr", "epiphany"]),
}


def table() -> dict[str, list[str]]:
    """Its lines, by the first cell; the cells "Base", "Full" and the reason."""
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("| Hosted | Base | Full |"):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return found
                first, *others = (cell.strip() for cell in row.strip("|").split("|"))
                found[first] = others
    raise AssertionError("the page has no such table")


def test_every_line_of_the_table_is_looked_into() -> None:
    assert list(table()) == list(TABLE)
    for first, (_, full, _) in table().items():
        line = TABLE[first]
        for pattern, _ in line.versions:
            assert re.search(pattern, full), (first, pattern)
        # "no" is said of what is not there, and only of that.
        assert (full == "no") == bool(line.absent), first
    libraries = table()["common data and document packages for Python"][1]
    named = libraries.partition(" and others")[0].split(", ")
    assert named == list(LIBRARIES)


@pytest.mark.docker
@pytest.mark.parametrize("first", TABLE)
def test_the_full_image(desk: Any, first: str) -> None:
    _, full, _ = table()[first]
    line = TABLE[first]
    for pattern, command in line.versions:
        match = re.search(pattern, full)
        assert match is not None
        real = re.search(r"\d+(?:\.\d+)*", desk.run(f"{command} 2>&1"))
        assert real is not None
        assert f"{real[0]}.".startswith(f"{match[1]}."), command
    for command in (*line.there, *line.based):
        desk.run(command)
    for name in line.absent:
        desk.run(f"! command -v {name}")


@pytest.mark.docker
def test_the_base_image(plain_desk: Any) -> None:
    wrong = []
    for first, line in TABLE.items():
        commands = [*line.based, *(f"! command -v {name}" for name in (*line.new, *line.absent))]
        if commands:
            status, said = plain_desk.tried("set -e\n" + "\n".join(commands))
            if status:
                wrong.append((first, said))
    assert wrong == []
