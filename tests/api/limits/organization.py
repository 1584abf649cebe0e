"""Limits of workspaces, API keys and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.api.limits.kinds import VALUE, Bounds, Call, Items, Row, Text, Whole, listed, start_and
from tests.api.limits.metadata import Entry

ROOT = "/v1/organizations"
BETA = {"anthropic-beta": "webhooks-2026-10-07"}
HOOK = "https://hooks.example.com/a"
hook_url = start_and("https://hooks.example.com/")


def workspace(**fields: Any) -> Call:
    return Call("POST", f"{ROOT}/workspaces", {"name": "limits", **fields})


def changing_workspace(**fields: Any) -> Call:
    return Call("POST", f"{ROOT}/workspaces/{{workspace}}", fields)


def hook(**fields: Any) -> Call:
    body = {"url": HOOK, "enabled_events": ["agent.created"], **fields}
    return Call("POST", f"{ROOT}/webhooks", body, headers=BETA)


def changing_hook(**fields: Any) -> Call:
    return Call("POST", f"{ROOT}/webhooks/{{webhook}}", fields, headers=BETA)


def listing(path: str, **query: Any) -> Call:
    headers = BETA if path == "webhooks" else {}
    return Call("GET", f"{ROOT}/{path}", query=query or {"limit": VALUE}, headers=headers)


def tags_of(count: int) -> Any:
    return {f"key{number}": "value" for number in range(count)}


def _tags(what: str, bounds: Bounds, constant: str, refusal: str) -> Row:
    return Row(
        f"tags of a workspace: {what}",
        bounds,
        "ours",
        workspace(tags=VALUE),
        constant=constant,
        declared=False,
        refusal=refusal,
    )


def _hooks(model: str, call: Callable[..., Call]) -> list[Row]:
    return [
        Row(
            f"{model}.url",
            Text(1, 2048, hook_url, astral=False),
            "ours",
            call(url=VALUE),
            elsewhere="it is no URL",
            elsewhere_at=("least",),
        ),
        Row(f"{model}.name", Text(0, 255), "ours", call(name=VALUE)),
        Row(f"{model}.description", Text(0, 1024), "ours", call(description=VALUE)),
    ]


ROWS = [
    Row("WorkspaceCreateParams.name", Text(1, 40), "the SDK's text", workspace(name=VALUE)),
    Row(
        "WorkspaceUpdateParams.name", Text(1, 40), "the SDK's text", changing_workspace(name=VALUE)
    ),
    _tags("entries", Items(0, 50, tags_of), "TAGS", "^tags: at most 50 are allowed$"),
    _tags("key", Entry(Text(1, 64), "key"), "METADATA_KEY", "^tags: a key has 1 to 64 char"),
    _tags(
        "value", Entry(Text(0, 512), "value"), "METADATA_VALUE", "^tags.key: .* at most 512 char"
    ),
    Row(
        "WorkspaceListQuery.limit",
        Whole(1, 1000),
        "the SDK's text",
        listing("workspaces"),
        shown=None,
    ),
    Row(
        "WorkspaceListQuery.ids",
        Items(0, 100, listed(lambda number: f"wrkspc_{number}")),
        "the SDK's text",
        listing("workspaces", **{"ids[]": VALUE}),
        at="ids",
        shown=None,
    ),
    Row("ApiKeyListQuery.limit", Whole(1, 1000), "the SDK's text", listing("api_keys"), shown=None),
    Row(
        "ApiKeyUpdateParams.name",
        Text(1, 500),
        "ours",
        Call("POST", f"{ROOT}/api_keys/{{key}}", {"name": VALUE}),
    ),
    *_hooks("WebhookCreateParams", hook),
    *_hooks("WebhookUpdateParams", changing_hook),
    Row(
        "WebhookCreateParams.enabled_events",
        Items(1, None, listed(lambda _: "agent.created")),
        "20.1",
        hook(enabled_events=VALUE),
    ),
    Row("WebhookListQuery.limit", Whole(0, 100), "1.8", listing("webhooks"), shown=None),
]
