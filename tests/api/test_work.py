"""The work queue of self-hosted environments, through the SDK and as its workers see it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused, said, turn
from tests.support.running import Served, serve
from tests.support.workers import TOOLSET, bearer, mint_key, revoke_key, served_database

WORK_FIELDS = {
    "id", "type", "environment_id", "state", "data", "metadata", "secret", "created_at",
    "started_at", "acknowledged_at", "latest_heartbeat_at", "stop_requested_at", "stopped_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("work") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def agent(sdk: Anthropic) -> Any:
    return sdk.beta.agents.create(name="Helper", model="claude-opus-5", tools=TOOLSET)


class Queue:
    """An environment of one's own, with its key."""

    def __init__(self, served: Served, sdk: Anthropic, agent_id: str) -> None:
        self._served = served
        self._agent = agent_id
        self.sdk = sdk
        environment = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
        self.id = environment.id
        self.key, self.key_id = mint_key(served_database(served), self.id)
        self.worker = bearer(served.url, self.key)
        self.work = self.worker.beta.environments.work

    def session(self, *events: Any, **more: Any) -> Any:
        return self.sdk.beta.sessions.create(
            agent=self._agent,
            environment_id=self.id,
            initial_events=list(events) or None,  # type: ignore[arg-type]
            **more,
        )

    def poll(self, **options: Any) -> Any:
        return self.work.poll(self.id, **options)

    def with_token(self, item: Any) -> Anthropic:
        return bearer(self._served.url, token_of(item))


@pytest.fixture
def queue(shared: Served, sdk: Anthropic, agent: Any) -> Queue:
    return Queue(shared, sdk, agent.id)


def token_of(item: Any) -> str:
    padded = item.secret + "=" * (-len(item.secret) % 4)
    token: str = json.loads(base64.urlsafe_b64decode(padded))["sessions_token"]
    return token


def until_idle(sdk: Anthropic, session_id: str) -> Any:
    """The session's last idle, once it rests."""
    deadline = time.monotonic() + 60
    while True:
        events: list[Any] = list(sdk.beta.sessions.events.list(session_id))
        if events and events[-1].type == "session.status_idle":
            return events[-1]
        assert time.monotonic() < deadline, [event.type for event in events]
        time.sleep(0.02)


def test_an_item_goes_through_its_life(queue: Queue) -> None:
    assert queue.poll() is None
    session = queue.session()
    item = queue.poll()
    assert item.data.id == session.id
    assert (item.state, item.acknowledged_at, item.environment_id) == ("queued", None, queue.id)
    acked = queue.work.ack(item.id, environment_id=queue.id)
    assert (acked.state, acked.secret) == ("starting", None)
    assert acked.acknowledged_at is not None
    first = queue.work.heartbeat(
        item.id, environment_id=queue.id, expected_last_heartbeat="NO_HEARTBEAT"
    )
    assert (first.state, first.lease_extended, first.ttl_seconds) == ("active", True, 300)
    second = queue.work.heartbeat(
        item.id,
        environment_id=queue.id,
        expected_last_heartbeat=first.last_heartbeat,
        desired_ttl_seconds=120,
    )
    assert (second.state, second.lease_extended, second.ttl_seconds) == ("active", True, 120)
    assert second.last_heartbeat > first.last_heartbeat
    stopping = queue.work.stop(item.id, environment_id=queue.id)
    assert (stopping.state, stopping.stopped_at) == ("stopping", None)
    told = queue.work.heartbeat(
        item.id, environment_id=queue.id, expected_last_heartbeat="of another"
    )
    assert (told.state, told.lease_extended) == ("stopping", False)
    assert told.last_heartbeat == second.last_heartbeat
    stopped = queue.work.stop(item.id, environment_id=queue.id, force=True)
    assert stopped.state == "stopped"
    assert stopped.stop_requested_at == stopping.stop_requested_at
    again = queue.work.stop(item.id, environment_id=queue.id)
    assert again == stopped
    assert queue.poll() is None


