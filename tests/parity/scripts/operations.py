"""Deployments, their runs, work queues, webhooks, models, messages, and what all routes share."""

from __future__ import annotations

from typing import Any

from freehold.core.keys import Scope
from tests.parity.held import payloads
from tests.parity.script import Script, inferred, recorded, typed
from tests.parity.scripts.definitions import ABSENT, TEXTS
from tests.parity.world import REMOTE, authority, mint, said

CRON = {"type": "cron", "expression": "0 3 * * *", "timezone": "Europe/Oslo"}


def deployments(s: Script) -> None:
    w = s.world
    path = "POST /v1/deployments"
    plain: dict[str, Any] = {
        "name": "Nightly",
        "agent": w.agent(),
        "environment_id": w.environment(),
        "initial_events": [said("Go")],
    }
    given = {**plain, "schedule": CRON}
    # The example shows one of the runs to come.
    but = ("schedule.upcoming_runs_at",)
    made = s("create", recorded("C.1 Deployment"), path, given, payload="deployment", but=but)
    url = f"/v1/deployments/{made['id']}"
    s("get", recorded("C.1 Deployment"), f"GET {url}", payload="deployment", but=but)
    s("create: the least", typed("13.2"), path, plain)
    s("list", typed(), "GET /v1/deployments?limit=1")
    s("list: the last page", recorded("1.8"), "GET /v1/deployments")
    s("update", typed("13.2"), f"POST {url}", {"description": "At night.", "metadata": {"a": "b"}})
    s("update: no schedule", typed("13.2"), f"POST {url}", {"schedule": None})
    s("pause", typed("13.2"), f"POST {url}/pause")
    s("pause: again", inferred("13.3"), f"POST {url}/pause")
    s("unpause", typed("13.2"), f"POST {url}/unpause")
    s("unpause: again", inferred("13.3"), f"POST {url}/unpause")
    both = "GET /v1/deployments?status=active&include_archived=true"
    s("list: both filters", recorded(TEXTS), both, refusal="deployment-filters")
    for refusal, expression in (
        ("cron-fields", "0 0 3 * * *"),
        ("cron-days", "0 3 1 * 1"),
        ("cron-never", "0 3 30 2 *"),
    ):
        body = {**plain, "schedule": {**CRON, "expression": expression}}
        s(f"create: {refusal}", recorded(TEXTS), path, body, refusal=refusal)
    s("create: unknown field", recorded(TEXTS), path, {**plain, "x": 1}, refusal="field-unknown")
    body = {**plain, "environment_id": f"env_{ABSENT}"}
    s("create: absent environment", recorded(TEXTS), path, body, refusal="environment-absent")
    s("get: absent", inferred("text"), f"GET /v1/deployments/depl_{ABSENT}", status=404)
    s("archive", typed("13.2"), f"POST {url}/archive")
    s("archive: again", inferred("as recorded elsewhere"), f"POST {url}/archive")
    s(
        "update: archived",
        recorded(TEXTS),
        f"POST {url}",
        {"name": "b"},
        refusal="deployment-archived",
    )
    s("run: archived", inferred("text"), f"POST {url}/run", status=400)


def deployment_runs(s: Script) -> None:
    w = s.world
    environment = w.environment()
    one = w.deployment(environment_id=environment)
    made = s("run", typed("13.3"), f"POST /v1/deployments/{one}/run")
    session = f"GET /v1/sessions/{made['session_id']}"
    s("run: its session", recorded("13.3"), session)
    w.sdk.beta.environments.delete(environment)
    # The example was run by its schedule.
    failed = s(
        "run: that fails",
        recorded("C.1 Deployment run"),
        f"POST /v1/deployments/{one}/run",
        payload="deployment run",
        but=("trigger_context", "error.message"),
    )
    known = "session creation rejected: environment `…` not found"
    begin, end = known.split("…")
    assert failed["error"]["message"].startswith(begin)
    assert failed["error"]["message"].endswith(end)
    s("get", typed("13.3"), f"GET /v1/deployment_runs/{made['id']}")
    s("list", typed(), "GET /v1/deployment_runs?limit=1")
    s("list: the last page", recorded("1.8"), f"GET /v1/deployment_runs?deployment_id={one}")
    s("list: failed", typed("13.1"), "GET /v1/deployment_runs?has_error=true")
    unknown = f"GET /v1/deployment_runs?deployment_id=depl_{ABSENT}"
    s("list: of an absent deployment", typed("13.1"), unknown)
    s("list: bad cursor", typed("13.1"), "GET /v1/deployment_runs?page=nonsense", status=400)
    s("get: absent", inferred("text"), f"GET /v1/deployment_runs/drun_{ABSENT}", status=404)


