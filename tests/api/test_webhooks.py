"""Webhooks: endpoints through the official SDK, and what is delivered to them (spec 20)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import anthropic
import httpx2 as httpx
import pytest
import standardwebhooks
from anthropic import Anthropic
from anthropic.types.beta import BetaWebhookEventData

from freehold.core.webhooks import DATA_TYPES, FIRED, REDIRECTED, SILENT
from freehold.errors import ConfigurationError
from tests.api.conftest import refused, said, turn
from tests.support.mcp_servers import mcp_server
from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.running import BETA, Served, serve

HEADERS = {**BETA, "anthropic-beta": "webhooks-2026-10-07"}
PATH = "/v1/organizations/webhooks"
HOOK = "https://hooks.example.com/freehold?token=canary-in-the-url"
ORGANIZATION = [
    "external_key.failed",
    "external_key.recovered",
    "user_profile.enforcement_action_opened",
    "user_profile.enforcement_action_resolved",
    "user_profile.program_status_updated",
]
UNKNOWN = "whep_01" + "1" * 22


@pytest.fixture(scope="module")
def inbox() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, inbox: Receiver) -> Iterator[Served]:
    """A server whose settings name the receiver, for every type."""
    folder = tmp_path_factory.mktemp("webhooks")
    (folder / "prices.toml").write_text('[models."claude-opus-5"]\ninput = 1000\noutput = 1000\n')
    named = {"name": "inbox", "url": inbox.url, "secret": SECRET}
    with serve(
        folder / "data", webhooks=[named], retry_base=0.01, prices=folder / "prices.toml"
    ) as served:
        yield served


@pytest.fixture
def hooks(shared: Served) -> Iterator[httpx.Client]:
    """Bare HTTP with the beta of webhooks."""
    with httpx.Client(base_url=shared.url, headers=HEADERS, timeout=30) as client:
        yield client
        for endpoint in client.get(PATH).json()["data"]:
            if endpoint["name"] != "inbox":
                client.delete(f"{PATH}/{endpoint['id']}")


def listen(hooks: httpx.Client, url: str, *kinds: str) -> dict[str, Any]:
    """An endpoint for types that the SDK's own list does not have."""
    answer = hooks.post(PATH, json={"url": url, "enabled_events": kinds})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


# Endpoints.


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without endpoints in its settings, so that every answer is one of the SDK's."""
    with serve(tmp_path_factory.mktemp("own") / "data") as served:
        yield served


@pytest.fixture
def endpoints(own: Served) -> Iterator[Any]:
    """The methods of the SDK, strict."""
    with own.client() as client:
        yield client.beta.organization.webhooks
        for endpoint in list(client.beta.organization.webhooks.list()):
            client.beta.organization.webhooks.delete(endpoint.id)


