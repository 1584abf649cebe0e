"""Deployments, webhooks and workspaces that nobody should have."""

from __future__ import annotations

from typing import Any

from tests.security.hostile.kinds import ADMIN, HOOKS, Hostile, post

DEPLOYMENTS = "/v1/deployments"
WEBHOOKS = "/v1/organizations/webhooks"
WORKSPACES = "/v1/organizations/workspaces"


def deployed(**fields: Any) -> dict[str, Any]:
    said = {"type": "user.message", "content": [{"type": "text", "text": "hi"}]}
    return {
        "name": "hostile",
        "agent": "@agent@",
        "environment_id": "@environment@",
        "initial_events": [said],
        **fields,
    }


def cron(name: str, expression: Any, timezone: Any = "UTC") -> Hostile:
    schedule = {"type": "cron", "expression": expression, "timezone": timezone}
    return post(name, DEPLOYMENTS, deployed(schedule=schedule))


def hook(name: str, url: Any, **fields: Any) -> Hostile:
    body = {"url": url, "enabled_events": ["agent.created"], **fields}
    return post(name, WEBHOOKS, body, HOOKS)


SCHEDULES = [
    cron("six fields", "* * * * * *"),
    cron("four fields", "* * * *"),
    cron("a word for a schedule", "@reboot"),
    cron("a minute that is none", "60 * * * *"),
    cron("an hour that is none", "0 24 * * *"),
    cron("a day that never comes", "0 0 30 2 *"),
    cron("a thirteenth month", "0 0 1 13 *"),
    cron("a day of the week that is none", "0 0 * * 8"),
    cron("steps of zero", "*/0 * * * *"),
    cron("steps of 2^64", "*/18446744073709551616 * * * *"),
    cron("a range the wrong way round", "9-1 * * * *"),
    cron("a range without an end", "1- * * * *"),
    cron("a negative minute", "-1 * * * *"),
    cron("the last day", "0 0 L * *"),
    cron("both days", "0 0 1 * 1"),
    cron("letters", "a b c d e"),
    cron("other digits", "\u0661 * * * *"),
    cron("commas", ",,,,, * * * *"),
    cron("a list of five thousand minutes", ",".join(["0"] * 5000) + " * * * *"),
    cron("a program for a schedule", "* * * * * root id"),
    cron("a schedule that is a number", 5),
    cron("a zone that climbs", "0 0 * * *", "../../../etc/passwd"),
    cron("a zone at the root", "0 0 * * *", "/etc/localtime"),
    cron("a zone on Mars", "0 0 * * *", "Mars/Olympus"),
    cron("a zone with a line break", "0 0 * * *", "UTC\n"),
    cron("a zone that is a folder", "0 0 * * *", "Europe"),
    cron("a zone of a thousand letters", "0 0 * * *", "A" * 1000),
    post("a schedule of no type", DEPLOYMENTS, deployed(schedule={"type": "rate"})),
    post("a deployment of no events", DEPLOYMENTS, deployed(initial_events=[])),
    post("a deployment of the agent's events", DEPLOYMENTS, deployed(initial_events=[{"type": "agent.message"}])),
    post("a deployment with overrides", DEPLOYMENTS, deployed(agent={"type": "agent_with_overrides", "id": "@agent@"})),
    post("a deployment of nobody's agent", DEPLOYMENTS, deployed(agent="agent_011CZkYpogX7uDKUyvBTophP")),
    post("a run of nothing", "/v1/deployments/..%2f..%2fx/run", b"", content_type="application/json"),
]  # fmt: skip

HOOK_URLS = {
    "at the machine itself": "https://127.0.0.1/a",
    "at the machine's name": "https://localhost/a",
    "at the metadata": "http://169.254.169.254/latest/meta-data",
    "at the metadata over TLS": "https://169.254.169.254/",
    "in a private network": "https://10.0.0.1/a",
    "in decimal": "https://2130706433/",
    "in octal": "https://0177.0.0.1/",
    "in hexadecimal": "https://0x7f000001/",
    "of two parts": "https://127.1/",
    "in IPv6": "https://[::1]/",
    "in IPv6 for IPv4": "https://[::ffff:127.0.0.1]/",
    "in the network of carriers": "https://100.64.0.1/",
    "of nobody": "https://0.0.0.0/",
    "of everybody": "https://255.255.255.255/",
    "without TLS": "http://hooks.example.com/a",
    "on another port": "https://hooks.example.com:22/",
    "with a password": "https://a:b@hooks.example.com/",
    "of a file": "file:///etc/passwd",
    "of gopher": "gopher://hooks.example.com/",
    "of a script": "javascript:alert(1)",
    "with a line break": "https://hooks.example.com/\r\nX: y",
    "in other letters": "https://h\u00f6\u00f6ks.example.com/",
    "with a full stop at the machine's name": "https://localhost./",
    "inside": "https://db.internal/",
    "of nothing": "",
    "of no host": "https:///a",
    "that is an object": {"url": "x"},
}
ORGANIZATION = [
    *(hook(f"a webhook {name}", url) for name, url in HOOK_URLS.items()),
    hook("a webhook for no events", "https://hooks.example.com/", enabled_events=[]),
    hook("a webhook for everything", "https://hooks.example.com/", enabled_events=["*"]),
    hook("a webhook with a secret of one's own", "https://hooks.example.com/", signing_secret="whsec_x"),
    post("a workspace without a name", WORKSPACES, {"name": ""}, ADMIN),
    post("a workspace of another colour", WORKSPACES, {"name": "a", "display_color": "red"}, ADMIN),
    post("a workspace with a line break in its colour", WORKSPACES, {"name": "a", "display_color": "#112233\n"}, ADMIN),
    post("a workspace elsewhere", WORKSPACES, {"name": "a", "data_residency": {"workspace_geo": "moon"}}, ADMIN),
    post("a tag of theirs", WORKSPACES, {"name": "a", "tags": {"anthropic_x": "y"}}, ADMIN),
    post("the first workspace archived", f"{WORKSPACES}/wrkspc_0111111111111111111111/archive", {}, ADMIN),
]  # fmt: skip

ALL = [*SCHEDULES, *ORGANIZATION]