def work(s: Script) -> None:
    w = s.world
    environment = w.own_environment()
    url = f"/v1/environments/{environment}/work"
    workspace = w.http.get("/v1/environments").headers["anthropic-workspace-id"]
    key = mint(w.server, Scope("environment", workspace, environment)).text
    bearer = {"x-api-key": "", "authorization": f"Bearer {key}"}
    s("poll: nothing", typed("4.1"), f"GET {url}/poll", headers=bearer)
    s("stats: none", typed("4.2"), f"GET {url}/stats")
    w.session(environment_id=environment)
    polled = s(
        "poll",
        recorded("C.1 Work item"),
        f"GET {url}/poll",
        headers={**bearer, "anthropic-worker-id": "worker-1"},
        payload="work item",
        but=WORK_DIFFERS,
    )
    one = f"{url}/{polled['id']}"
    s("stats", recorded("C.1 Queue stats"), f"GET {url}/stats", payload="queue stats", but=STATS)
    s("get", typed("4.2"), f"GET {one}")
    s("get: by a worker", recorded("1.6"), f"GET {one}", headers=bearer, status=403)
    s("list", typed(), f"GET {url}?limit=1")
    s("update", typed("4.1"), f"POST {one}", {"metadata": {"a": "b"}})
    s("update: nothing", recorded(TEXTS), f"POST {one}", {}, refusal="work-metadata")
    s("ack", typed("4.3"), f"POST {one}/ack", headers=bearer)
    beat = f"POST {one}/heartbeat"
    first = s(
        "heartbeat",
        recorded("C.1 Heartbeat"),
        f"{beat}?expected_last_heartbeat=NO_HEARTBEAT",
        headers=bearer,
        payload="heartbeat",
    )
    s("ack: again", recorded(TEXTS), f"POST {one}/ack", headers=bearer, refusal="work-ack")
    lost = s(
        "heartbeat: another's",
        recorded("4.3"),
        f"{beat}?expected_last_heartbeat=x",
        headers=bearer,
        status=412,
    )
    (known,) = [one for one in payloads()["errors"] if "details" in one["error"]]
    visible = ("error.details.error_visibility", "error.message", "request_id")
    s.hold("heartbeat: another's", known, lost, visible)
    echo = first["last_heartbeat"].replace("+", "%2B")
    s(
        "heartbeat: a wish",
        recorded("4.3"),
        f"{beat}?expected_last_heartbeat={echo}&desired_ttl_seconds=120",
        headers=bearer,
    )
    s("stop", recorded("4.3"), f"POST {one}/stop", {}, headers=bearer)
    s("stop: by force", recorded("4.3"), f"POST {one}/stop", {"force": True}, headers=bearer)
    s("stop: again", recorded("4.3"), f"POST {one}/stop", {}, headers=bearer)
    s(
        "poll: reclaim",
        recorded(TEXTS),
        f"GET {url}/poll?reclaim_older_than_ms=0",
        headers=bearer,
        refusal="work-reclaim",
    )
    s("get: malformed id", recorded(TEXTS), f"GET {url}/nonsense", refusal="work-id")
    s("get: absent", inferred("text"), f"GET {url}/work_{ABSENT}", status=404)
    cloud = f"/v1/environments/{w.environment()}/work"
    s("poll: cloud", recorded(TEXTS), f"GET {cloud}/poll", refusal="work-cloud")
    s("list: cloud", recorded(TEXTS), f"GET {cloud}", refusal="work-list-cloud")
    s("stats: cloud", typed("4.1"), f"GET {cloud}/stats")
    other = f"/v1/environments/{w.own_environment()}/work/poll"
    s(
        "poll: another's key",
        recorded(TEXTS),
        f"GET {other}",
        headers=bearer,
        refusal="key-other-environment",
    )
    s("agents by a worker", recorded(TEXTS), "GET /v1/agents", headers=bearer, refusal="key-agents")
    deleted = f"DELETE /v1/environments/{environment}?force=true"
    s("", typed(), deleted, keep=False)
    gone = "environment-absent"
    s("poll: deleted", recorded("3.2"), f"GET {url}/poll", headers=bearer, refusal=gone)
    s("skills by a worker", recorded(TEXTS), "GET /v1/skills", headers=bearer, refusal="key-scope")


WORK_DIFFERS = ("secret", "started_at")
"""Recorded items were stamped when they were queued (4.2); the example's was not."""
STATS = ("depth", "pending", "oldest_queued_at")
"""The example's item was not polled yet."""


