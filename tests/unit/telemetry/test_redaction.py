from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from freehold.telemetry import MASK, Redactor
from freehold.telemetry.redaction import is_secret_key

CANARY = "canary7Zq93hX"


@pytest.mark.parametrize(
    "text",
    [
        f"key sk-ant-api03-{CANARY}-x is bad",
        f"signed with whsec_{CANARY}+/=",
        f"Authorization: Bearer {CANARY}",
        f"authorization: Basic {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f'{{"x-api-key": "{CANARY}"}}',
        f"x-api-key={CANARY}",
        f"(b'x-api-key', b'{CANARY}')",
        f"Cookie: session={CANARY}",
        f"the server said: bearer {CANARY} is unknown",
        f"postgresql+psycopg://freehold:{CANARY}@db/freehold",
        f"FREEHOLD_MODEL_API_KEY={CANARY}",
        f"GITHUB_TOKEN={CANARY}",
        f"PGPASSWORD = {CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_text_in_the_shape_of_a_secret_is_masked(text: str) -> None:
    shown = Redactor().text(text)
    assert CANARY not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=1234 output_tokens=56",
        "bearer authentication is required",
        "basic functionality",
        "https://example.com:8443/path@2",
        "session sesn_01abc waits for the credential vcrd_01abc",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "key",
    ["api_key", "apiKey", "x-api-key", "API_KEYS", "Authorization", "password", "client_secret",
     "token", "vault_token", "accessToken", "credentials", "Set-Cookie", "private_key"],
)  # fmt: skip
def test_names_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    ["input_tokens", "max_tokens", "credential_id", "api_key_id", "secret_name", "event", "key",
     "session_id", "tokens", "token_count", "", "authorization_url"],
)  # fmt: skip
def test_names_that_are_not_secrets(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": CANARY},
        {"outer": [{"inner": {"password": CANARY}}]},
        {"headers": [(b"Authorization", CANARY.encode())]},
        {"headers": [("x-api-key", CANARY)]},
        {"token": {"value": CANARY}},
        {"secret": [CANARY]},
        {"anything": SecretStr(CANARY)},
        {"note": f"Bearer {CANARY}".encode()},
        {f"sk-ant-{CANARY}": 1},
        {"error": ValueError(f"Authorization: Bearer {CANARY}")},
    ],
)
def test_structures_are_masked_at_any_depth(value: Any) -> None:
    assert CANARY not in repr(Redactor().value(value))


def test_circular_structures_end() -> None:
    loop: dict[str, Any] = {"password": CANARY}
    loop["self"] = loop
    assert CANARY not in repr(Redactor().value(loop))


def test_what_it_is_given_is_not_changed() -> None:
    value = {"api_key": CANARY, "list": [{"token": CANARY}]}
    Redactor().value(value)
    assert value == {"api_key": CANARY, "list": [{"token": CANARY}]}


def test_facts_about_secrets_are_not_secret() -> None:
    value = {"api_key": None, "token": True, "usage": {"input_tokens": 3}}
    assert Redactor().value(value) == value


@given(secret=st.text(min_size=6), before=st.text(), after=st.text())
def test_a_named_secret_never_comes_through(secret: str, before: str, after: str) -> None:
    # The mask itself, and what the mask and its surroundings happen to spell, is not a leak.
    shown = Redactor([secret]).text(before + secret + after)
    if secret not in before + MASK + after and secret not in MASK:
        assert secret not in shown


def test_a_key_that_begins_with_another_leaves_no_tail() -> None:
    assert Redactor(["fh-key-1", "fh-key-1-longer"]).text("fh-key-1-longer") == MASK
