"""What the documents say must hold, as far as a machine can tell."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from freehold.cli.clients import BETA, curl, python, typescript
from freehold.cli.config import reference
from freehold.settings import Settings
from tests.support.running import Served

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> list[pytest.param]:  # type: ignore[valid-type]
    found = []
    for document in DOCUMENTS:
        name = document.relative_to(ROOT)
        for number, match in enumerate(_BLOCK.finditer(document.read_text(encoding="utf-8"))):
            if match[1] in languages:
                found.append(pytest.param(match[2], id=f"{name}-{number}"))
    return found


def test_the_reference_of_settings_is_current() -> None:
    written = (ROOT / "docs/CONFIGURATION.md").read_text(encoding="utf-8")
    assert written == reference(), "run `make docs`"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_parse(code: str) -> None:
    ast.parse(code)


@pytest.mark.parametrize("code", blocks("sh", "bash"))
def test_shell_blocks_parse(code: str) -> None:
    done = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", blocks("toml"))
def test_toml_blocks_parse_and_name_settings(code: str) -> None:
    assert set(tomllib.loads(code)) <= set(Settings.model_fields)


@pytest.mark.parametrize("code", blocks("yaml"))
def test_yaml_blocks_parse(code: str) -> None:
    assert yaml.safe_load(code) is not None


@pytest.mark.parametrize(
    "code",
    [
        *blocks("typescript", "javascript"),
        pytest.param(typescript("http://127.0.0.1:8787", "anything"), id="clients"),
    ],
)
def test_typescript_blocks_parse(code: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    # None of them uses types, so they are JavaScript as well.
    done = subprocess.run(
        [node, "--check", "--input-type=module", "-"],
        input=code,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_client_snippets_parse() -> None:
    ast.parse(python("http://127.0.0.1:8787", "anything"))
    command = curl("http://127.0.0.1:8787", "anything")
    assert BETA in command
    done = subprocess.run(["bash", "-n"], input=command, text=True, check=False)
    assert done.returncode == 0


def test_variables_that_documents_name_exist() -> None:
    known = {f"FREEHOLD_{name.upper()}" for name in Settings.model_fields} | {"FREEHOLD_CONFIG"}
    # Of the compose file, not of the server.
    known |= {
        "FREEHOLD_POSTGRES_PASSWORD",
        "FREEHOLD_PUBLISH",
        "FREEHOLD_BASE",
        "FREEHOLD_BUILD_NETWORK",
    }
    unknown = set()
    for document in [*DOCUMENTS, ROOT / "docker-compose.yml", ROOT / "Dockerfile"]:
        named = set(re.findall(r"\bFREEHOLD_[A-Z_]*[A-Z]\b", document.read_text(encoding="utf-8")))
        unknown |= {f"{document.name}: {n}" for n in named - known if "_TEST_" not in n}
    assert unknown == set()


def test_links_to_files_lead_somewhere() -> None:
    broken = []
    for document in DOCUMENTS:
        for target in re.findall(
            r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")
        ):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert broken == []


def test_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        code = " ".join(re.findall(r"`(make [^`]+)`", document.read_text(encoding="utf-8")))
        assert set(re.findall(r"make ([a-z-]+)", code)) <= targets, document


def test_the_servers_requirements_are_part_of_the_locked_ones() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?==\S+)", text, re.MULTILINE))

    assert pins("requirements-server.lock") < pins("requirements.lock")


def test_the_compose_file_demands_keys_and_publishes_on_loopback() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    server = compose["services"]["server"]
    assert ":?" in server["environment"]["FREEHOLD_API_KEYS"]
    assert "127.0.0.1:8787" in server["ports"][0]
    assert server["cap_drop"] == ["ALL"]


def test_the_tutorial_runs_as_written(
    server: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anything")
    text = (ROOT / "docs/TUTORIAL.md").read_text(encoding="utf-8")
    code = [match[2] for match in _BLOCK.finditer(text) if match[1] == "python"]
    names: dict[str, Any] = {}
    for block in code[:-1]:
        exec(block, names)  # noqa: S102 - our own documents
    # What `resume` is for: from the first event on, everything up to idle is told again.
    first = next(iter(names["client"].beta.sessions.events.list(names["session"].id)))
    capsys.readouterr()
    names["resume"](first.id)
    assert capsys.readouterr().out.splitlines()[-1] == "session.status_idle"
    exec(code[-1], names)  # noqa: S102 - our own documents
    assert names["client"].beta.sessions.list().data == []


def test_the_readmes_program_runs_as_written(
    server: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anything")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = (m[2] for m in _BLOCK.finditer(text) if "sessions.events.stream" in m[2])
    exec(program, {})  # noqa: S102 - our own documents
    assert capsys.readouterr().out.strip()
