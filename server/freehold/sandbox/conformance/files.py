"""Checks of ``read``, ``write`` and ``edit``, and of the files that the server reads and writes."""

from __future__ import annotations

import base64

from freehold.ports.sandbox import ToolOutcome
from freehold.sandbox.conformance.subject import (
    CheckFailed,
    Subject,
    check,
    expect,
    expect_equal,
    expect_in,
)

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
_HOSTILE = (
    "with space", "-rf", "'quote'", '"double"', "$(echo no)", "`no`", "semi;colon", "new\nline",
    "*", "back\\slash", "~tilde", "ünïcödé-世界-🦊", "#hash", "a" * 200,
)  # fmt: skip


def _block(outcome: ToolOutcome) -> dict[str, object]:
    expect(not outcome.is_error, f"it failed: {outcome.content!r:.300}")
    expect_equal(len(outcome.content), 1, "the number of blocks")
    return outcome.content[0]


@check
async def write_then_read(subject: Subject) -> None:
    """What was written is read, byte for byte: line breaks of all kinds, trailing blanks."""
    content = "first\r\nsecond\rthird \n\n\tlast without end"
    path = await subject.write("file.txt", content)
    expect_equal(await subject.succeed("read", file_path=path), content, "the content")


@check
async def write_tells_bytes_and_path(subject: Subject) -> None:
    """The answer to ``write`` has the number of bytes and the path."""
    path = subject.path("counted")
    text = await subject.succeed("write", file_path=path, content="é12")
    expect_equal(text, f"wrote 4 bytes to {path}", "the text")


@check
async def write_makes_parents(subject: Subject) -> None:
    """Missing directories are made."""
    path = await subject.write("a/b/c/file", "deep")
    expect_equal(await subject.bash(f"cat '{path}'"), "deep", "the content")


@check
async def write_replaces(subject: Subject) -> None:
    """A longer file leaves nothing behind under a shorter one."""
    await subject.write("file", "a long text")
    path = await subject.write("file", "short")
    expect_equal(await subject.succeed("read", file_path=path), "short", "the content")


@check
async def write_over_a_directory_fails(subject: Subject) -> None:
    """A directory is not replaced by a file."""
    await subject.bash("mkdir taken")
    text = await subject.fail("write", file_path=subject.path("taken"), content="x")
    expect_in("is a directory", text)


@check
async def files_are_the_shells(subject: Subject) -> None:
    """The shell and the file tools see the same files."""
    await subject.bash("echo from-shell > shared")
    text = await subject.succeed("read", file_path=subject.path("shared"))
    expect_equal(text, "from-shell\n", "the content")


@check
async def relative_paths_start_at_workdir(subject: Subject) -> None:
    """A relative path starts at the working directory, wherever the shell stands."""
    relative = subject.path("rel").removeprefix(subject.sandbox.layout.workdir + "/")
    await subject.succeed("write", file_path=relative, content="found")
    await subject.bash("cd /")
    expect_equal(await subject.succeed("read", file_path=subject.path("rel")), "found", "it")


@check
async def paths_reach_the_whole_sandbox(subject: Subject) -> None:
    """The sandbox is the boundary: paths outside of the working directory work."""
    path = "/tmp/freehold-conformance/file"  # noqa: S108 - inside the sandbox
    await subject.succeed("write", file_path=path, content="outside")
    expect_equal(
        await subject.bash(f"cat {path}; rm -r /tmp/freehold-conformance"), "outside", "it"
    )


@check
async def read_missing_file(subject: Subject) -> None:
    """A missing file is an error with the path as it was given."""
    path = subject.path("missing")
    text = await subject.fail("read", file_path=path)
    expect_equal(text, f"read: {path}: no such file or directory", "the text")


@check
async def read_refuses_directories(subject: Subject) -> None:
    """A directory is not read."""
    await subject.bash("mkdir folder")
    text = await subject.fail("read", file_path=subject.path("folder"))
    expect_in("not a regular file", text)


