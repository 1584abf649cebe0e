"""Logs: structlog and the standard library in one form, through one redactor."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from freehold.telemetry.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

_QUIET = {
    # Libraries that tell each request at INFO what our own lines tell better.
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpcore2": logging.WARNING,
    "anthropic": logging.WARNING,
    "urllib3": logging.WARNING,
    "docker": logging.WARNING,
    "aiosqlite": logging.INFO,
    "asyncio": logging.INFO,
    "alembic": logging.WARNING,
    "sse_starlette": logging.INFO,
    "uvicorn.error": logging.WARNING,
}

# Tells whole messages, and with them what servers echo; our own lines say which failed and how.
_SILENT = ("mcp",)


def configure(
    level: Level = "info",
    format: Format = "auto",
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up every log of this process; calling again replaces what was set up before.

    Records go to ``stream`` (default: standard error), one a line as JSON, or for people on a
    terminal. ``secrets`` are values that must appear in none of them.
    """
    stream = stream if stream is not None else sys.stderr
    on_terminal = stream.isatty()
    as_json = format == "json" or (format == "auto" and not on_terminal)
    redact = _Redaction(Redactor(secrets))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.StackInfoRenderer(),
        # The traceback becomes text before redaction: a secret may stand in any of its lines.
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=on_terminal, pad_event_to=0)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
    )
    handler = _Handler(stream)
    handler.setFormatter(formatter)

    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    threshold = getattr(logging, level.upper())
    root.setLevel(threshold)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(
            logging.DEBUG if threshold == logging.DEBUG else max(least, threshold)
        )
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        ours = logging.getLogger(name)
        ours.handlers.clear()
        ours.propagate = True
    logging.captureWarnings(True)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """A structlog logger; ``name`` is the module's."""
    return cast(FilteringBoundLogger, structlog.stdlib.get_logger(name))


def bind(**fields: Any) -> Mapping[str, Any]:
    """Add fields to every record that this task, and the tasks that it starts, log from now on.

    Returns tokens for :func:`structlog.contextvars.reset_contextvars`.
    """
    return structlog.contextvars.bind_contextvars(**fields)


def bound(**fields: Any) -> AbstractContextManager[None]:
    """Add fields, such as ``request_id`` or ``session_id``, to the records of a block."""
    return structlog.contextvars.bound_contextvars(**fields)


class _Handler(logging.StreamHandler[TextIO]):
    """A stream handler that never prints the arguments of a record that it cannot format."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        with contextlib.suppress(Exception):
            self.stream.write(
                f"a log record could not be written ({record.name}, line {record.lineno})\n"
            )


class _Redaction:
    """The last processor before the renderer; nothing reaches a stream without it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return cast(MutableMapping[str, Any], self._redactor.value(dict(event)))


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