def test_what_a_poll_answers(queue: Queue, http: httpx.Client) -> None:
    empty = http.get(f"/v1/environments/{queue.id}/work/poll")
    assert (empty.status_code, empty.text) == (200, "null")
    queue.session()
    found = http.get(f"/v1/environments/{queue.id}/work/poll").json()
    assert set(found) == WORK_FIELDS
    assert found["type"] == "work"
    assert found["data"] == {"type": "session", "id": found["data"]["id"]}
    seen = queue.sdk.beta.environments.work.retrieve(found["id"], environment_id=queue.id)
    assert seen.secret is None
    assert set(seen.to_dict()) == WORK_FIELDS


def test_an_item_that_is_not_acknowledged_is_handed_out_again(queue: Queue) -> None:
    queue.session()
    first = queue.poll()
    assert queue.poll() is None
    time.sleep(0.05)
    second = queue.poll(reclaim_older_than_ms=10)
    assert second.id == first.id
    assert token_of(second) != token_of(first)


def test_the_oldest_goes_first_and_each_goes_once(queue: Queue) -> None:
    sessions = [queue.session().id for _ in range(4)]
    polled = [queue.poll().data.id for _ in range(4)]
    assert polled == sessions
    assert queue.poll() is None


def test_a_poll_waits_for_work(queue: Queue) -> None:
    began = time.monotonic()
    assert queue.poll(block_ms=300) is None
    assert time.monotonic() - began >= 0.3
    # More than the API's 999 is taken for that.
    queue.session()
    assert queue.poll(block_ms=50_000) is not None


