"""Checks of ``glob`` and ``grep``."""

from __future__ import annotations

import asyncio

from freehold.sandbox.conformance.subject import Subject, check, expect, expect_equal, expect_in

_CLOCK_STEP = 0.02
"""Seconds that surely set two times of modification apart."""


async def _tree(subject: Subject) -> str:
    """A small tree of files to search; its root."""
    for name, content in (
        ("src/main.py", "import os\n\ndef main():\n    return os.name\n"),
        ("src/util/text.py", "def upper(text):\n    return text.upper()\n"),
        ("web/app.ts", "export const main = 1;\n"),
        ("notes.md", "# Main\n\nNothing here.\n"),
    ):
        await subject.write(name, content)
    return subject.path("").rstrip("/")


@check
async def glob_lists_newest_first(subject: Subject) -> None:
    """The file that was changed last is the first."""
    for name in ("b.txt", "c.txt", "a.txt"):
        await subject.write(name, name)
        await asyncio.sleep(_CLOCK_STEP)
    await subject.write("b.txt", "again")
    text = await subject.succeed("glob", pattern="*.txt", path=subject.path(""))
    expected = [subject.path(name) for name in ("b.txt", "a.txt", "c.txt")]
    expect_equal(text.split("\n"), expected, "the paths")


@check
async def glob_descends(subject: Subject) -> None:
    """``**`` stands for any number of directories, also none; braces for alternatives."""
    root = await _tree(subject)
    text = await subject.succeed("glob", pattern="**/*.{py,md}", path=root)
    expected = {f"{root}/src/main.py", f"{root}/src/util/text.py", f"{root}/notes.md"}
    expect_equal(set(text.split("\n")), expected, "the paths")
    text = await subject.succeed("glob", pattern="src/*.py", path=root)
    expect_equal(text, f"{root}/src/main.py", "the path")


@check
async def glob_searches_workdir_by_default(subject: Subject) -> None:
    """Without a path the working directory is searched."""
    path = await subject.write("only-here.marker", "")
    text = await subject.succeed("glob", pattern="**/only-here.marker")
    expect_equal(text, path, "the path")


@check
async def glob_without_matches(subject: Subject) -> None:
    """Nothing found is said, and is no error; a missing directory is one."""
    text = await subject.succeed("glob", pattern="*.nothing", path=subject.path(""))
    expect_equal(text, "no matches", "the text")
    expect_in("missing", await subject.fail("glob", pattern="*", path=subject.path("missing")))


@check
async def glob_stays_below(subject: Subject) -> None:
    """Absolute patterns and ``..`` are refused."""
    expect_in("absolute", await subject.fail("glob", pattern="/etc/*"))
    expect_in("'..'", await subject.fail("glob", pattern="../*"))


@check
async def glob_is_limited(subject: Subject) -> None:
    """At most 200 paths are listed."""
    await subject.bash("for i in $(seq 1 220); do echo x > file$i; done")
    text = await subject.succeed("glob", pattern="file*", path=subject.path(""))
    expect_equal(len(text.split("\n")), 200, "the number of paths")


@check
async def grep_shows_path_line_and_text(subject: Subject) -> None:
    """A match is shown as path, line number and line."""
    root = await _tree(subject)
    text = await subject.succeed("grep", pattern=r"def \w+\(", path=root)
    expected = f"{root}/src/main.py:3:def main():\n{root}/src/util/text.py:1:def upper(text):"
    expect_equal(text, expected, "the matches")


@check
async def grep_searches_one_file(subject: Subject) -> None:
    """A path may be a file."""
    root = await _tree(subject)
    text = await subject.succeed("grep", pattern="^import", path=f"{root}/src/main.py")
    expect_equal(text, f"{root}/src/main.py:1:import os", "the match")


@check
async def grep_without_matches(subject: Subject) -> None:
    """Nothing found is said, and is no error; a missing path is one."""
    root = await _tree(subject)
    expect_equal(await subject.succeed("grep", pattern="zebra", path=root), "no matches", "it")
    text = await subject.fail("grep", pattern="a", path=f"{root}/missing")
    expect_in("no such file or directory", text)


