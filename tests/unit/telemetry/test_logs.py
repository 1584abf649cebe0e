from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from freehold import telemetry
from freehold.telemetry.logs import Format, Level

CANARY = "canary7Zq93hX"
NAMED = "plainlookingkey"


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.setLevel(level)
    root.handlers[:] = handlers


def configured(level: Level = "info", format: Format = "json") -> io.StringIO:
    stream = io.StringIO()
    for handler in list(logging.getLogger().handlers):
        if "_pytest" in type(handler).__module__:
            # It would raise on the record that cannot be formatted.
            logging.getLogger().removeHandler(handler)
    telemetry.configure(level, format, secrets=[NAMED], stream=stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_ways_of_logging_come_out_alike() -> None:
    stream = configured()
    telemetry.get_logger("freehold.a").info("turn_ended", session_id="sesn_1")
    logging.getLogger("freehold.b").warning("took %d s", 3, extra={"session_id": "sesn_1"})
    ours, theirs = records(stream)
    assert ours["event"] == "turn_ended"
    assert ours["logger"] == "freehold.a"
    assert ours["level"] == "info"
    assert theirs["event"] == "took 3 s"
    assert theirs["logger"] == "freehold.b"
    assert theirs["level"] == "warning"
    for record in (ours, theirs):
        assert record["session_id"] == "sesn_1"
        assert record["timestamp"].endswith("Z")


def test_bound_fields_are_on_every_record_of_the_block() -> None:
    stream = configured()
    with telemetry.bound(request_id="req_1"):
        telemetry.get_logger("freehold").info("one")
        logging.getLogger("sqlalchemy").warning("two")
    telemetry.get_logger("freehold").info("three")
    assert [r.get("request_id") for r in records(stream)] == ["req_1", "req_1", None]


def test_uvicorn_logs_through_us() -> None:
    stream = configured()
    logging.getLogger("uvicorn.error").error("broken")
    assert [r["logger"] for r in records(stream)] == ["uvicorn.error"]


def test_warnings_are_logged() -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    assert "old thing" in stream.getvalue()


def test_the_level_holds_for_all() -> None:
    stream = configured("warning")
    telemetry.get_logger("freehold").info("no")
    logging.getLogger("freehold").info("no")
    telemetry.get_logger("freehold").error("yes")
    logging.getLogger("freehold").error("yes")
    assert [r["event"] for r in records(stream)] == ["yes", "yes"]


def test_chatty_libraries_speak_only_at_debug() -> None:
    stream = configured("info")
    logging.getLogger("httpx").info("request")
    assert not records(stream)
    stream = configured("debug")
    logging.getLogger("httpx").info("request")
    assert [r["event"] for r in records(stream)] == ["request"]


def test_configuring_again_replaces_the_handler() -> None:
    first, second = configured(), configured()
    logging.getLogger("freehold").error("once")
    assert first.getvalue() == ""
    assert len(records(second)) == 1


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_reaches_the_stream(format: Format) -> None:
    stream = configured("debug", format)
    ours, theirs = telemetry.get_logger("freehold.a"), logging.getLogger("freehold.b")
    ours.info(f"Bearer {CANARY}")
    ours.info("x", api_key=CANARY, nested={"password": CANARY}, key=SecretStr(CANARY))
    ours.info("the key %s", f"sk-ant-{CANARY}")
    ours.info(NAMED, url=f"https://me:{CANARY}@host/{NAMED}")
    theirs.info("sent %s", {"Authorization": f"Bearer {CANARY}"})
    theirs.info("x", extra={"token": CANARY, "headers": {"x-api-key": CANARY}})
    theirs.info("a broken record with too many arguments", f"sk-ant-{CANARY}")
    try:
        int(f"Authorization: Bearer {CANARY}, {NAMED}")
    except ValueError:
        ours.exception("failed")
        theirs.exception("failed")
    text = stream.getvalue()
    assert CANARY not in text
    assert NAMED not in text
    assert text.count("ValueError") >= 2
    assert "a log record could not be written" in text


def test_console_is_for_people() -> None:
    stream = configured("info", "console")
    telemetry.get_logger("freehold").info("turn_ended", session_id="sesn_1")
    line = stream.getvalue()
    assert "turn_ended" in line
    assert "session_id=sesn_1" in line


def test_auto_is_json_where_nobody_watches() -> None:
    stream = configured("info", "auto")
    logging.getLogger("freehold").error("x")
    assert records(stream)[0]["event"] == "x"