def test_the_life_of_an_endpoint(endpoints: Any) -> None:
    made = endpoints.create(url=HOOK, enabled_events=[*ORGANIZATION[:2], ORGANIZATION[0]])
    assert made.id.startswith("whep_01")
    assert (made.url, made.name, made.description) == (HOOK, "", "")
    assert made.enabled_events == ORGANIZATION[:2]
    assert (made.state, made.disabled_reason) == ("enabled", "")
    assert made.created_at == made.updated_at
    standardwebhooks.Webhook(made.signing_secret)
    plain = made.to_dict()
    del plain["signing_secret"]
    assert endpoints.retrieve(made.id).to_dict() == plain
    assert [one.to_dict() for one in endpoints.list()] == [plain]

    changed = endpoints.update(
        made.id,
        url="https://other.example.com",
        name="Other",
        description="Notes",
        enabled_events=ORGANIZATION[4:],
        state="disabled",
    )
    assert (changed.url, changed.name) == ("https://other.example.com", "Other")
    assert (changed.description, changed.enabled_events) == ("Notes", ORGANIZATION[4:])
    assert (changed.state, changed.disabled_reason) == ("disabled", "")
    assert changed.updated_at > changed.created_at == made.created_at
    assert endpoints.update(made.id, enabled_events=[]) == changed
    assert endpoints.update(made.id) == changed
    assert endpoints.update(made.id, state="enabled").state == "enabled"

    again = endpoints.regenerate_signing_secret(made.id)
    assert again.signing_secret != made.signing_secret
    deleted = endpoints.delete(made.id)
    assert deleted.to_dict() == {"id": made.id, "type": "webhook_endpoint_deleted"}
    for call in (endpoints.retrieve, endpoints.update, endpoints.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(made.id)


def test_the_list(own: Served, endpoints: Any) -> None:
    made = [
        endpoints.create(url=HOOK, enabled_events=ORGANIZATION[:1], name=str(n)) for n in range(25)
    ]
    newest = [one.id for one in reversed(made)]
    first = endpoints.list()
    assert [one.id for one in first.data] == newest[:20]
    assert (first.has_more, first.first_id, first.last_id) == (True, newest[0], newest[19])
    assert [one.id for one in first] == newest
    assert [one.id for one in endpoints.list(order="asc", limit=7)] == newest[::-1]
    after = endpoints.list(after_id=newest[2], limit=3)
    assert [one.id for one in after.data] == newest[3:6]
    # Not the three just before it.
    before = endpoints.list(before_id=newest[10], limit=3)
    assert [one.id for one in before.data] == newest[:3]
    assert before.has_more is True
    with httpx.Client(base_url=own.url, headers=HEADERS) as http:
        message = f"after_id: no webhook endpoint {UNKNOWN}"
        refused(http.get(PATH, params={"after_id": UNKNOWN}), 400, message)
        both = {"after_id": newest[0], "before_id": newest[1]}
        refused(http.get(PATH, params=both), 400, "Only one of after_id or before_id may be set.")
        bounds = "limit: value must be greater than or equal to 0 and less than or equal to 100"
        refused(http.get(PATH, params={"limit": 101}), 400, bounds)


def test_at_most_32(endpoints: Any) -> None:
    for _ in range(32):
        endpoints.create(url=HOOK, enabled_events=ORGANIZATION[:1])
    with pytest.raises(anthropic.BadRequestError, match="at most 32 webhook endpoints"):
        endpoints.create(url=HOOK, enabled_events=ORGANIZATION[:1])
    endpoints.delete(endpoints.list(limit=1).data[0].id)
    endpoints.create(url=HOOK, enabled_events=ORGANIZATION[:1])


def test_without_the_beta_there_is_nothing(own: Served) -> None:
    with httpx.Client(base_url=own.url, headers=BETA) as http:
        refused(http.get(PATH), 404, "Not found")
        refused(http.post(PATH, json={}), 404, "Not found")
        refused(http.get(f"{PATH}/{UNKNOWN}"), 404, "Not found")
        missing = f"Webhook endpoint not found: {UNKNOWN}"
        refused(http.get(f"{PATH}/{UNKNOWN}", headers=HEADERS), 404, missing)
        refused(
            http.get(f"{PATH}/nothing", headers=HEADERS), 404, "Webhook endpoint not found: nothing"
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"enabled_events": ORGANIZATION}, "url"),
        ({"url": HOOK}, "enabled_events"),
        ({"url": HOOK, "enabled_events": []}, "enabled_events"),
        ({"url": HOOK, "enabled_events": ["session.dozing"]}, "enabled_events[0]"),
        ({"url": HOOK, "enabled_events": ORGANIZATION, "more": 1}, '"more"'),
        ({"url": HOOK, "enabled_events": ORGANIZATION, "name": "n" * 256}, "name"),
        ({"url": HOOK, "enabled_events": ORGANIZATION, "description": "d" * 1025}, "description"),
        ({"url": f"{HOOK}{'x' * 2048}", "enabled_events": ORGANIZATION}, "url"),
        ({"url": "https://10.0.0.1/", "enabled_events": ORGANIZATION}, "url: must lead to a"),
        ({"url": "ftp://example.com", "enabled_events": ORGANIZATION}, "url: must begin with"),
    ],
)
def test_what_no_endpoint_can_be(own: Served, body: Any, message: str) -> None:
    with httpx.Client(base_url=own.url, headers=HEADERS) as http:
        answer = http.post(PATH, json=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]
        assert http.get(PATH).json()["data"] == []


