"""Keys and installations."""

from __future__ import annotations

import uuid

import pytest
from pydantic import SecretStr

from freehold.api.auth import Keys, organization_id
from freehold.errors import Unauthenticated


@pytest.mark.parametrize(
    ("x_api_key", "authorization", "opens"),
    [
        ("one", None, True),
        (None, "Bearer two", True),
        ("wrong", "Bearer one", True),
        ("one", "Bearer wrong", True),
        ("one ", None, True),
        ("on", None, False),
        ("onee", None, False),
        (None, "Basic one", False),
        (None, "one", False),
        ("", "Bearer", False),
        (None, None, False),
    ],
)
def test_configured_keys(x_api_key: str | None, authorization: str | None, opens: bool) -> None:
    keys = Keys([SecretStr("one"), SecretStr("two")])
    if opens:
        keys.check(x_api_key, authorization)
    else:
        with pytest.raises(Unauthenticated) as caught:
            keys.check(x_api_key, authorization)
        assert "wrong" not in caught.value.message
        assert caught.value.should_retry is False


def test_bytes_that_are_no_text_are_just_a_wrong_key() -> None:
    with pytest.raises(Unauthenticated):
        Keys([SecretStr("one")]).check("\udcff\xff", None)


def test_an_organization_is_a_database_not_its_password() -> None:
    one = organization_id("postgresql+psycopg://u:one@db/freehold")
    assert one == organization_id("postgresql+psycopg://u:two@db/freehold")
    assert one != organization_id("postgresql+psycopg://u:one@db/other")
    assert str(uuid.UUID(one)) == one