def test_acknowledging_twice(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    queue.work.ack(item.id, environment_id=queue.id)
    with pytest.raises(anthropic.ConflictError) as caught:
        queue.work.ack(item.id, environment_id=queue.id)
    refused(
        caught.value.response,
        409,
        f"Work item {item.id} must be in QUEUED state to acknowledge. Current state: starting.",
    )
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_heartbeat_of_somebody_else(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    beat = queue.work.heartbeat(item.id, environment_id=queue.id)
    for wrong in ("NO_HEARTBEAT", "2026-11-22T10:00:00Z", beat.last_heartbeat[:-1]):
        with pytest.raises(anthropic.APIStatusError) as caught:
            queue.work.heartbeat(item.id, environment_id=queue.id, expected_last_heartbeat=wrong)
        assert caught.value.status_code == 412
        error = caught.value.response.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["details"] == {
            "error_code": "heartbeat_precondition_failed",
            "current_state": {
                "last_heartbeat": beat.last_heartbeat,
                "lease_extended": False,
                "state": "active",
                "ttl_seconds": 300,
            },
            "error_visibility": "user_facing",
        }


def test_a_heartbeat_claims_what_was_not_acknowledged(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    beat = queue.work.heartbeat(
        item.id, environment_id=queue.id, expected_last_heartbeat="NO_HEARTBEAT"
    )
    assert (beat.state, beat.lease_extended) == ("active", True)
    seen = queue.sdk.beta.environments.work.retrieve(item.id, environment_id=queue.id)
    assert seen.acknowledged_at == beat.last_heartbeat == seen.latest_heartbeat_at


def test_a_heartbeat_of_an_item_that_is_stopping_before_anybody_had_it(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    queue.work.stop(item.id, environment_id=queue.id)
    beat = queue.work.heartbeat(
        item.id,
        environment_id=queue.id,
        expected_last_heartbeat="NO_HEARTBEAT",
        desired_ttl_seconds=120,
    )
    assert beat.to_dict() == {
        "type": "work_heartbeat",
        "last_heartbeat": "",
        "lease_extended": False,
        "state": "stopping",
        "ttl_seconds": 120,
    }


def test_wishes_beyond_the_longest_lease(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    beat = queue.work.heartbeat(item.id, environment_id=queue.id, desired_ttl_seconds=86_400)
    assert beat.ttl_seconds == 600


def test_a_lease_that_ran_out_is_somebody_elses(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    queue.work.ack(item.id, environment_id=queue.id)
    beat = queue.work.heartbeat(item.id, environment_id=queue.id, desired_ttl_seconds=1)
    assert queue.poll(reclaim_older_than_ms=1) is None
    again = None
    deadline = time.monotonic() + 30
    while again is None:
        assert time.monotonic() < deadline
        again = queue.poll(block_ms=999)
    assert (again.id, again.state, again.latest_heartbeat_at) == (item.id, "queued", None)
    assert again.started_at > item.started_at
    with pytest.raises(anthropic.APIStatusError) as caught:
        queue.work.heartbeat(
            item.id, environment_id=queue.id, expected_last_heartbeat=beat.last_heartbeat
        )
    assert caught.value.status_code == 412


def test_stats(queue: Queue, shared: Served) -> None:
    work = queue.sdk.beta.environments.work
    assert work.stats(queue.id).to_dict() == {
        "type": "work_queue_stats",
        "depth": 0,
        "pending": 0,
        "oldest_queued_at": None,
        "workers_polling": 0,
    }
    queue.session()
    queue.session()
    queue.poll(anthropic_worker_id="one")
    queue.poll(anthropic_worker_id="one")
    queue.session()
    queue.session()
    stats = queue.work.stats(queue.id)
    assert (stats.depth, stats.pending, stats.workers_polling) == (2, 2, 1)
    oldest = next(item for item in reversed(list(work.list(queue.id))) if item.state == "queued")
    assert stats.oldest_queued_at is not None
    assert stats.oldest_queued_at > oldest.started_at
    queue.poll(anthropic_worker_id="two")
    stats = work.stats(queue.id)
    assert (stats.depth, stats.pending, stats.workers_polling) == (1, 3, 2)


def test_the_list_is_paged_newest_first(queue: Queue) -> None:
    sessions = [queue.session().id for _ in range(5)]
    work = queue.sdk.beta.environments.work
    page = work.list(queue.id, limit=2)
    assert page.next_page is not None
    assert [item.data.id for item in work.list(queue.id, limit=2)] == sessions[::-1]
    assert work.list(queue.id, limit=5).to_dict()["next_page"] is None


def test_metadata_of_an_item(queue: Queue, http: httpx.Client) -> None:
    queue.session()
    item = queue.poll()
    work = queue.sdk.beta.environments.work
    updated = work.update(item.id, environment_id=queue.id, metadata={"pool": "a", "rack": "2"})
    assert updated.metadata == {"pool": "a", "rack": "2"}
    updated = work.update(item.id, environment_id=queue.id, metadata={"rack": None})
    assert updated.metadata == {"pool": "a"}
    url = f"/v1/environments/{queue.id}/work/{item.id}"
    refused(http.post(url, json={}), 400, "metadata: Field required")
    too_many = {f"k{number}": "v" for number in range(16)}
    assert http.post(url, json={"metadata": too_many}).status_code == 400


def test_refusals_of_the_queue(queue: Queue, sdk: Anthropic, http: httpx.Client) -> None:
    cloud = sdk.beta.environments.create(name="cloud").id
    base = f"/v1/environments/{queue.id}/work"
    text = f"Only BYOC and bridge environments support work polling. Environment {cloud} is"
    answer = http.get(f"/v1/environments/{cloud}/work/poll")
    refused(answer, 400, f"{text} anthropic_cloud.")
    assert answer.headers["x-should-retry"] == "false"
    answer = http.get(f"/v1/environments/{cloud}/work")
    assert answer.status_code == 404
    assert f"Environment `{cloud}` not found, or does not support work listing." in answer.text
    stats = sdk.beta.environments.work.stats(cloud)
    assert (stats.depth, stats.pending, stats.workers_polling) == (0, 0, None)
    refused(
        http.get(f"{base}/poll?reclaim_older_than_ms=0"),
        400,
        "reclaim_older_than_ms: Input should be greater than or equal to 1",
    )
    refused(
        http.get(f"{base}/poll?block_ms=0"),
        400,
        "block_ms: Input should be greater than or equal to 1",
    )
    refused(
        http.get(f"{base}/thing"),
        400,
        'Invalid work ID format: expected session_*, cse_*, or work_* prefix, got "thing".',
    )
    assert http.get(f"{base}/work_thing").status_code == 404
    assert http.get("/v1/environments/env_nothing/work/poll").status_code == 404
    assert http.get(f"{base}?limit=1001").status_code == 400
    assert http.get(f"{base}?limit=1000").status_code == 200
    assert http.get(f"{base}?page=junk").status_code == 400


def test_what_only_a_worker_may_say(queue: Queue) -> None:
    session = queue.session(said('/tool bash {"command": "ls"}'))
    idle = until_idle(queue.sdk, session.id)
    (call,) = idle.stop_reason.event_ids
    result: Any = {"type": "user.tool_result", "tool_use_id": call}
    with pytest.raises(anthropic.PermissionDeniedError, match="environment credentials"):
        queue.sdk.beta.sessions.events.send(session.id, events=[result])
    events = queue.worker.beta.sessions.events
    for other in ({"type": "user.interrupt"}, said("hello")):
        with pytest.raises(anthropic.PermissionDeniedError, match="environment credentials"):
            events.send(session.id, events=[other])  # type: ignore[list-item]
    assert events.send(session.id, events=[result]).data


def test_a_call_of_the_sandbox_is_answered_by_the_worker(queue: Queue) -> None:
    session = queue.session(said('/tool bash {"command": "ls"}\n/say done'))
    idle = until_idle(queue.sdk, session.id)
    assert idle.stop_reason.type == "requires_action"
    (call,) = idle.stop_reason.event_ids
    content: Any = [{"type": "text", "text": "a.txt"}]
    result: Any = {"type": "user.tool_result", "tool_use_id": call, "content": content}
    events = queue.worker.beta.sessions.events
    (echo,) = events.send(session.id, events=[result]).data or []
    assert echo.type == "user.tool_result"
    assert echo.tool_use_id == call
    assert echo.processed_at is not None
    until_idle(queue.sdk, session.id)
    types = [event.type for event in queue.sdk.beta.sessions.events.list(session.id)]
    assert types == [
        "session.status_running",
        "session.thread_status_running",
        "user.message",
        "span.model_request_start",
        "agent.tool_use",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
        "user.tool_result",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    # The same again: taken, and nothing comes of it.
    assert events.send(session.id, events=[result]).data
    assert len(list(queue.sdk.beta.sessions.events.list(session.id))) == len(types)
    nothing: Any = {"type": "user.tool_result", "tool_use_id": types and echo.id}
    with pytest.raises(anthropic.BadRequestError, match="is not waiting for a result"):
        events.send(session.id, events=[nothing])


def test_several_calls_are_asked_for_together(queue: Queue) -> None:
    words = '/tool bash {"command": "a"}\n/tool read {"file_path": "b"}\n/say done'
    session = queue.session(said(words))
    # Directives that stand together are one answer of the model, or several: either way all end.
    events = queue.worker.beta.sessions.events
    for _ in range(2):
        idle = until_idle(queue.sdk, session.id)
        if idle.stop_reason.type != "requires_action":
            break
        for call in idle.stop_reason.event_ids:
            result: Any = {"type": "user.tool_result", "tool_use_id": call}
            events.send(session.id, events=[result])
    assert until_idle(queue.sdk, session.id).stop_reason.type == "end_turn"


def test_asking_first_comes_before_the_worker(queue: Queue, sdk: Anthropic) -> None:
    tools: Any = [
        {
            "type": "agent_toolset_20260401",
            "default_config": {"permission_policy": {"type": "always_ask"}},
        }
    ]
    agent = sdk.beta.agents.create(name="Asks", model="claude-opus-5", tools=tools)
    words = '/tool bash {"command": "ls"}\n/say done'
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=queue.id)
    first = turn(sdk, session.id, said(words))
    (call,) = first[-1].stop_reason.event_ids
    result: Any = {"type": "user.tool_result", "tool_use_id": call}
    events = queue.worker.beta.sessions.events
    with pytest.raises(anthropic.BadRequestError, match="is not waiting for a result"):
        events.send(session.id, events=[result])
    sdk.beta.sessions.events.send(
        session.id,
        events=[{"type": "user.tool_confirmation", "tool_use_id": call, "result": "allow"}],
    )
    idle = until_idle(sdk, session.id)
    assert idle.stop_reason.type == "requires_action"
    assert idle.stop_reason.event_ids == [call]
    events.send(session.id, events=[result])
    assert until_idle(sdk, session.id).stop_reason.type == "end_turn"
    denied = turn(sdk, session.id, said(words))
    (call,) = denied[-1].stop_reason.event_ids
    refusal: Any = {"type": "user.tool_confirmation", "tool_use_id": call, "result": "deny"}
    sdk.beta.sessions.events.send(session.id, events=[refusal])
    assert until_idle(sdk, session.id).stop_reason.type == "end_turn"
    listed: list[Any] = list(sdk.beta.sessions.events.list(session.id))
    (told,) = [event for event in listed if event.type == "agent.tool_result"]
    assert told.tool_use_id == call
    assert told.content[0].text == "Permission to use bash has been rejected."


def test_an_interrupt_closes_the_call_and_a_late_result_has_no_effect(queue: Queue) -> None:
    session = queue.session(said('/tool bash {"command": "ls"}'))
    (call,) = until_idle(queue.sdk, session.id).stop_reason.event_ids
    queue.sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
    assert until_idle(queue.sdk, session.id).stop_reason.type == "end_turn"
    before = list(queue.sdk.beta.sessions.events.list(session.id))
    result: Any = {"type": "user.tool_result", "tool_use_id": call}
    assert queue.worker.beta.sessions.events.send(session.id, events=[result]).data
    assert list(queue.sdk.beta.sessions.events.list(session.id)) == before


def test_a_stopped_item_is_queued_again_for_new_input(queue: Queue) -> None:
    session = queue.session()
    item = queue.poll()
    queue.work.stop(item.id, environment_id=queue.id, force=True)
    assert queue.poll() is None
    queue.sdk.beta.sessions.events.send(session.id, events=[said("/say hello")])  # type: ignore[list-item]
    again = queue.poll(block_ms=999)
    assert (again.id, again.data.id) == (item.id, session.id)


def test_an_item_given_up_while_its_session_waits_comes_back(queue: Queue) -> None:
    session = queue.session(said('/tool bash {"command": "ls"}'))
    until_idle(queue.sdk, session.id)
    item = queue.poll()
    queue.work.ack(item.id, environment_id=queue.id)
    answer = queue.work.stop(item.id, environment_id=queue.id, force=True)
    assert answer.state == "queued"
    assert queue.poll(block_ms=999).id == item.id
    # Whoever owns the environment has the last word, until there is something new.
    owner = queue.sdk.beta.environments.work
    assert owner.stop(item.id, environment_id=queue.id, force=True).state == "stopped"
    assert queue.poll() is None
    queue.sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
    assert queue.poll(block_ms=999).id == item.id


def test_an_archived_session_takes_its_work_with_it(queue: Queue) -> None:
    waiting, served = queue.session(), queue.session()
    work = queue.sdk.beta.environments.work
    queue.poll()
    item = queue.poll()
    beat = queue.work.heartbeat(item.id, environment_id=queue.id)
    queue.sdk.beta.sessions.archive(waiting.id)
    queue.sdk.beta.sessions.archive(served.id)
    states = {one.data.id: one.state for one in work.list(queue.id)}
    assert states == {waiting.id: "stopped", served.id: "stopping"}
    told = queue.work.heartbeat(
        item.id, environment_id=queue.id, expected_last_heartbeat=beat.last_heartbeat
    )
    assert (told.state, told.lease_extended) == ("stopping", False)


def test_deleting_the_environment(queue: Queue, http: httpx.Client) -> None:
    url = f"/v1/environments/{queue.id}"
    queue.session()
    answer = http.delete(url)
    refused(
        answer,
        409,
        "Cannot delete self-hosted environment with work in the queue. Either archive the "
        "environment first to allow the queue to drain, or use force=true to delete immediately.",
    )
    assert answer.headers["x-should-retry"] == "false"
    item = queue.poll()
    queue.work.ack(item.id, environment_id=queue.id)
    text = "Environment has 1 active session. Use force=true to delete anyway."
    refused(http.delete(url), 409, text)
    assert http.delete(url, params={"force": "true"}).status_code == 200
    # The key is still one; what it is for is gone.
    with pytest.raises(anthropic.NotFoundError, match=f"Environment {queue.id} not found."):
        queue.poll()


def test_an_archived_environment_can_be_drained(queue: Queue, http: httpx.Client) -> None:
    session = queue.session()
    queue.sdk.beta.environments.archive(queue.id)
    item = queue.poll()
    assert item.data.id == session.id
    queue.work.stop(item.id, environment_id=queue.id, force=True)
    queue.sdk.beta.sessions.archive(session.id)
    assert http.delete(f"/v1/environments/{queue.id}").status_code == 200


def test_resources_of_self_hosted_sessions(queue: Queue, sdk: Anthropic) -> None:
    store = sdk.beta.memory_stores.create(name="Notes")
    session = queue.session(resources=[{"type": "memory_store", "memory_store_id": store.id}])
    assert session.resources[0].mount_path == "/mnt/memory/notes"
    file = sdk.files.upload(file=("a.txt", b"a"))
    with pytest.raises(anthropic.BadRequestError, match="a self-hosted environment"):
        queue.session(resources=[{"type": "file", "file_id": file.id}])


def test_variables_of_vaults_are_refused_there(queue: Queue, sdk: Anthropic) -> None:
    vault = sdk.beta.vaults.create(display_name="v")
    sdk.beta.vaults.credentials.create(
        vault.id,
        auth={
            "type": "environment_variable",
            "secret_name": "TOKEN",
            "secret_value": "x",
            "networking": {"type": "unrestricted"},
        },
    )
    with pytest.raises(anthropic.BadRequestError, match="a worker's requests do not pass"):
        queue.session(vault_ids=[vault.id])


# --- who may do what -----------------------------------------------------------------------------


def bare(served: Served, token: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}", "anthropic-beta": "managed-agents-2026-04-01"}
    return httpx.Client(base_url=served.url, headers=headers, timeout=30)


def test_keys_that_open_nothing(queue: Queue, shared: Served) -> None:
    path = f"/v1/environments/{queue.id}/work/poll"
    for unknown in ("sk-ant-oat01-nonsense", "sk-ant-work01-nonsense"):
        with bare(shared, unknown) as http:
            refused(http.get(path), 401, "Invalid bearer token")
    database = served_database(shared)
    expired, _ = mint_key(database, queue.id, timedelta(seconds=-1))
    with bare(shared, expired) as http:
        refused(http.get(path), 401, "OAuth access token has expired.")
    revoke_key(database, queue.key_id)
    with bare(shared, queue.key) as http:
        refused(http.get(path), 401, "OAuth access token has been revoked.")


def test_what_a_key_reaches(queue: Queue, shared: Served, sdk: Anthropic, agent: Any) -> None:
    session = queue.session()
    other = Queue(shared, sdk, agent.id)
    foreign = other.session()
    item = queue.poll()
    scope = "OAuth token does not meet scope requirement any_of(workspace:developer)"
    store = sdk.beta.memory_stores.create(name="s").id
    with bare(shared, queue.key) as http:
        base = f"/v1/environments/{queue.id}/work"
        for path in (
            base,
            f"{base}/poll",
            f"{base}/stats",
            f"/v1/sessions/{session.id}",
            f"/v1/sessions/{session.id.replace('sesn_', 'session_')}",
            f"/v1/sessions/{session.id}/events?limit=1000",
        ):
            assert http.get(path).status_code == 200, path
        assert http.get("/v1/skills/skill_x/versions").status_code == 404
        refused(
            http.get(f"/v1/environments/{other.id}/work/poll"),
            403,
            "Token not authorized for this environment",
        )
        refused(http.get(f"/v1/sessions/{foreign.id}"), 404, f"Session not found: {foreign.id}")
        refused(
            http.get(f"/v1/sessions/{foreign.id}/events"), 404, f"Session not found: {foreign.id}"
        )
        refused(http.get("/v1/agents"), 401, "Authentication failed")
        refused(http.get("/v1/files/file_x/content"), 404, "File `file_x` not found.")
        for method, path in (
            ("GET", f"{base}/{item.id}"),
            ("POST", f"{base}/{item.id}"),
            ("GET", f"/v1/environments/{queue.id}"),
            ("DELETE", f"/v1/environments/{queue.id}"),
            ("POST", "/v1/environments"),
            ("GET", "/v1/sessions"),
            ("POST", "/v1/sessions"),
            ("POST", f"/v1/sessions/{session.id}"),
            ("DELETE", f"/v1/sessions/{session.id}"),
            ("POST", f"/v1/sessions/{session.id}/archive"),
            ("GET", f"/v1/sessions/{session.id}/resources"),
            ("GET", f"/v1/sessions/{session.id}/threads"),
            ("GET", "/v1/skills"),
            ("GET", "/v1/skills/skill_x"),
            ("DELETE", "/v1/skills/skill_x/versions/1"),
            ("GET", f"/v1/memory_stores/{store}/memories"),
            ("GET", "/v1/vaults"),
            ("GET", "/v1/files"),
            ("POST", "/v1/messages"),
            ("GET", "/v1/models"),
            ("GET", "/v1/nothing"),
        ):
            refused(http.request(method, path), 403, scope)


def test_what_a_token_reaches(queue: Queue, shared: Served, sdk: Anthropic) -> None:
    written = sdk.beta.memory_stores.create(name="w").id
    read = sdk.beta.memory_stores.create(name="r").id
    foreign = sdk.beta.memory_stores.create(name="f").id
    queue.session(
        resources=[
            {"type": "memory_store", "memory_store_id": written},
            {"type": "memory_store", "memory_store_id": read, "access": "read_only"},
        ]
    )
    other = queue.session()
    item, beside = queue.poll(), queue.poll()
    scope = "OAuth token does not meet scope requirement any_of(workspace:developer)"
    worker = queue.with_token(item)
    made = worker.beta.memory_stores.memories.create(written, path="/a.md", content="x")
    versions = list(sdk.beta.memory_stores.memory_versions.list(written))
    assert versions[0].created_by.to_dict() == {  # type: ignore[union-attr]
        "type": "session_actor",
        "session_id": item.data.id,
    }
    assert [m.path for m in worker.beta.memory_stores.memories.list(written)] == ["/a.md"]  # type: ignore[union-attr]
    worker.beta.memory_stores.memories.delete(made.id, memory_store_id=written)
    assert list(worker.beta.memory_stores.memories.list(read)) == []
    with pytest.raises(anthropic.PermissionDeniedError, match="read-only"):
        worker.beta.memory_stores.memories.create(read, path="/a.md", content="x")
    with pytest.raises(anthropic.NotFoundError):
        worker.beta.memory_stores.memories.list(foreign)
    work = worker.beta.environments.work
    assert work.heartbeat(item.id, environment_id=queue.id).lease_extended
    with bare(shared, token_of(item)) as http:
        base = f"/v1/environments/{queue.id}/work"
        assert http.get(f"/v1/sessions/{item.data.id}").status_code == 200
        refused(http.get(f"/v1/sessions/{other.id}"), 404, f"Session not found: {other.id}")
        for method, path in (
            ("GET", f"{base}/poll"),
            ("GET", base),
            ("POST", f"{base}/{beside.id}/stop"),
            ("POST", f"{base}/{beside.id}/heartbeat"),
            ("GET", f"/v1/memory_stores/{written}"),
            ("GET", "/v1/sessions"),
        ):
            refused(http.request(method, path), 403, scope)
    assert work.stop(item.id, environment_id=queue.id, force=True).state == "stopped"
    # A goodbye that comes twice is still taken.
    assert work.stop(item.id, environment_id=queue.id).state == "stopped"


def test_no_secret_is_kept_in_clear(queue: Queue, shared: Served, tmp_path: Path) -> None:
    queue.session()
    token = token_of(queue.poll())
    data_dir = shared.app.state.services.settings.data_dir
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert queue.id.encode() in kept
    for secret in (queue.key, token):
        assert secret.encode() not in kept
        assert secret[14:40].encode() not in kept


def test_times_are_of_today(queue: Queue) -> None:
    queue.session()
    item = queue.poll()
    created = datetime.fromisoformat(item.created_at)
    assert abs((datetime.now(created.tzinfo) - created).total_seconds()) < 60
    assert item.started_at >= item.created_at
