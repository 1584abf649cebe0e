"""Secrets at rest."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

import pytest

from freehold.errors import ConfigurationError, SecretUnreadable
from freehold.store.sealing import Sealer


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_what_is_sealed_can_be_opened_by_its_owner_alone() -> None:
    sealer = Sealer.of_text(key())
    sealed = sealer.seal("vcrd_a", {"token": "hush-hush"})
    assert sealer.open("vcrd_a", sealed) == {"token": "hush-hush"}
    assert "hush" not in sealed
    assert sealer.seal("vcrd_a", {"token": "hush-hush"}) != sealed
    with pytest.raises(SecretUnreadable, match="damaged"):
        sealer.open("vcrd_b", sealed)
    for damaged in (sealed[:-8] + "AAAAAAA=", "v1", sealed.replace("v1.", "v2."), ""):
        with pytest.raises(SecretUnreadable):
            sealer.open("vcrd_a", damaged)


def test_keys_are_replaced_by_putting_another_before_them() -> None:
    old, new = key(), key()
    sealed = Sealer.of_text(old).seal("x", {"a": 1})
    both = Sealer.of_text(f"{new}, {old}")
    assert both.open("x", sealed) == {"a": 1}
    assert not both.is_current(sealed)
    assert both.is_current(both.seal("x", {"a": 1}))
    with pytest.raises(SecretUnreadable, match="another key"):
        Sealer.of_text(new).open("x", sealed)


@pytest.mark.parametrize("text", ["", " , ", "short", base64.b64encode(b"x" * 31).decode(), "ä"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_SECRET_KEY"):
        Sealer.of_text(text)


def test_the_key_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    first = Sealer.of_file(path)
    assert not path.exists()
    sealed = first.seal("x", {"a": 1})
    assert path.stat().st_mode & 0o777 == 0o600
    assert Sealer.of_file(path).open("x", sealed) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]
    path.write_text(f"{key()}\n{path.read_text()}")
    rotated = Sealer.of_file(path)
    assert rotated.open("x", sealed) == {"a": 1}
    assert not rotated.is_current(sealed)
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="holds no key"):
        Sealer.of_file(path).seal("x", {})


def test_a_key_file_that_others_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secret.key"
    path.write_text(key())
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, logger="freehold.store.sealing"):
        Sealer.of_file(path).seal("x", {})
    assert "chmod 600" in caplog.text
