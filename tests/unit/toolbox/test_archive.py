"""The toolbox as a file: the same everywhere, for any Python, with nothing but itself."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from freehold import toolbox
from freehold.sandbox.toolbox_package import toolbox_archive, toolbox_files, toolbox_version
from freehold.toolbox import cli

_SOURCES = sorted(Path(toolbox.__file__).parent.glob("*.py"))


def test_the_archive_is_always_the_same() -> None:
    first, version = toolbox_archive(), toolbox_version()
    toolbox_archive.cache_clear()
    toolbox_files.cache_clear()
    toolbox_version.cache_clear()
    assert toolbox_archive() == first
    assert toolbox_version() == version
    assert len(version) == 64


def test_the_archive_holds_the_files() -> None:
    with zipfile.ZipFile(io.BytesIO(toolbox_archive())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == toolbox_files()


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.name)
def test_sources_are_for_python_3_9_and_import_only_its_library(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_archive_runs_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "toolbox.pyz"
    file.write_bytes(toolbox_archive())
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(file), "dance"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown command 'dance'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "a command is required"),
        (["serve", "--state", "x"], "option --socket is required"),
        (["connect", "--socket"], "option --socket needs a value"),
        (["connect", "--bogus", "x"], "unknown option --bogus"),
        (["connect", "socket"], "unknown option socket"),
    ],
)
def test_usage_errors_name_the_option(arguments: list[str], complaint: str) -> None:
    with pytest.raises(cli.UsageError, match=complaint):
        cli.parse(arguments)


def test_options_are_parsed() -> None:
    assert cli.parse(["connect", "--socket", "--odd"]) == ("connect", {"socket": "--odd"})