def webhooks(s: Script) -> None:
    path = "POST /v1/organizations/webhooks"
    given = {"url": "https://hooks.example.com/a", "enabled_events": ["external_key.failed"]}
    made = s("create", typed("20.1"), path, given)
    url = f"/v1/organizations/webhooks/{made['id']}"
    s("get", typed("20.1"), f"GET {url}")
    s("list", typed("20.1"), "GET /v1/organizations/webhooks")
    s("update", typed("20.1"), f"POST {url}", {"name": "Ours", "enabled_events": []})
    s("update: disabled", typed("20.1"), f"POST {url}", {"state": "disabled"})
    s("regenerate", typed("20.1"), f"POST {url}/regenerate_signing_secret")
    plain = {**given, "url": "ftp://hooks.example.com"}
    s("create: not https", inferred("text"), path, plain, status=400)
    s("create: no events", typed("20.1"), path, {**given, "enabled_events": []}, status=400)
    s(
        "create: unknown event",
        inferred("text"),
        path,
        {**given, "enabled_events": ["x"]},
        status=400,
    )
    s("get: absent", inferred("text"), f"GET /v1/organizations/webhooks/whep_{ABSENT}", status=404)
    s("list: no beta", inferred("1.2"), "GET /v1/organizations/webhooks", beta="", status=404)
    s("delete", typed("20.1"), f"DELETE {url}")


DREAMING = "dreaming-2026-04-21"


def dreams(s: Script) -> None:
    w = s.world
    inputs = [
        {"type": "memory_store", "memory_store_id": w.store()},
        {"type": "sessions", "session_ids": [w.session()]},
    ]
    path = "POST /v1/dreams"
    body = {"inputs": inputs, "model": "claude-opus-5"}
    made = s("create", recorded("C.1 Dream"), path, body, beta=DREAMING, payload="dream")
    url = f"/v1/dreams/{made['id']}"
    # How far it has come by then is chance.
    far = ("session_id", "outputs", "usage")
    s("cancel", typed("18"), f"POST {url}/cancel", beta=DREAMING, vary=far)
    s("cancel: again", typed("18"), f"POST {url}/cancel", beta=DREAMING, vary=far)
    s("get", typed("18"), f"GET {url}", beta=DREAMING, vary=far)
    s("list", typed("18"), "GET /v1/dreams?limit=1", beta=DREAMING, vary=far)
    s("list: none so far", typed("18"), "GET /v1/dreams?statuses[]=completed", beta=DREAMING)
    s("archive", typed("18"), f"POST {url}/archive", beta=DREAMING, vary=far)
    s("archive: again", recorded("1.10"), f"POST {url}/archive", beta=DREAMING, vary=far)
    s(
        "create: one input",
        typed("18"),
        path,
        {**body, "inputs": inputs[:1]},
        beta=DREAMING,
        status=400,
    )
    s("get: no beta", recorded("1.2"), f"GET {url}", status=404)
    s("get: absent", inferred("text"), f"GET /v1/dreams/drm_{ABSENT}", beta=DREAMING, status=404)


TUNNELS = "mcp-tunnels-2026-06-22"


def tunnels(s: Script) -> None:
    path = "POST /v1/tunnels"
    made = s("create", typed("19"), path, {"display_name": "Office"}, beta=TUNNELS)
    url = f"/v1/tunnels/{made['id']}"
    s("create: the least", typed("19"), path, {}, beta=TUNNELS)
    s("get", typed("19"), f"GET {url}", beta=TUNNELS)
    s("list", typed("19"), "GET /v1/tunnels?limit=1", beta=TUNNELS)
    s("list: the last page", recorded("1.8"), "GET /v1/tunnels", beta=TUNNELS)
    s("reveal", typed("19"), f"POST {url}/reveal_token", beta=TUNNELS)
    s("rotate", typed("19"), f"POST {url}/rotate_token", {"reason": "lost"}, beta=TUNNELS)
    s("get: absent", inferred("text"), f"GET /v1/tunnels/tnl_{ABSENT}", beta=TUNNELS, status=404)
    s("archive", typed("19"), f"POST {url}/archive", beta=TUNNELS)
    s("archive: again", inferred("as recorded elsewhere"), f"POST {url}/archive", beta=TUNNELS)
    s("reveal: archived", inferred("text"), f"POST {url}/reveal_token", beta=TUNNELS, status=400)


def certificates(s: Script) -> None:
    url = f"/v1/tunnels/{s.world.tunnel()}/certificates"
    given = {"ca_certificate_pem": authority()}
    made = s("create", typed("19"), f"POST {url}", given, beta=TUNNELS)
    one = f"{url}/{made['id']}"
    s("get", typed("19"), f"GET {one}", beta=TUNNELS)
    s("list", typed("19"), f"GET {url}", beta=TUNNELS)
    none = {"ca_certificate_pem": "nonsense"}
    s("create: none", inferred("text"), f"POST {url}", none, beta=TUNNELS, status=400)
    s("get: absent", inferred("text"), f"GET {url}/tcrt_{ABSENT}", beta=TUNNELS, status=404)
    s("archive", typed("19"), f"POST {one}/archive", beta=TUNNELS)
    s("archive: again", inferred("as recorded elsewhere"), f"POST {one}/archive", beta=TUNNELS)


