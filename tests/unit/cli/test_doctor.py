from __future__ import annotations

import socket
from pathlib import Path

import pytest

from .conftest import Run

CANARY = "canary7Zq93hX"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_MODEL", "scripted")
    monkeypatch.setenv("FREEHOLD_SANDBOX", "scripted")
    monkeypatch.setenv("FREEHOLD_PORT", "0")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


def check(run: Run, expected: int) -> dict[str, str]:
    """Run the doctor; the status of each check."""
    result = run("doctor")
    assert result.exit_code == expected, result.output
    found = {}
    for line in result.stdout.splitlines():
        for status in ("ok", "warning", "error"):
            name, separator, _ = line.partition(f"  {status}  ")
            if separator and name.strip():
                found[name.strip()] = status
    return found


def test_all_is_well(run: Run) -> None:
    found = check(run, 0)
    assert {found[name] for name in ("python", "settings", "data dir", "database", "port")} == {
        "ok"
    }
    assert found["docker: engine"] == "warning"  # not needed for this sandbox
    assert not Path(".data").exists()  # looking changes nothing


def test_the_web(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(run("doctor").stdout.split())
    assert "web_fetch ok public addresses only" in words
    assert "web_search ok no provider, so agents are not offered it" in words
    monkeypatch.setenv("FREEHOLD_WEB_SEARCH", "brave")
    assert check(run, 1)["web"] == "error"
    monkeypatch.setenv("FREEHOLD_WEB_SEARCH_API_KEY", CANARY)
    monkeypatch.setenv("FREEHOLD_TRUSTED_NETWORKS", "10.0.0.0/8")
    found = check(run, 0)
    assert (found["web_fetch"], found["web_search"]) == ("ok", "ok")
    assert CANARY not in run("doctor").output
    assert CANARY not in run("config", "show").output


def test_models_beside_the_agents_own_want_a_price(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_WEB_SEARCH", "upstream")
    monkeypatch.setenv("FREEHOLD_WEB_SEARCH_MODEL", "claude-haiku-5-5")
    monkeypatch.setenv("FREEHOLD_AUTO_MODEL", "my-judge")
    assert check(run, 0)["prices"] == "warning"
    words = " ".join(run("doctor").stdout.split())
    assert "my-judge of FREEHOLD_AUTO_MODEL has no list price" in words
    assert "web_search ok upstream, by claude-haiku-5-5" in words
    monkeypatch.delenv("FREEHOLD_AUTO_MODEL")
    assert "prices" not in check(run, 0)


def test_where_mcp_connections_go(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(run("doctor").stdout.split())
    assert "mcp servers ok public addresses and 127.0.0.0/8, ::1/128" in words
    monkeypatch.setenv("FREEHOLD_API_KEYS", CANARY)
    words = " ".join(run("doctor").stdout.split())
    assert "mcp servers ok public addresses only" in words


def test_settings_that_cannot_be_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_PORT", CANARY)
    result = run("doctor")
    assert result.exit_code == 1
    assert "FREEHOLD_PORT" in result.stdout
    assert CANARY not in result.output


def test_spelling_mistakes_are_warnings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_PROT", "1")
    assert "FREEHOLD_PROT" in run("doctor").stdout


def test_no_keys_beyond_loopback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_HOST", "0.0.0.0")
    assert check(run, 1)["keys"] == "error"


def test_a_taken_port(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FREEHOLD_PORT", str(holder.getsockname()[1]))
        assert check(run, 1)["port"] == "error"


def test_a_data_dir_that_is_a_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("FREEHOLD_DATA_DIR", "file/data")
    assert check(run, 1)["data dir"] == "error"


def test_a_database_that_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("broken.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    monkeypatch.setenv("FREEHOLD_DATABASE_URL", "sqlite+aiosqlite:///broken.db")
    assert check(run, 1)["database"] == "error"


def test_a_database_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql+psycopg://me:{CANARY}@127.0.0.1:1/freehold"
    monkeypatch.setenv("FREEHOLD_DATABASE_URL", url)
    assert check(run, 1)["database"] == "error"
    assert CANARY not in run("doctor").output


def test_an_empty_database_will_be_migrated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("empty.db").touch()
    monkeypatch.setenv("FREEHOLD_DATABASE_URL", "sqlite+aiosqlite:///empty.db")
    assert "`serve` migrates" in " ".join(run("doctor").stdout.split())


def test_certificates_that_are_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_EXTRA_CA_CERTS", "absent.pem")
    assert check(run, 1)["CA certs"] == "error"
    Path("absent.pem").write_text("no certificate")
    assert check(run, 1)["CA certs"] == "error"


def test_an_engine_that_is_wanted_and_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_SANDBOX", "docker")
    assert "error" in check(run, 1).values()
    assert "DOCKER_HOST" in run("doctor").stdout


def test_a_model_key_that_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_MODEL", "upstream")
    monkeypatch.setenv("FREEHOLD_MODEL_BASE_URL", "http://127.0.0.1:1")
    found = check(run, 1)
    assert "error" in {status for name, status in found.items() if name.startswith("model")}