@check
async def grep_modes(subject: Subject) -> None:
    """``files_with_matches`` lists paths, ``count`` counts lines."""
    root = await _tree(subject)
    text = await subject.succeed(
        "grep", pattern="main", path=root, output_mode="files_with_matches"
    )
    expect_equal(text, f"{root}/src/main.py\n{root}/web/app.ts", "the paths")
    text = await subject.succeed("grep", pattern="text", path=root, output_mode="count")
    expect_equal(text, f"{root}/src/util/text.py:2", "the count")


@check
async def grep_ignores_case(subject: Subject) -> None:
    """``-i`` ignores upper and lower case, ``-n`` false leaves line numbers out."""
    root = await _tree(subject)
    given = {"pattern": "# MAIN", "path": root, "-i": True, "-n": False}
    expect_equal(await subject.succeed("grep", **given), f"{root}/notes.md:# Main", "the match")


@check
async def grep_shows_context(subject: Subject) -> None:
    """``-A``, ``-B`` and ``-C`` show lines around, marked by a dash, groups apart."""
    lines = "\n".join(f"line {n}" for n in range(1, 11)) + "\n"
    path = await subject.write("lines", lines)
    text = await subject.succeed("grep", pattern="line [29]$", path=path, **{"-C": 1})
    expected = [
        f"{path}-1-line 1", f"{path}:2:line 2", f"{path}-3-line 3", "--",
        f"{path}-8-line 8", f"{path}:9:line 9", f"{path}-10-line 10",
    ]  # fmt: skip
    expect_equal(text.split("\n"), expected, "the lines")
    text = await subject.succeed("grep", pattern="line 5", path=path, **{"-A": 1})
    expect_equal(text, f"{path}:5:line 5\n{path}-6-line 6", "the lines after")
    text = await subject.succeed("grep", pattern="line 5", path=path, **{"-B": 1})
    expect_equal(text, f"{path}-4-line 4\n{path}:5:line 5", "the lines before")


@check
async def grep_chooses_files(subject: Subject) -> None:
    """``glob`` and ``type`` choose files."""
    root = await _tree(subject)
    given = {"pattern": "main", "path": root, "output_mode": "files_with_matches"}
    text = await subject.succeed("grep", **given, glob="*.ts")
    expect_equal(text, f"{root}/web/app.ts", "by glob")
    text = await subject.succeed("grep", **given, type="py")
    expect_equal(text, f"{root}/src/main.py", "by type")


@check
async def grep_pages(subject: Subject) -> None:
    """``offset`` and ``head_limit`` show a part of the results."""
    path = await subject.write("many", "".join(f"hit {n}\n" for n in range(1, 21)))
    text = await subject.succeed("grep", pattern="hit", path=path, offset=3, head_limit=2)
    expect_equal(text, f"{path}:4:hit 4\n{path}:5:hit 5", "the page")


@check
async def grep_spans_lines(subject: Subject) -> None:
    """``multiline`` lets a match go over line breaks."""
    path = await subject.write("code", "begin\nmiddle\nend\nother\n")
    expect_equal(await subject.succeed("grep", pattern=r"begin\nmid", path=path, multiline=True),
                 f"{path}:1:begin\n{path}:2:middle", "the lines")  # fmt: skip


@check
async def grep_refuses_bad_patterns(subject: Subject) -> None:
    """A pattern that makes no sense is an error, not an empty result."""
    path = await subject.write("file", "text\n")
    expect((await subject.fail("grep", pattern="(open", path=path)).startswith("grep: "), "no name")


@check
async def grep_skips_binary_files(subject: Subject) -> None:
    """Files with NUL bytes are not searched."""
    await subject.sandbox.write_file(subject.path("binary"), b"needle\0needle\n")
    await subject.write("text", "needle\n")
    text = await subject.succeed("grep", pattern="needle", path=subject.path("").rstrip("/"))
    expect_in(f"{subject.path('text')}:1:needle", text)
    expect("\0" not in text and ":2:" not in text, f"binary content was shown: {text!r}")


@check
async def grep_output_is_limited(subject: Subject) -> None:
    """At most 100 KiB are shown, and it is said that there was more."""
    await subject.sandbox.write_file(subject.path("long"), (b"match " + b"x" * 500 + b"\n") * 1000)
    text = await subject.succeed("grep", pattern="match", path=subject.path("long"))
    expect(text.endswith("\n[output truncated at 102400 bytes]"), f"it ends {text[-60:]!r}")
    expect(len(text) <= 102400 + 100, f"{len(text)} characters")