def test_an_endpoint_of_the_settings(hooks: httpx.Client, inbox: Receiver) -> None:
    (endpoint,) = hooks.get(PATH).json()["data"]
    assert (endpoint["name"], endpoint["url"], endpoint["state"]) == ("inbox", inbox.url, "enabled")
    assert set(endpoint["enabled_events"]) == set(DATA_TYPES)
    path = f"{PATH}/{endpoint['id']}"
    for answer in (
        hooks.delete(path),
        hooks.post(path, json={"name": "mine"}),
        hooks.post(f"{path}/regenerate_signing_secret"),
    ):
        message = (
            f"Webhook endpoint {endpoint['id']} is named in the server's settings (`inbox`); only "
            "its `state` can be changed here"
        )
        refused(answer, 400, message)
    assert hooks.post(path, json={"state": "disabled"}).json()["state"] == "disabled"
    assert hooks.post(path, json={"state": "enabled"}).json()["state"] == "enabled"


def test_the_settings_are_followed_at_every_start(tmp_path: Path) -> None:
    def ids(*named: dict[str, Any]) -> dict[str, Any]:
        with serve(tmp_path / "data", webhooks=named) as served:
            http = httpx.Client(base_url=served.url, headers=HEADERS)
            return {one["name"]: one for one in http.get(PATH).json()["data"]}

    one = {"name": "one", "url": "https://one.example.com", "secret": SECRET}
    two = {"name": "two", "url": "https://two.example.com", "secret": SECRET}
    before = ids(one, {**two, "events": ["session.deleted"]})
    assert before["two"]["enabled_events"] == ["session.deleted"]
    after = ids({**one, "url": "https://uno.example.com"})
    assert set(after) == {"one"}
    assert after["one"]["id"] == before["one"]["id"]
    assert after["one"]["url"] == "https://uno.example.com"
    with pytest.raises(ConfigurationError, match="FREEHOLD_WEBHOOKS: the url of one: must lead"):
        ids({**one, "url": "https://10.0.0.1/"})


# What is delivered.


def test_the_table_is_the_sdks() -> None:
    members = get_args(get_args(BetaWebhookEventData)[0])
    types = [get_args(member.model_fields["type"].annotation)[0] for member in members]
    assert len(types) == 49
    assert sorted(DATA_TYPES) == sorted(types)


def test_what_is_not_told_is_listed() -> None:
    document = (Path(__file__).parents[2] / "docs/DIVERGENCES.md").read_text()
    section = document.partition("## Webhook types that are not told\n")[2].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    listed = [
        name.strip("`") for row in rows for name in row.split(" | ")[0].strip("| ").split(", ")
    ]
    assert sorted(listed) == sorted(SILENT)
    assert all(row.split(" | ")[1].strip("| ") for row in rows)


EXPECTED: dict[str, list[str]] = {}


def told(inbox: Receiver, resource_id: str, *kinds: str, **more: str) -> None:
    """Check that exactly these are told of a resource, each with what the SDK wants of it."""
    for kind in kinds:
        event = inbox.first(kind, id=resource_id).unwrap()
        assert event.data.workspace_id.startswith("wrkspc_01")
        for name, value in more.items():
            assert getattr(event.data, name) == value
    inbox.wait(lambda _: len(inbox.kinds(id=resource_id)) >= len(kinds))
    EXPECTED[resource_id] = sorted(kinds)
    assert sorted(inbox.kinds(id=resource_id)) == sorted(kinds)


def test_environments(sdk: Anthropic, inbox: Receiver) -> None:
    api = sdk.beta.environments
    environment = api.create(name="told")
    api.update(environment.id, name="told")
    api.update(environment.id, name="more")
    api.archive(environment.id)
    api.archive(environment.id)
    api.delete(environment.id)
    kinds = ("created", "updated", "archived", "deleted")
    told(inbox, environment.id, *(f"environment.{kind}" for kind in kinds))


def test_agents(sdk: Anthropic, inbox: Receiver) -> None:
    agent = sdk.beta.agents.create(name="told", model="claude-opus-5")
    sdk.beta.agents.update(agent.id, version=1, name="told")
    sdk.beta.agents.update(agent.id, version=1, name="more")
    sdk.beta.agents.archive(agent.id)
    sdk.beta.agents.archive(agent.id)
    told(inbox, agent.id, "agent.created", "agent.updated", "agent.archived")


def test_memory_stores(sdk: Anthropic, inbox: Receiver) -> None:
    store = sdk.beta.memory_stores.create(name="told")
    sdk.beta.memory_stores.archive(store.id)
    sdk.beta.memory_stores.archive(store.id)
    sdk.beta.memory_stores.delete(store.id)
    kinds = ("created", "archived", "deleted")
    told(inbox, store.id, *(f"memory_store.{kind}" for kind in kinds))


