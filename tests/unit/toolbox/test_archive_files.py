"""What the agent owns as one stream, and back: nothing else goes in, and nothing else comes out."""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from freehold.toolbox.archive import TooMuch, pack, unpack

LIMIT = 10 << 20


def packed(folder: Path, limit: int = LIMIT) -> bytes:
    sink = io.BytesIO()
    pack([str(folder)], sink, limit)
    return sink.getvalue()


def unpacked(data: bytes, folder: Path, limit: int = LIMIT) -> None:
    source, sink = os.pipe()
    # From a file: a pipe holds less than some archives.
    os.close(source)
    os.close(sink)
    with io.FileIO(os.memfd_create("archive"), "r+") as file:
        file.write(data)
        file.seek(0)
        unpack([str(folder)], file.fileno(), limit)


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in entries:
            info.size = info.size or len(data)
            tar.addfile(info, io.BytesIO(data))
    return zlib.compress(buffer.getvalue())


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_what_is_there_comes_back(root: Path) -> None:
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "a").write_bytes(os.urandom(700_000))
    (root / "deep" / "run").write_text("#!/bin/sh\n")
    (root / "deep" / "run").chmod(0o4755)
    (root / "deep" / "a").touch()
    os.utime(root / "deep" / "a", (1_000_000, 1_000_000))
    (root / "link").symlink_to("/etc/passwd")
    os.link(root / "deep" / "a", root / "same")
    os.mkfifo(root / "pipe")
    (root / "deep" / "er").chmod(0o500)
    before = (root / "deep" / "a").read_bytes()
    data = packed(root)
    (root / "deep" / "er").chmod(0o700)
    os.rename(root, root.with_name("old"))
    root.mkdir()
    unpacked(data, root)
    assert (root / "deep" / "a").read_bytes() == before
    assert (root / "deep" / "a").stat().st_mtime == 1_000_000
    assert (root / "deep" / "a").stat().st_nlink == 2
    # No program gains rights by being restored.
    assert (root / "deep" / "run").stat().st_mode & 0o7777 == 0o755
    assert (root / "deep" / "er").stat().st_mode & 0o777 == 0o500
    assert os.readlink(root / "link") == "/etc/passwd"
    assert not (root / "pipe").exists()


def test_twice_is_as_once(root: Path) -> None:
    (root / "a").write_text("one")
    (root / "b").symlink_to("a")
    data = packed(root)
    (root / "a").write_text("two")
    unpacked(data, root)
    unpacked(data, root)
    assert (root / "a").read_text() == "one"
    assert sorted(path.name for path in root.iterdir()) == ["a", "b"]


def test_nothing_leads_out_of_the_roots(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    name = str(root)
    unpacked(
        archive(
            (entry(f"{name}/../outside/a"), b"x"),
            (entry("/etc/freehold-test"), b"x"),
            (entry(f"{name}/way", tarfile.SYMTYPE, str(outside)), b""),
            (entry(f"{name}/way/b"), b"x"),
            (entry(f"{name}/hard", tarfile.LNKTYPE, f"{outside}/kept"), b""),
            (entry(f"{name}/device", tarfile.CHRTYPE), b""),
            (entry(f"{name}/pipe", tarfile.FIFOTYPE), b""),
            (entry(f"{name}/sparse", tarfile.GNUTYPE_SPARSE), b""),
            (entry(f"{name}/good"), b"x"),
        ),
        root,
    )
    assert sorted(path.name for path in outside.iterdir()) == ["kept"]
    assert not Path("/etc/freehold-test").exists()
    assert sorted(path.name for path in root.iterdir()) == ["good", "way"]


def test_limits_hold_both_ways(root: Path) -> None:
    (root / "a").write_bytes(bytes(3 << 20))
    with pytest.raises(TooMuch):
        packed(root, 1 << 20)
    bomb = packed(root)
    assert len(bomb) < 100_000
    with pytest.raises(TooMuch):
        unpacked(bomb, root, 1 << 20)
    (root / "a").unlink()
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TooMuch):
        packed(root)


def test_half_an_archive_is_none(root: Path) -> None:
    (root / "a").write_bytes(os.urandom(500_000))
    with pytest.raises((EOFError, tarfile.TarError)):
        unpacked(packed(root)[:200_000], root)
    with pytest.raises((zlib.error, tarfile.TarError)):
        unpacked(b"no archive at all", root)
