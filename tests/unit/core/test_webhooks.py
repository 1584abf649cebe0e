"""Webhooks: the schedule, signatures, what a log tells, and where endpoints may be."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from freehold.core import webhooks
from freehold.core.addresses import LOOPBACK, parse_network
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import (
    Event,
    Record,
    SessionArchived,
    SessionDeleted,
    SessionStatusIdle,
    SessionStatusRescheduled,
    SessionStatusRunning,
    SessionStatusTerminated,
    SessionUpdated,
    StopReason,
)
from freehold.core.fold import fold
from freehold.core.state import SessionState
from freehold.core.usage import budget_limit
from freehold.core.webhook_endpoints import ConfiguredEndpoint, url_problem
from tests.support.inward import INWARD, WRITTEN

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)


# The schedule.


@given(st.integers(min_value=1, max_value=50), CHANCE)
def test_every_wait_is_within_its_bounds(attempts: int, chance: float) -> None:
    wait = webhooks.wait(attempts, chance)
    if attempts >= webhooks.ATTEMPTS:
        assert wait is None
    else:
        assert wait is not None
        assert webhooks.SHORTEST_WAIT <= wait <= webhooks.LONGEST_WAIT


@given(CHANCE, CHANCE)
def test_waits_grow_and_jitter_never_turns_them_round(first: float, second: float) -> None:
    before, after = webhooks.wait(1, first), webhooks.wait(2, second)
    assert before is not None
    assert after is not None
    assert before <= after


@given(CHANCE, CHANCE)
def test_chance_spreads_them(one: float, other: float) -> None:
    for attempts in (1, 2):
        waits = webhooks.wait(attempts, one), webhooks.wait(attempts, other)
        assert (waits[0] == waits[1]) or ((waits[0] < waits[1]) == (one < other))  # type: ignore[operator]
        assert webhooks.wait(attempts, 0.9) != webhooks.wait(attempts, 0.1)


def test_an_endpoint_is_given_up_after_its_time_and_not_before() -> None:
    patience = timedelta(days=3)
    almost = NOW + patience - timedelta(microseconds=1)
    assert webhooks.gave_up(NOW, almost, patience) is None
    reason = webhooks.gave_up(NOW, NOW + patience, patience)
    expected = "auto-disabled: no delivery has succeeded since 2026-11-22T10:00:00.000000Z"
    assert reason == expected


# Signatures.


@given(st.binary(min_size=24, max_size=64), st.text(), st.text())
def test_what_is_signed_is_taken_and_nothing_else(raw: bytes, text: str, other: str) -> None:
    secret = webhooks.SECRET_PREFIX + base64.b64encode(raw).decode()
    assert webhooks.secret_problem(secret) is None
    body = webhooks.body("whe_1", NOW, {"type": "agent.created", "id": text})
    stamp = int(datetime.now(UTC).timestamp())
    headers = {"webhook-id": "whe_1", "webhook-timestamp": str(stamp)}
    newer = webhooks.new_secret(lambda size: b"n" * size)
    headers["webhook-signature"] = webhooks.signature([newer, secret], "whe_1", stamp, body)
    for one in (secret, newer):
        assert Webhook(one).verify(body, headers)["data"]["id"] == text
    if other != text:
        changed = webhooks.body("whe_1", NOW, {"type": "agent.created", "id": other})
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, headers)


def test_secrets_are_of_32_random_bytes() -> None:
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    secret = webhooks.new_secret(entropy)
    assert asked == [32]
    assert base64.b64decode(secret.removeprefix("whsec_")) == bytes(range(32))


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "c2VjcmV0", "whsec_!!!!", base64.b64encode(b"x" * 32).decode()),
        *("whsec_" + base64.b64encode(b"x" * size).decode() for size in (23, 65)),
    ],
)
def test_what_cannot_sign(secret: str) -> None:
    problem = webhooks.secret_problem(secret)
    assert problem is not None
    assert len(secret) < 8 or secret not in problem


# What a log tells.


class Log:
    """A session's log and what it tells."""

    def __init__(self, budget: int | None = None) -> None:
        self.state = SessionState(
            session_id="sesn_1",
            primary_thread_id="sthr_1",
            agent_name="a",
            created_at=NOW,
            budget=budget,
        )

    def tell(self, *events: Any) -> list[str]:
        """Write the events down; what they tell."""
        pen = Draughtsman(self.state, now=NOW, mint=lambda: "sevt_1", origin="runner")
        told: list[str] = []
        for record in pen.write(*map(Draft, events)):
            told += webhooks.of_record(self.state, record)
            self.state = fold(self.state, record)
        assert (told != []) <= any(event.type in webhooks.TELLING for event in events)
        return told


def idle(reason: Any) -> SessionStatusIdle:
    return SessionStatusIdle(stop_reason=StopReason(type=reason))


def test_both_families_are_told() -> None:
    log = Log()
    assert log.tell(SessionStatusRunning()) == ["session.status_run_started", "session.running"]
    assert log.tell(idle("end_turn")) == ["session.status_idled", "session.idled"]
    waits = ["session.status_idled", "session.requires_action"]
    assert log.tell(SessionStatusRunning(), idle("requires_action"))[2:] == waits


def test_a_budget_is_told_once_for_each_value() -> None:
    log = Log(budget=5)

    def budget(cents: int) -> SessionUpdated:
        return SessionUpdated(budget=budget_limit(cents))

    reached = "session.budget_reached"
    assert reached in log.tell(SessionStatusRunning(), idle("budget_reached"))
    assert reached not in log.tell(SessionStatusRunning(), idle("budget_reached"))
    assert log.tell(budget(9)) == ["session.updated"]
    assert reached in log.tell(SessionStatusRunning(), idle("budget_reached"))
    assert reached not in log.tell(budget(5), SessionStatusRunning(), idle("budget_reached"))


