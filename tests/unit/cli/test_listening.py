from __future__ import annotations

import socket

import pytest
from pydantic import SecretStr

from freehold.cli import listening
from freehold.errors import ConfigurationError
from freehold.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert listening.is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "no.such.invalid"])
def test_not_loopback(host: str) -> None:
    assert not listening.is_loopback(host)


def test_a_name_with_one_address_outside_is_not_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        return [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert not listening.is_loopback("both.example")


def test_without_keys_only_loopback() -> None:
    listening.require_keys_beyond_loopback(Settings(host="127.0.0.1"))
    listening.require_keys_beyond_loopback(Settings(host="0.0.0.0", api_keys=(SecretStr("k"),)))
    with pytest.raises(ConfigurationError, match="FREEHOLD_API_KEYS"):
        listening.require_keys_beyond_loopback(Settings(host="0.0.0.0"))


def test_a_free_port_is_picked() -> None:
    with listening.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert listening.url_of(listener, "127.0.0.1") == f"http://127.0.0.1:{port}"
        assert listening.url_of(listener, "0.0.0.0") == f"http://127.0.0.1:{port}"
        assert listening.url_of(listener, "::1") == f"http://[::1]:{port}"


def test_a_taken_port_is_told() -> None:
    with listening.listen("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"FREEHOLD_PORT: {port}"):
            listening.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.invalid"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_HOST"):
        listening.listen(host, 0)