@check
async def read_range_is_inclusive(subject: Subject) -> None:
    """``view_range`` counts from 1, with both ends."""
    path = await subject.write("lines", "1\n2\n3\n4\n5\n")
    text = await subject.succeed("read", file_path=path, view_range=[2, 4])
    expect_equal(text, "2\n3\n4", "the lines")


@check
async def read_range_to_the_end(subject: Subject) -> None:
    """An end of 0 or less is the end of the file."""
    path = await subject.write("lines", "1\n2\n3")
    for end in (-1, 0, 99):
        text = await subject.succeed("read", file_path=path, view_range=[2, end])
        expect_equal(text, "2\n3", f"the lines up to {end}")


@check
async def read_range_must_be_a_pair(subject: Subject) -> None:
    """Another ``view_range`` is refused by name."""
    path = await subject.write("lines", "1\n")
    for wrong in ([1], [1, 2, 3], ["1", 2], "1-2"):
        text = await subject.fail("read", file_path=path, view_range=wrong)
        expect_equal(text, "read: view_range must be [start_line, end_line]", "the text")


@check
async def read_refuses_large_files(subject: Subject) -> None:
    """A text over 256 KiB is refused with a hint, and read in part."""
    line = "x" * 99 + "\n"
    await subject.sandbox.write_file(subject.path("large"), line.encode() * 3000)
    text = await subject.fail("read", file_path=subject.path("large"))
    expect_in("is 300000 bytes, exceeds 262144-byte limit", text)
    expect_in("view_range", text)
    part = await subject.succeed("read", file_path=subject.path("large"), view_range=[2999, -1])
    expect_equal(part, line * 2, "the last lines")
    text = await subject.fail("read", file_path=subject.path("large"), view_range=[1, -1])
    expect_in("Narrow the view_range", text)


@check
async def read_refuses_binary_files(subject: Subject) -> None:
    """A file that is not UTF-8 is refused."""
    await subject.sandbox.write_file(subject.path("binary"), b"\x80\x81\xfe\xff")
    text = await subject.fail("read", file_path=subject.path("binary"))
    expect_in("not valid UTF-8 text", text)


@check
async def read_shows_images(subject: Subject) -> None:
    """An image comes back as an image block; one that is none is refused."""
    await subject.sandbox.write_file(subject.path("dot.PNG"), _PNG)
    block = _block(await subject.outcome("read", {"file_path": subject.path("dot.PNG")}))
    data = base64.b64encode(_PNG).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    expect_equal(block, {"type": "image", "source": source}, "the block")
    fake = await subject.write("fake.png", "no image")
    expect_in("not a valid image", await subject.fail("read", file_path=fake))


@check
async def read_shows_pdfs(subject: Subject) -> None:
    """A PDF comes back as a document block."""
    await subject.sandbox.write_file(subject.path("paper.pdf"), _PDF)
    block = _block(await subject.outcome("read", {"file_path": subject.path("paper.pdf")}))
    data = base64.b64encode(_PDF).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    expect_equal(block, {"type": "document", "source": source}, "the block")


@check
async def edit_replaces_one(subject: Subject) -> None:
    """A unique text is replaced and nothing else."""
    path = await subject.write("file", "one\r\ntwo\nthree")
    text = await subject.succeed("edit", file_path=path, old_string="two", new_string="2")
    expect_equal(text, f"edited {path} (1 replacement(s))", "the text")
    expect_equal(await subject.succeed("read", file_path=path), "one\r\n2\nthree", "the content")


@check
async def edit_insists_on_unique_text(subject: Subject) -> None:
    """A text that occurs twice is not replaced, and the count is told."""
    path = await subject.write("file", "a a")
    text = await subject.fail("edit", file_path=path, old_string="a", new_string="b")
    expect_equal(text, f"edit: old_string appears 2 times in {path} (must be unique)", "the text")
    expect_equal(await subject.succeed("read", file_path=path), "a a", "the content")


