from __future__ import annotations

from pathlib import Path

import pytest

from freehold import __version__
from freehold.settings import Settings

from .conftest import Run

CANARY = "canary7Zq93hX"


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"freehold {__version__}"


def test_a_wrong_setting_is_one_line_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_PORT", CANARY)
    result = run("config", "show")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: FREEHOLD_PORT:")
    assert len(result.stderr.splitlines()) == 1
    assert CANARY not in result.output


def test_config_show_masks_secrets_and_tells_sources(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    monkeypatch.setenv("FREEHOLD_API_KEYS", CANARY)
    monkeypatch.setenv("FREEHOLD_PROT", "1")
    Path("freehold.toml").write_text("port = 1234\n")
    result = run("config", "show")
    assert result.exit_code == 0
    assert CANARY not in result.output
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line}
    assert lines["FREEHOLD_PORT"] == ["FREEHOLD_PORT", "1234", "freehold.toml"]
    assert lines["FREEHOLD_MODEL_API_KEY"][-1] == "ANTHROPIC_API_KEY"
    assert lines["FREEHOLD_HOST"][-1] == "default"
    assert "FREEHOLD_PROT is not a setting" in result.stderr


def test_config_docs_names_every_setting(run: Run) -> None:
    text = run("config", "docs").stdout
    for name, field in Settings.model_fields.items():
        assert f"| `FREEHOLD_{name.upper()}` |" in text
        assert field.description, name


def test_serve_refuses_to_be_reached_without_keys(run: Run) -> None:
    result = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 1
    assert "FREEHOLD_API_KEYS" in result.stderr
    assert "127.0.0.1" in result.stderr


def test_serve_refuses_an_unknown_sandbox(run: Run) -> None:
    assert run("serve", "--sandbox", "cardboard").exit_code == 2


def test_no_engine_means_no_image(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    result = run("image", "build")
    assert result.exit_code == 1
    assert "no Docker engine answers" in result.stderr
    assert "FREEHOLD_SANDBOX=process" in result.stderr


def test_an_image_that_is_only_wished_for_is_no_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    result = run("image", "build", "--if-needed", "--if-possible")
    assert result.exit_code == 0
    assert "no Docker engine answers" in result.stderr
