"""``grep``: ripgrep and the built-in search give the same answers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from freehold.toolbox.cancelling import Cancellation
from freehold.toolbox.filesystem import FileSystem, Place
from freehold.toolbox.grepping import collected, grep, options_of, ripgrep_command
from freehold.toolbox.outcomes import ToolError

_RG = shutil.which("rg")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    files = {
        "src/a.py": "import os\nalpha\n\nbeta\nimport sys\n",
        "src/deep/b.py": "alpha beta\nIMPORT\n",
        "c.txt": "alpha\r\nbeta\r\n",
        ".hidden": "alpha\n",
        ".git/config": "alpha\n",
        "no-end": "alpha",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    (tmp_path / "binary").write_bytes(b"alpha\0\n")
    (tmp_path / "link").symlink_to("c.txt")
    return Place(FileSystem(), str(tmp_path), "/")


def _own(place: Place, given: dict[str, Any]) -> str:
    return grep(place, given, Cancellation(), {"PATH": "/nowhere"})


@pytest.mark.skipif(_RG is None, reason="ripgrep is not installed")
@pytest.mark.parametrize(
    "given",
    [
        {"pattern": "alpha"},
        {"pattern": "^import"},
        {"pattern": "import", "-i": True},
        {"pattern": "beta$"},
        {"pattern": "alpha", "output_mode": "files_with_matches"},
        {"pattern": "a", "output_mode": "count"},
        {"pattern": "beta", "-C": 1},
        {"pattern": "beta", "-B": 2, "-n": False},
        {"pattern": "import", "-A": 1, "-B": 1},
        {"pattern": "alpha", "glob": "*.py"},
        {"pattern": "alpha", "glob": "!*.py"},
        {"pattern": "alpha", "glob": "src/**"},
        {"pattern": "alpha", "type": "py"},
        {"pattern": "alpha.*beta", "multiline": True, "glob": "a.py"},
        {"pattern": "alpha", "offset": 1, "head_limit": 2},
        {"pattern": "zebra"},
        {"pattern": "alpha", "path": "c.txt"},
    ],
    ids=repr,
)
def test_both_searches_agree(place: Place, given: dict[str, Any]) -> None:
    assert _RG is not None
    with_ripgrep = grep(place, given, Cancellation(), {"PATH": os.path.dirname(_RG)})
    assert with_ripgrep == _own(place, given)


@pytest.mark.parametrize("path", ["/nowhere", os.path.dirname(_RG) if _RG else "/nowhere"])
@pytest.mark.parametrize("wrong", [{"pattern": "("}, {"pattern": "a", "type": "no-such-type"}])
def test_nonsense_is_an_error(place: Place, path: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=r"^grep: "):
        grep(place, wrong, Cancellation(), {"PATH": path})


def test_a_pattern_that_would_take_forever_can_be_cancelled(place: Place) -> None:
    Path(place.workdir, "trap").write_text("a" * 40 + "b\n")
    cancellation = Cancellation()
    from threading import Timer

    Timer(0.2, cancellation.cancel).start()
    with pytest.raises(ToolError, match="cancelled"):
        grep(place, {"pattern": "(a+)+$", "path": "trap"}, cancellation, {"PATH": "/nowhere"})


def test_one_enormous_line_is_cut(place: Place) -> None:
    assert collected(["x" * 200_000], {}).endswith("[output truncated at 102400 bytes]")
    assert collected([], {}) == "no matches"


def test_ripgrep_is_asked_plainly(place: Place) -> None:
    given = {"pattern": "-e", "path": "/x", "-i": True, "glob": "*.c", "type": "c", "-A": 2}
    command = ripgrep_command("/usr/bin/rg", options_of(place, given))
    assert command[-4:] == ["-e", "-e", "--", "/x"]
    assert {"--no-config", "--ignore-case", "--glob=*.c", "--type=c", "--after-context=2"} <= set(
        command
    )