def test_vaults_and_credentials(sdk: Anthropic, inbox: Receiver) -> None:
    api = sdk.beta.vaults
    vault = api.create(display_name="told")

    def bearer(url: str) -> str:
        auth: Any = {"type": "static_bearer", "token": "t-canary-1", "mcp_server_url": url}
        return api.credentials.create(vault.id, auth=auth).id

    first, second, third = (bearer(f"https://{n}.example.com/mcp") for n in "abc")
    api.credentials.archive(first, vault_id=vault.id)
    api.credentials.archive(first, vault_id=vault.id)
    api.credentials.delete(second, vault_id=vault.id)
    api.archive(vault.id)
    api.archive(vault.id)
    api.delete(vault.id)
    told(inbox, vault.id, "vault.created", "vault.archived", "vault.deleted")
    lives = {first: ("archived", "deleted"), second: ("deleted",), third: ("archived", "deleted")}
    for credential, kinds in lives.items():
        wanted = [f"vault_credential.{kind}" for kind in ("created", *kinds)]
        told(inbox, credential, *wanted, vault_id=vault.id)
    assert not any("canary" in post.body for post in inbox.posts)


def test_a_credential_that_cannot_be_renewed(sdk: Anthropic, inbox: Receiver) -> None:
    vault = sdk.beta.vaults.create(display_name="stale")
    with mcp_server() as door:
        door.tokens = {"another"}
        auth: Any = {
            "type": "mcp_oauth",
            "mcp_server_url": door.mcp,
            "access_token": "stale-access",
            "refresh": {
                "token_endpoint": door.token_endpoint,
                "client_id": "me",
                "refresh_token": "stale-refresh",
                "token_endpoint_auth": {"type": "none"},
            },
        }
        credential = sdk.beta.vaults.credentials.create(vault.id, auth=auth).id
        for _ in range(2):
            verdict = sdk.beta.vaults.credentials.mcp_oauth_validate(credential, vault_id=vault.id)
            assert verdict.refresh is not None
            assert verdict.refresh.status == "failed"
    kinds = ("vault_credential.created", "vault_credential.refresh_failed")
    told(inbox, credential, *kinds, vault_id=vault.id)


RUN = ("session.status_run_started", "session.running")
IDLE = ("session.status_idled", "session.idled")
NEW = ("session.created", "session.pending")


def test_sessions(sdk: Anthropic, inbox: Receiver, agent: Any, environment: Any) -> None:
    api = sdk.beta.sessions
    session = api.create(agent=agent.id, environment_id=environment.id)
    turn(sdk, session.id, said("hello"))
    api.update(session.id, title="told")
    api.update(session.id, title="told")
    api.archive(session.id)
    api.archive(session.id)
    api.delete(session.id)
    ends = ("session.status_terminated", "session.archived", "session.deleted")
    told(inbox, session.id, *NEW, *RUN, *IDLE, "session.updated", *ends)
    # The order is that of the log's times, whatever order they come in.
    started = inbox.first("session.running", id=session.id).unwrap()
    idled = inbox.first("session.idled", id=session.id).unwrap()
    assert session.created_at < started.created_at < idled.created_at


def test_a_session_that_waits_for_the_client(
    sdk: Anthropic, inbox: Receiver, environment: Any
) -> None:
    tool: Any = {"type": "custom", "name": "ask", "description": "d"}
    tool["input_schema"] = {"type": "object", "properties": {}}
    agent = sdk.beta.agents.create(name="waits", model="claude-opus-5", tools=[tool])
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    turn(sdk, session.id, said("/tool ask {}"))
    told(inbox, session.id, *NEW, *RUN, "session.status_idled", "session.requires_action")


def test_a_session_whose_requests_fail(
    sdk: Anthropic, inbox: Receiver, agent: Any, environment: Any
) -> None:
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    turn(sdk, session.id, said("/fail overloaded x1\n/then\n/say there"))
    told(inbox, session.id, *NEW, *RUN, *RUN, *IDLE, "session.status_rescheduled")
    broken = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    turn(sdk, broken.id, said("/fail invalid_request"))
    told(inbox, broken.id, *NEW, *RUN, "session.status_terminated")
    sdk.beta.sessions.archive(broken.id)
    told(inbox, broken.id, *NEW, *RUN, "session.status_terminated", "session.archived")


