"""Every row of the table of endpoints, called through the SDK's method that stands in it.

Each row has objects of its own. What a method needs besides the ids in its path is in
``ARGUMENTS``; which rows cannot be answered with success, in :mod:`tests.parity.status`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Stream
from anthropic._response import BinaryAPIResponse

from tests.parity.status import REFUSED
from tests.parity.world import MAKE, REMOTE, SKILL, World, administered, authority, said, world
from tests.support.endpoints import Endpoint, beyond, endpoints, sdk_method

Given = dict[str, Any]


def _message(_: World) -> Given:
    return {
        "model": REMOTE,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hi"}],
    }


ARGUMENTS: dict[str, Callable[[World], Given]] = {
    "agents.create": lambda _: {"name": "Helper", "model": "claude-opus-5"},
    "agents.update": lambda _: {"name": "Other"},
    "deployments.create": lambda w: {
        "name": "Nightly",
        "agent": w.agent(),
        "environment_id": w.environment(),
        "initial_events": [said("/say Done.")],
    },
    "deployments.update": lambda _: {"description": "Other"},
    "dreams.create": lambda w: {
        "inputs": [
            {"type": "memory_store", "memory_store_id": w.store()},
            {"type": "sessions", "session_ids": [w.session()]},
        ],
        "model": "claude-opus-5",
    },
    "environments.create": lambda _: {"name": "plain"},
    "environments.update": lambda _: {"description": "Other"},
    "environments.work.update": lambda _: {"metadata": {"a": "b"}},
    "files.upload": lambda _: {"file": ("a.txt", b"a")},
    "memory_stores.create": lambda _: {"name": "Notes"},
    "memory_stores.update": lambda _: {"name": "Other"},
    "memory_stores.memories.create": lambda _: {"path": "/b.md", "content": "b"},
    "memory_stores.memories.update": lambda _: {"content": "c"},
    "messages.create": _message,
    "messages.parse": _message,
    "messages.count_tokens": lambda w: {k: v for k, v in _message(w).items() if k != "max_tokens"},
    "organization.webhooks.create": lambda _: {
        "url": "https://hooks.example.com/other",
        "enabled_events": ["external_key.failed"],
    },
    "organization.webhooks.update": lambda _: {"name": "Other"},
    "organization.workspaces.create": lambda _: {"name": "Team"},
    "organization.workspaces.update": lambda _: {"name": "Other"},
    "sessions.create": lambda w: {"agent": w.agent(), "environment_id": w.environment()},
    "sessions.update": lambda _: {"title": "Other"},
    "sessions.events.send": lambda _: {"events": [said("/say Done.")]},
    "sessions.resources.add": lambda w: {"type": "file", "file_id": w.file()},
    "sessions.resources.update": lambda _: {"authorization_token": "t"},
    "skills.create": lambda _: {"files": [("reports/SKILL.md", SKILL)]},
    "skills.versions.create": lambda _: {"files": [("reports/SKILL.md", SKILL)]},
    "tunnels.certificates.create": lambda _: {"ca_certificate_pem": authority()},
    "user_profiles.action_urls.create": lambda _: {"action": {"type": "enroll_end_user"}},
    "vaults.create": lambda _: {"display_name": "Keys"},
    "vaults.update": lambda _: {"display_name": "Other"},
    "vaults.credentials.create": lambda _: {
        "auth": {"type": "static_bearer", "token": "t", "mcp_server_url": "https://example.com"}
    },
    "vaults.credentials.update": lambda _: {"display_name": "Other"},
}

OTHERS: dict[str, Callable[[World, dict[str, str]], str]] = {
    "dreams.archive/dream_id": World.canceled_dream,
    "environments.work/environment_id": World.own_environment,
    "files.download/file_id": World.output,
}
"""Who makes an object where not every object will do."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("endpoints")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with administered(tmp_path_factory.mktemp("closed")) as made:
        yield made


def ids_of(made: World, endpoint: Endpoint) -> dict[str, str]:
    """A new object for each id in the path."""
    ids: dict[str, str] = {}
    for parameter in endpoint.parameters:
        maker = OTHERS.get(f"{endpoint.resource}/{parameter}", MAKE[parameter])
        maker = OTHERS.get(f"{endpoint.name}/{parameter}", maker)
        ids[parameter] = maker(made, ids)
    return ids


def exhaust(answer: Any) -> None:
    """Take an answer to its end, whatever it is."""
    if isinstance(answer, BinaryAPIResponse):
        assert answer.read()
    elif isinstance(answer, Stream):
        answer.close()


@pytest.mark.parametrize(
    "endpoint",
    endpoints(),
    ids=lambda row: row.name,
)
def test_every_endpoint_is_served_through_its_method(whole: World, endpoint: Endpoint) -> None:
    call(whole, endpoint)


@pytest.mark.parametrize("endpoint", beyond(), ids=lambda row: row.name)
def test_the_organizations_methods_are_served(closed: World, endpoint: Endpoint) -> None:
    call(closed, endpoint)


def call(made: World, endpoint: Endpoint) -> None:
    """Call a row's method; it must ask what the row says and be answered."""
    given = ARGUMENTS.get(endpoint.name, lambda _: {})(made)
    ids = ids_of(made, endpoint)
    made.answers.clear()
    refused = REFUSED.get(endpoint.name)
    expected = pytest.raises(anthropic.APIStatusError) if refused else contextlib.nullcontext()
    with expected:
        exhaust(sdk_method(made.sdk, endpoint)(**ids, **given))
    (response,) = made.answers
    path = endpoint.path.format(**ids)
    assert (response.request.method, response.request.url.path) == (endpoint.method, path)
    if endpoint.beta != "-":
        assert endpoint.beta in response.request.headers["anthropic-beta"]
    if refused is None:
        assert response.status_code == 200
    else:
        status, message, _ = refused
        assert response.status_code == status
        assert response.json()["error"]["message"].startswith(message)


def test_what_is_said_by_hand_is_of_rows_that_there_are() -> None:
    rows = (*endpoints(), *beyond())
    assert set(REFUSED) | set(ARGUMENTS) <= {row.name for row in rows}