def test_archiving_ends_a_session_once() -> None:
    assert Log().tell(SessionArchived()) == ["session.status_terminated", "session.archived"]
    log = Log()
    assert log.tell(SessionStatusTerminated()) == ["session.status_terminated"]
    assert log.tell(SessionArchived()) == ["session.archived"]


def test_a_session_that_is_tried_again_says_so_and_goes_on() -> None:
    log = Log()
    log.tell(SessionStatusRunning())
    assert log.tell(SessionStatusRescheduled()) == ["session.status_rescheduled"]
    assert log.tell(SessionStatusRunning()) == ["session.status_run_started", "session.running"]


@pytest.mark.parametrize("before", [(), (SessionStatusTerminated(),), (SessionArchived(),)])
def test_that_a_session_was_deleted_is_all_that_is_told_of_it(before: tuple[Any, ...]) -> None:
    log = Log()
    log.tell(*before)
    assert log.tell(SessionDeleted()) == ["session.deleted"]


@pytest.mark.parametrize("kind", get_args(get_args(Event)[0]))
def test_exactly_the_telling_types_are_told_of(kind: Any) -> None:
    # Who is to be told is only looked up for these, so any other type would be lost.
    event = kind.model_construct(stop_reason=StopReason(type="end_turn"))
    record = Record.model_construct(seq=1, id="sevt_1", processed_at=NOW, event=event)
    for status in ("idle", "running", "rescheduling", "terminated"):
        before = Log().state.model_copy(update={"status": status})
        told = list(webhooks.of_record(before, record))
        assert bool(told) == (event.type in webhooks.TELLING)
        assert set(told) <= set(webhooks.FIRED)
        assert len(set(told)) == len(told)


# Where endpoints may be.

PUBLIC = [
    "https://example.com",
    "https://hooks.example.com/a/b?c=d",
    "https://example.com:443/",
    "HTTPS://EXAMPLE.COM/",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1::1]/",
]


@pytest.mark.parametrize("url", PUBLIC)
def test_public_urls(url: str) -> None:
    assert url_problem(url, ()) is None
    assert url_problem(url, LOOPBACK) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com:8443/",
        "https://localhost/",
        "https://api.localhost/",
        "https://printer.local/",
        "https://vault.internal/",
        "https://vault.internal./",
        "https://intranet/",
        "https://user:secret@example.com/",
        "https://exämple.com/",
        "https://example.com/ä",
        "https://example.com/a b",
        "https://example.com/a\r\nHost: other",
        "https://example.com/" + "x" * 2048,
        # As nothing but their hosts could be wrong.
        *(url.replace("http:", "https:").replace(":{port}", "") for url in WRITTEN),
    ],
)
def test_urls_that_are_not_public(url: str) -> None:
    assert url_problem(url, ()) is not None


@pytest.mark.parametrize("address", INWARD.values(), ids=INWARD)
def test_inward_addresses(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert url_problem(f"https://{host}/", ()) is not None


def test_opened_networks() -> None:
    ten = [parse_network("10.0.0.0/8")]
    for url in ("http://10.1.2.3:8080/", "http://10.1.2.3/", "https://10.1.2.3/", "http://ci/"):
        assert url_problem(url, ()) is not None
        assert url_problem(url, ten) is None
    for url in (
        "http://10.1.2.3:443/",
        "http://10.1.2.3:5432/",
        "http://192.168.1.1/",
        "http://93.184.216.34/",
        "https://93.184.216.34:8443/",
    ):
        assert url_problem(url, ten) is not None
    everything = [parse_network("169.254.0.0/16")]
    assert url_problem("http://169.254.169.254/", everything) is not None


def test_the_endpoints_of_the_settings() -> None:
    good = {"name": "n", "url": "https://h.example/?token=t", "secret": "whsec_" + "A" * 43 + "="}
    endpoint = ConfiguredEndpoint.model_validate(good)
    assert endpoint.events == webhooks.DATA_TYPES
    assert str(endpoint) == "n (h.example)"
    assert "AAAA" not in repr(endpoint)
    for bad in (
        {"secret": "whsec_"},
        {"events": []},
        {"events": ["session.dozing"]},
        {"name": ""},
        {"more": 1},
    ):
        with pytest.raises(ValidationError):
            ConfiguredEndpoint.model_validate({**good, **bad})


def wanting(events: list[str]) -> ConfiguredEndpoint:
    return ConfiguredEndpoint(
        name="n",
        url="https://h.example/",
        secret=SecretStr(webhooks.new_secret(bytes)),
        events=tuple(events),
    )


@given(st.lists(st.sampled_from(webhooks.DATA_TYPES), min_size=1))
def test_types_that_the_settings_repeat_are_delivered_once(events: list[str]) -> None:
    endpoint = wanting(events)
    assert set(endpoint.events) == set(events)
    assert len(endpoint.events) == len(set(events))
    assert sorted(endpoint.events, key=events.index) == list(endpoint.events)


@given(st.lists(st.sampled_from(webhooks.DATA_TYPES)), st.data())
def test_one_unknown_type_among_them_is_named(events: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(events)))
    with pytest.raises(ValidationError, match=r"session\.dozing: no webhook has this type"):
        wanting([*events[:place], "session.dozing", *events[place:]])