@check
async def edit_replaces_all(subject: Subject) -> None:
    """``replace_all`` replaces every occurrence."""
    path = await subject.write("file", "a-a-a")
    text = await subject.succeed(
        "edit", file_path=path, old_string="a", new_string="b", replace_all=True
    )
    expect_equal(text, f"edited {path} (3 replacement(s))", "the text")
    expect_equal(await subject.succeed("read", file_path=path), "b-b-b", "the content")


@check
async def edit_tells_what_is_missing(subject: Subject) -> None:
    """A text or a file that is not there is an error of its own."""
    path = await subject.write("file", "text")
    text = await subject.fail("edit", file_path=path, old_string="absent", new_string="")
    expect_equal(text, f"edit: old_string not found in {path}", "the text")
    missing = subject.path("missing")
    text = await subject.fail("edit", file_path=missing, old_string="a", new_string="b")
    expect_equal(text, f"edit: {missing}: no such file or directory", "the text")


@check
async def edit_refuses_empty_text(subject: Subject) -> None:
    """An empty ``old_string`` is refused by name."""
    path = await subject.write("file", "text")
    expect_in(
        "old_string", await subject.fail("edit", file_path=path, old_string="", new_string="x")
    )


@check
async def hostile_names_are_only_names(subject: Subject) -> None:
    """Quotes, blanks, line breaks, leading dashes, other scripts: all are names of files."""
    for name in _HOSTILE:
        path = await subject.write(name, "content")
        expect_equal(await subject.succeed("read", file_path=path), "content", f"{name!r}")
        expect_equal(await subject.sandbox.read_file(path), b"content", f"{name!r} for the server")
    found = await subject.succeed("glob", pattern="*", path=subject.path(""))
    expect_in(subject.path("ünïcödé-世界-🦊"), found)


@check
async def server_files_round_trip(subject: Subject) -> None:
    """Any bytes that the server writes are read back, large ones and none at all."""
    for data in (b"", bytes(range(256)), bytes(range(256)) * 40_000, b"\r\n\0"):
        await subject.sandbox.write_file(subject.path("made/bytes.bin"), data)
        got = await subject.sandbox.read_file(subject.path("made/bytes.bin"))
        expect(got == data, f"{len(got)} other bytes came back for {len(data)}")


@check
async def server_files_fail_clearly(subject: Subject) -> None:
    """A missing file and a directory raise what the port says."""
    await subject.bash("mkdir folder")
    for name, expected in (("missing", FileNotFoundError), ("folder", IsADirectoryError)):
        try:
            await subject.sandbox.read_file(subject.path(name))
        except expected:
            continue
        raise CheckFailed(f"reading {name} did not raise {expected.__name__}")


@check
async def inputs_are_checked_by_name(subject: Subject) -> None:
    """A missing, unknown or ill-typed field is an error that names it; nothing happens."""
    path = subject.path("never")
    for tool, given, named in (
        ("read", {}, "file_path"),
        ("read", {"file_path": 1}, "file_path"),
        ("read", {"file_path": path, "bogus": 1}, "bogus"),
        ("write", {"file_path": path}, "content"),
        ("write", {"file_path": path, "content": 1}, "content"),
        ("write", {"file_path": "", "content": "x"}, "file_path"),
        ("edit", {"file_path": path, "old_string": "a"}, "new_string"),
        ("glob", {"pattern": None}, "pattern"),
        ("grep", {"pattern": "a", "-A": "three"}, "-A"),
        ("grep", {"pattern": "a", "output_mode": "loud"}, "output_mode"),
        ("bash", {"command": ["ls"]}, "command"),
        ("bash", {"command": "true", "timeout_ms": "1"}, "timeout_ms"),
        ("bash", {"cmd": "true"}, "cmd"),
        ("dance", {}, "dance"),
    ):
        expect_in(named, await subject.fail(tool, **given))
    expect_in("no such file", await subject.fail("read", file_path=path))


@check
async def input_must_be_an_object(subject: Subject) -> None:
    """An input of another kind is an error, not a crash."""
    outcome = await subject.outcome("bash", [1, 2])
    expect(outcome.is_error, "a list was taken for an input")