AUGUST = "user-profiles-2026-08-18"


def user_profiles(s: Script) -> None:
    path = "POST /v1/user_profiles"
    given = {"name": "Ada", "external_id": "user-1", "metadata": {"plan": "gold"}}
    made = s("create", typed("19"), path, given, beta=AUGUST)
    url = f"/v1/user_profiles/{made['id']}"
    s("create: the least", typed("19"), path, {}, beta=AUGUST)
    s("get", typed("19"), f"GET {url}", beta=AUGUST)
    s("get: March", typed("19"), f"GET {url}", beta="user-profiles-2026-03-24")
    s("get: September", typed("19"), f"GET {url}", beta="user-profiles-2026-09-04")
    s("get: no beta", typed("19"), f"GET {url}", beta="")
    s("list", typed("19"), "GET /v1/user_profiles?limit=1", beta=AUGUST)
    s("list: the last page", recorded("1.8"), "GET /v1/user_profiles", beta=AUGUST)
    s("update", typed("19"), f"POST {url}", {"metadata": {"plan": ""}}, beta=AUGUST)
    s("enrollment", inferred("no programs"), f"POST {url}/enrollment_url", beta=AUGUST, status=400)
    action = {"action": {"type": "enroll_end_user"}}
    s("action", inferred("no programs"), f"POST {url}/action_urls", action, beta=AUGUST, status=400)
    absent = f"GET /v1/user_profiles/uprof_{ABSENT}"
    s("get: absent", inferred("text"), absent, beta=AUGUST, status=404)
    s("delete", typed("19"), f"DELETE {url}", beta=AUGUST)


def models(s: Script) -> None:
    s("get", typed("21"), "GET /v1/models/claude-opus-5", beta="")
    s("list", typed("21"), "GET /v1/models?limit=2", beta="")
    s(
        "list: the last page",
        typed("1.8"),
        "GET /v1/models?limit=1000&after_id=claude-opus-5",
        beta="",
    )
    s("get: absent", inferred("text"), "GET /v1/models/nonsense", beta="", status=404)
    s("list: limit", typed("1.8"), "GET /v1/models?limit=1001", beta="", status=400)


def messages(s: Script) -> None:
    body = {"model": REMOTE, "messages": [{"role": "user", "content": "Hi"}]}
    s("create", typed("21"), "POST /v1/messages", {**body, "max_tokens": 16}, beta="")
    s("count tokens", typed("21"), "POST /v1/messages/count_tokens", body, beta="")
    nobody = {**body, "model": "down", "max_tokens": 16}
    s("create: nobody answers", inferred("text"), "POST /v1/messages", nobody, beta="", status=529)


def transport(s: Script) -> None:
    get = "GET /v1/agents"
    s("no key", recorded(TEXTS), get, headers={"x-api-key": ""}, refusal="key-missing")
    wrong = {"x-api-key": "", "authorization": "Bearer sk-ant-api03-nonsense"}
    s("unknown bearer", recorded(TEXTS), get, headers=wrong, refusal="bearer-invalid")
    s("unknown key", inferred("text"), get, headers={"x-api-key": "nonsense"}, status=401)
    s(
        "key as bearer",
        typed("1.1"),
        get,
        headers={"x-api-key": "", "authorization": f"Bearer {s.world.key}"},
    )
    s("unknown path", recorded(TEXTS), "GET /v1/nonsense", refusal="path-unknown")
    nowhere = f"GET /v1/deployments/depl_{ABSENT}/nonsense"
    below = s("unknown path, deployments", recorded("1.1"), nowhere, status=404)
    assert below["error"]["message"] == "Not Found"
    s("wrong method", recorded(TEXTS), "PUT /v1/agents", refusal="method-wrong")
    s("no beta", recorded("1.2"), get, beta="", status=404)
    s(
        "unknown beta",
        recorded(TEXTS),
        get,
        beta="managed-agents-2026-04-01,x",
        refusal="beta-unknown",
    )
    workspace = {"anthropic-workspace-id": "nonsense"}
    s("malformed workspace", recorded(TEXTS), get, headers=workspace, refusal="workspace-malformed")
    workspace = {"anthropic-workspace-id": f"wrkspc_{ABSENT}"}
    s("absent workspace", recorded(TEXTS), get, headers=workspace, refusal="workspace-unknown")
    s("older beta of URLs", recorded("1.1"), f"{get}?beta=true")
    s("unknown query", inferred("25.32"), f"{get}?nonsense=1")
    s("bad cursor", typed("1.8"), f"{get}?page=nonsense", status=400)
    s("bad limit", inferred("text"), f"{get}?limit=0", status=400)
    s(
        "not JSON",
        inferred("text"),
        "POST /v1/agents",
        headers={"content-type": "application/json"},
        status=400,
    )