def test_a_budget_is_told_once(
    sdk: Anthropic, inbox: Receiver, agent: Any, environment: Any
) -> None:
    def limit(cents: int) -> Any:
        return {"type": "limit", "max_list_cost": {"amount": str(cents), "currency": "USD"}}

    session = sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, budget=limit(1)
    )
    turn(sdk, session.id, said("/run echo one\n/say done"))
    ran = (*NEW, *RUN, *IDLE, "session.budget_reached")
    told(inbox, session.id, *ran)
    usage: Any = sdk.beta.sessions.retrieve(session.id).usage
    consumed = int(usage.list_cost.amount)
    with sdk.beta.sessions.events.stream(session.id) as stream:
        sdk.beta.sessions.update(session.id, budget=limit(consumed + 1))
        for event in stream:
            if event.type == "session.status_idle":
                break
    told(inbox, session.id, *ran, "session.updated", *RUN, *IDLE, "session.budget_reached")


def test_deployments(
    sdk: Anthropic, inbox: Receiver, shared: Served, agent: Any, environment: Any
) -> None:
    """By hand nothing is told of a run; of those of the schedule all is."""
    api = sdk.beta.deployments
    nightly: Any = {"type": "cron", "expression": "0 3 * * *", "timezone": "UTC"}
    deployment = api.create(
        name="told",
        agent=agent.id,
        environment_id=environment.id,
        initial_events=[said("hello")],
        schedule=nightly,
    )
    api.update(deployment.id, name="told again")
    api.update(deployment.id, name="told again")
    for change in (api.pause, api.unpause):
        change(deployment.id)
        change(deployment.id)
    by_hand = api.run(deployment.id)

    def due(count: int) -> Any:
        """The run that the schedule starts when its time has come."""
        with sqlite3.connect(shared.app.state.services.settings.data_dir / "freehold.db") as found:
            found.execute(
                "update deployments set scheduled_at = ?1, starts_at = ?1 where id = ?2",
                (int((time.time() - 60 * (3 - count)) * 1e6), deployment.id),
            )
        deadline = time.monotonic() + 60
        runs = sdk.beta.deployment_runs
        while len(found := runs.list(deployment_id=deployment.id, trigger_type="schedule").data) < (
            count
        ):
            assert time.monotonic() < deadline, "the schedule starts no run"
            time.sleep(0.05)
        return found[0]

    run = due(1)
    told(inbox, run.id, "deployment_run.started", "deployment_run.succeeded")
    sdk.beta.environments.archive(environment.id)
    failed = due(2)
    told(inbox, failed.id, "deployment_run.started", "deployment_run.failed")
    sdk.beta.agents.archive(agent.id)
    changes = ("updated", "paused", "unpaused", "paused", "archived")
    told(
        inbox, deployment.id, "deployment.created", *[f"deployment.{change}" for change in changes]
    )
    assert inbox.kinds(id=by_hand.id) == []


def test_every_type_was_told_and_nothing_twice(inbox: Receiver) -> None:
    """Runs after the tests above, which note what they saw."""
    assert {kind for kinds in EXPECTED.values() for kind in kinds} == set(FIRED)
    for resource_id, kinds in EXPECTED.items():
        assert sorted(inbox.kinds(id=resource_id)) == kinds
    ids = [post.headers["webhook-id"] for post in inbox.posts]
    assert len(ids) == len(set(ids))


def test_what_a_delivery_is(sdk: Anthropic, inbox: Receiver) -> None:
    agent = sdk.beta.agents.create(name="shape", model="claude-opus-5")
    post = inbox.first("agent.created", id=agent.id)
    event = json.loads(post.body)
    assert list(event) == ["type", "id", "created_at", "data"]
    assert event["id"].startswith("whe_01")
    assert event["created_at"] == agent.to_dict(mode="json")["created_at"]
    answer = sdk.beta.agents.with_raw_response.retrieve(agent.id)
    assert event["data"] == {
        "type": "agent.created",
        "id": agent.id,
        "workspace_id": answer.headers["anthropic-workspace-id"],
        "organization_id": answer.headers["anthropic-organization-id"],
    }
    assert post.headers["webhook-id"] == event["id"]
    assert post.headers["content-type"] == "application/json"
    assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < 60
    changed = post.body.replace("agent.created", "agent.deleted")
    for wrong in (
        lambda: standardwebhooks.Webhook(SECRET).verify(changed, post.headers),
        lambda: post.unwrap("whsec_" + "A" * 43 + "="),
    ):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            wrong()


