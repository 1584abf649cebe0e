"""Uploads that are none, or hold what they should not."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable

from tests.security.hostile.kinds import KEY, Hostile, post

FILES = "/v1/files"
SKILLS = "/v1/skills"
BOUNDARY = "b"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
HEAD = b"---\nname: hostile\ndescription: It does no good.\n---\n"


def part(disposition: str, content: bytes = b"x", more: str = "") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode()
    return head + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def file(name: str, content: bytes = b"x") -> bytes:
    return part(f'form-data; name="file"; filename="{name}"', content)


def field(name: str, value: str) -> bytes:
    return part(f'form-data; name="{name}"', value.encode())


def upload(name: str, body: bytes | Callable[[], bytes], content_type: str = FORM) -> Hostile:
    return post(name, FILES, body, KEY, content_type)


ONE = file("a.txt")

UPLOADS = [
    upload("no boundary", form(ONE), "multipart/form-data"),
    upload("an empty boundary", form(ONE), "multipart/form-data; boundary="),
    upload("another boundary", form(ONE), "multipart/form-data; boundary=other"),
    upload("a boundary of ten thousand letters", form(ONE), f"multipart/form-data; boundary={'b' * 10_000}"),
    upload("a boundary in other letters", form(ONE), "multipart/form-data; boundary=\u00e4"),
    upload("another form", form(ONE), f"multipart/mixed; boundary={BOUNDARY}"),
    upload("JSON for a file", b'{"file":"x"}', "application/json"),
    upload("a form that is none", b"file=x", "application/x-www-form-urlencoded"),
    upload("nothing", b""),
    upload("nothing but the end", form()),
    upload("rubbish", b"\0" * 1000),
    upload("a form that breaks off", ONE),
    upload("a form that breaks off in a head", f"--{BOUNDARY}\r\nContent-Dispo".encode()),
    upload("a form with line feeds alone", form(ONE).replace(b"\r\n", b"\n")),
    upload("a part without a head", f"--{BOUNDARY}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()),
    upload("a part without a name", form(part('form-data; filename="a"'))),
    upload("a part that is an attachment", form(part('attachment; name="file"; filename="a"'))),
    upload("a part of another name", form(part('form-data; name="files"; filename="a"'))),
    upload("two files", form(ONE, ONE)),
    upload("a thousand and one parts", form(ONE, *([field("x", "y")] * 1000))),
    upload("a part with a head of a megabyte", lambda: form(part('form-data; name="file"; filename="a"', b"x", "x: " + "y" * 1_000_000 + "\r\n"))),
    upload("a part with ten thousand heads", lambda: form(part('form-data; name="file"; filename="a"', b"x", "".join(f"x{n}: y\r\n" for n in range(10_000))))),
    upload("a head with a NUL in its name", form(part('form-data; name="file"; filename="a"', b"x", "x\0y: z\r\n"))),
    upload("a name of two dots", form(file(".."))),
    upload("a name of a dot", form(file("."))),
    upload("a path that ends in two dots", form(file("/etc/.."))),
    upload("a name with a NUL", form(file("a\0.txt"))),
    upload("a name with a control character", form(file("a\x1b[2J.txt"))),
    upload("a name with a tag", form(file("<img src=x>"))),
    upload("a name with a colon", form(file("a.txt:stream"))),
    upload("a name with a pipe", form(file("a|id"))),
    upload("a name of 256 letters", form(file("x" * 256))),
    upload("a name of a megabyte", lambda: form(file("x" * 1_000_000))),
    upload("a life of nothing", form(ONE, field("expires_in_seconds", ""))),
    upload("a life of zero", form(ONE, field("expires_in_seconds", "0"))),
    upload("a life below zero", form(ONE, field("expires_in_seconds", "-3600"))),
    upload("a life of a fraction", form(ONE, field("expires_in_seconds", "3600.5"))),
    upload("a life with an exponent", form(ONE, field("expires_in_seconds", "1e6"))),
    upload("a life of NaN", form(ONE, field("expires_in_seconds", "NaN"))),
    upload("a life in fullwidth", form(ONE, field("expires_in_seconds", "\uff13\uff16\uff10\uff10"))),
    upload("a life of ten thousand digits", form(ONE, field("expires_in_seconds", "9" * 10_000))),
    upload("a life longer than a field", lambda: form(ONE, field("expires_in_seconds", "9" * 100_000))),
    upload("a life that is no text", form(ONE, part('form-data; name="expires_in_seconds"', b"\xff\xfe"))),
    Hostile("a packed form", "POST", FILES, form(ONE), {**KEY, "content-type": FORM, "content-encoding": "gzip"}),
    post("an upload of the model's", "/v1/files/@file@", form(ONE), KEY, FORM),
]  # fmt: skip


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes], packing: int = 8) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as made:
        for entry, content in entries:
            made.writestr(entry, content)
    return buffer.getvalue()


def skill(name: str, *files: tuple[str, bytes], path: str = SKILLS) -> Hostile:
    parts = [part(f'form-data; name="files[]"; filename="{file}"', data) for file, data in files]
    return post(name, path, form(*parts), KEY, FORM)


def zipped(name: str, content: bytes | Callable[[], bytes]) -> Hostile:
    def body() -> bytes:
        data = content() if callable(content) else content
        return form(part('form-data; name="files[]"; filename="a.zip"', data))

    return post(name, SKILLS, body, KEY, FORM)


def document(text: str) -> bytes:
    return text.encode()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


GOOD = ("top/SKILL.md", HEAD)


def bomb() -> bytes:
    return archive(GOOD, ("top/zeros", bytes(64 << 20)))


def overlapping() -> bytes:
    """Many entries that all are one and the same packed megabyte."""
    whole = bytearray(archive(GOOD, ("top/a", bytes(1 << 20))))
    end = whole.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", whole, end + 16)[0]
    entries = bytes(whole[start:end])
    second = entries[entries.index(b"PK\x01\x02", 4) :]
    copies = [second.replace(b"top/a", b"top/" + bytes([66 + n])) for n in range(50)]
    directory = entries + b"".join(copies)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 52, 52, len(directory), start, 0)
    return bytes(whole[:start]) + directory + tail


def lying() -> bytes:
    """Says of an entry that it is small, which it is not."""
    whole = bytearray(archive(GOOD, ("top/a", bytes(1 << 20))))
    at = whole.rindex(b"PK\x01\x02")
    struct.pack_into("<I", whole, at + 24, 10)
    return bytes(whole)


def encrypted() -> bytes:
    whole = bytearray(archive(GOOD))
    whole[whole.index(b"PK\x03\x04") + 6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


YAML_BOMB = (
    "---\na: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "name: *i\ndescription: d\n---\n"
)

SKILL_UPLOADS = [
    skill("no files"),
    skill("a skill without its document", ("top/a.txt", b"x")),
    skill("a document beside its folder", ("SKILL.md", HEAD)),
    skill("two folders", GOOD, ("other/a", b"x")),
    skill("a file twice", GOOD, ("top/a", b"x"), ("top/a", b"y")),
    skill("a file that is a folder", GOOD, ("top/a", b"x"), ("top/a/b", b"y")),
    skill("a file above", GOOD, ("top/../../etc/passwd", b"x")),
    skill("a file at the root", GOOD, ("/etc/passwd", b"x")),
    skill("a file with backslashes", GOOD, ("top\\..\\a", b"x")),
    skill("a file on a drive", GOOD, ("C:/a", b"x")),
    skill("a file with a control character", GOOD, ("top/\x1b[2J", b"x")),
    skill("a file of a long name", GOOD, ("top/" + "x" * 256, b"x")),
    skill("an archive that is none", ("a.zip", b"no archive")),
    skill("an empty archive", ("a.zip", b"")),
    skill("an archive of another kind", ("a.zip", b"\x1f\x8b\x08\x00" + bytes(100))),
    skill("a document without a head", ("top/SKILL.md", b"# hello\n")),
    skill("a document whose head does not end", ("top/SKILL.md", b"---\nname: a\n")),
    skill("a document that is no text", ("top/SKILL.md", b"---\nname: \xff\n---\n")),
    skill("a head that is a list", ("top/SKILL.md", b"---\n- a\n---\n")),
    skill("a head that is a program", ("top/SKILL.md", b"---\nname: !!python/object/apply:os.system ['id']\ndescription: d\n---\n")),
    skill("a head that names itself", ("top/SKILL.md", b"---\n&a\nname: *a\ndescription: d\n---\n")),
    skill("a billion laughs", ("top/SKILL.md", document(YAML_BOMB))),
    skill("a head a thousand deep", ("top/SKILL.md", b"---\nname: " + b"[" * 10_000 + b"\n---\n")),
    skill("a head of a day that is none", ("top/SKILL.md", b"---\nname: 2026-99-99\ndescription: 2026-02-30\n---\n")),
    skill("a head of a great number", ("top/SKILL.md", b"---\nname: " + b"9" * 50_000 + b"\ndescription: d\n---\n")),
    skill("a head longer than a head may be", ("top/SKILL.md", b"---\nname: a\ndescription: " + b"x" * 100_000 + b"\n---\n")),
    skill("a name that comes to nothing", ("top/SKILL.md", b"---\nname: '../..'\ndescription: d\n---\n")),
    skill("a skill's name with a NUL", ("top/SKILL.md", b'---\nname: "a\\0b"\ndescription: d\n---\n')),
    skill("a description with a surrogate", ("top/SKILL.md", b'---\nname: a\ndescription: "\\ud800"\n---\n')),
    skill("a version of what is ours", GOOD, path="/v1/skills/xlsx/versions"),
    skill("a version of a path", GOOD, path="/v1/skills/..%2f..%2fx/versions"),
    zipped("a bomb", bomb),
    zipped("a bomb of entries upon each other", overlapping),
    zipped("an entry that lies about its length", lying),
    zipped("an encrypted archive", encrypted),
    zipped("an archive packed otherwise", archive(GOOD, packing=zipfile.ZIP_LZMA)),
    zipped("an archive cut off", archive(GOOD)[:-10]),
    zipped("an archive that climbs", archive(GOOD, ("top/../../../etc/cron.d/x", b"x"))),
    zipped("an archive at the root", archive(GOOD, ("/etc/passwd", b"x"))),
    zipped("an archive with a link", archive(GOOD, (special("top/link", stat.S_IFLNK | 0o777), b"/etc/passwd"))),
    zipped("an archive with a device", archive(GOOD, (special("top/dev", stat.S_IFCHR | 0o666), b""))),
    zipped("an archive with a pipe", archive(GOOD, (special("top/fifo", stat.S_IFIFO | 0o666), b""))),
    zipped("an archive of three thousand files", lambda: archive(GOOD, *((f"top/{n}", b"") for n in range(3000)))),
    zipped("an archive that says that it is huge", archive(GOOD)[:-10] + (3 << 30).to_bytes(4, "little") + bytes(6)),
    zipped("an archive in an archive", archive(("top/a.zip", archive(GOOD)))),
    post("a display name of 256 letters", SKILLS, form(part('form-data; name="files[]"; filename="top/SKILL.md"', HEAD), field("display_name", "x" * 256)), KEY, FORM),
    post("a display name with a line break", SKILLS, form(part('form-data; name="files[]"; filename="top/SKILL.md"', HEAD), field("display_name", "a\r\nb")), KEY, FORM),
    post("a display name that is a file", SKILLS, form(part('form-data; name="files[]"; filename="top/SKILL.md"', HEAD), part('form-data; name="display_name"; filename="x"')), KEY, FORM),
    post("JSON for a skill", SKILLS, {"files": []}),
]  # fmt: skip

ALL = [*UPLOADS, *SKILL_UPLOADS]
