"""Keys and installations."""

from __future__ import annotations

import uuid

import pytest
from pydantic import SecretStr

from freehold.api.auth import Keys, organization_id
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import Unauthenticated
from tests.support.issued import NoneIssued


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
async def test_configured_keys(
    x_api_key: str | None, authorization: str | None, opens: bool
) -> None:
    keys = Keys([SecretStr("one"), SecretStr("two")], NoneIssued())
    if opens:
        found = await keys.check(x_api_key, authorization)
        assert (found.kind, found.workspace_id) == ("workspace", DEFAULT_WORKSPACE)
    else:
        with pytest.raises(Unauthenticated) as caught:
            await keys.check(x_api_key, authorization)
        assert "wrong" not in caught.value.message
        assert caught.value.should_retry is False


async def test_bytes_that_are_no_text_are_just_a_wrong_key() -> None:
    with pytest.raises(Unauthenticated):
        await Keys([SecretStr("one")], NoneIssued()).check("\udcff\xff", None)


def test_an_organization_is_a_database_not_its_password() -> None:
    one = organization_id("postgresql+psycopg://u:one@db/freehold")
    assert one == organization_id("postgresql+psycopg://u:two@db/freehold")
    assert one != organization_id("postgresql+psycopg://u:one@db/other")
    assert str(uuid.UUID(one)) == one