def test_each_endpoint_gets_what_it_asked_for(sdk: Anthropic, hooks: httpx.Client) -> None:
    with receiver() as other:
        made = listen(hooks, other.url, "agent.archived", "vault.created")
        agent = sdk.beta.agents.create(name="chosen", model="claude-opus-5")
        sdk.beta.agents.archive(agent.id)
        other.first("agent.archived", id=agent.id).unwrap(made["signing_secret"])
        assert [post.kind for post in other.posts] == ["agent.archived"]


def test_what_happens_while_it_is_disabled_is_never_delivered(
    sdk: Anthropic, hooks: httpx.Client
) -> None:
    with receiver() as other:
        made = listen(hooks, other.url, "agent.created")
        hooks.post(f"{PATH}/{made['id']}", json={"state": "disabled"})
        sdk.beta.agents.create(name="unheard", model="claude-opus-5")
        hooks.post(f"{PATH}/{made['id']}", json={"state": "enabled"})
        agent = sdk.beta.agents.create(name="heard", model="claude-opus-5")
        other.first("agent.created", id=agent.id)
        assert len(other.posts) == 1


def test_both_secrets_sign_after_a_change(sdk: Anthropic, hooks: httpx.Client) -> None:
    with receiver() as other:
        made = listen(hooks, other.url, "agent.created")
        new = hooks.post(f"{PATH}/{made['id']}/regenerate_signing_secret").json()
        assert list(new) == ["signing_secret"]
        agent = sdk.beta.agents.create(name="signed", model="claude-opus-5")
        post = other.first("agent.created", id=agent.id)
        for secret in (made["signing_secret"], new["signing_secret"]):
            assert post.unwrap(secret).data.id == agent.id
        first = post.headers["webhook-signature"].split(" ")[0]
        only = {**post.headers, "webhook-signature": first}
        standardwebhooks.Webhook(new["signing_secret"]).verify(post.body, only)


def until(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_redirect_disables_and_is_not_followed(sdk: Anthropic, hooks: httpx.Client) -> None:
    with receiver() as other, receiver() as elsewhere:
        other.answer = lambda _: 307
        other.headers = {"Location": elsewhere.url}
        made = listen(hooks, other.url, "agent.created")
        path = f"{PATH}/{made['id']}"
        sdk.beta.agents.create(name="moved", model="claude-opus-5")
        until(lambda: hooks.get(path).json()["state"] == "disabled")
        assert hooks.get(path).json()["disabled_reason"] == REDIRECTED
        enabled = hooks.post(path, json={"state": "enabled"}).json()
        assert (enabled["state"], enabled["disabled_reason"]) == ("enabled", "")
        assert (len(other.posts), elsewhere.posts) == (1, [])


def test_secrets_are_sealed_and_not_logged(
    own: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    with serve(tmp_path / "data") as served, receiver() as other:
        other.answer = lambda _: 500
        hooks = httpx.Client(base_url=served.url, headers=HEADERS)
        made = listen(hooks, f"{other.url}?token=canary-in-the-url", "agent.created")
        again = hooks.post(f"{PATH}/{made['id']}/regenerate_signing_secret").json()
        served.client().beta.agents.create(name="sealed", model="claude-opus-5")
        other.wait(lambda posts: len(posts) == 1)
        time.sleep(0.2)
    secrets = [one["signing_secret"].removeprefix("whsec_") for one in (made, again)]
    printed = caplog.text + "".join(capfd.readouterr())
    assert "did not reach endpoint" in caplog.text
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").glob("freehold.db*"))
    for secret in secrets:
        assert secret not in printed
        assert secret.encode() not in kept
    assert "canary-in-the-url" not in printed
    with sqlite3.connect(tmp_path / "data/freehold.db") as connection:
        ((attempts, due, occurred),) = connection.execute(
            "select attempts, due_at, occurred_at from webhook_deliveries"
        ).fetchall()
    assert attempts == 1
    assert due - occurred >= 5_000_000
