"""The models that ``GET /v1/models`` shows of itself, with what is publicly known of their lives.

Sources: the model ids and the table of deprecated models in the ``anthropic`` SDK 2.12, and
Anthropic's public page on model deprecations, as of November 2026. A date that neither gives is
left out; nothing is looked up at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, cast, get_args

from freehold.core.model_catalog import identify

Lifecycle = Literal["active", "deprecated", "retired"]
Line = Literal["haiku", "sonnet", "opus", "fable", "mythos"]


@dataclass(frozen=True)
class ListedModel:
    """A model as clients see it in a list (spec 21).

    ``aliases`` are other names of it: asked for one of them, the API answers with ``id``. Dates
    are ``None`` where they are not known, or where there is none.
    """

    id: str
    display_name: str | None = None
    line: Line | None = None
    aliases: tuple[str, ...] = ()
    lifecycle: Lifecycle = "active"
    created_at: date | None = None
    deprecated_at: date | None = None
    retires_at: date | None = None


def line_of(model_id: str) -> Line | None:
    """The line of a Claude model, from its id in any form; ``None`` for every other model."""
    known = identify(model_id)
    if known is None or known[0] not in get_args(Line):
        return None
    return cast("Line", known[0])


def _claude(
    model_id: str,
    name: str,
    *,
    alias: str | None = None,
    created: date | None = None,
    lifecycle: Lifecycle = "active",
    deprecated: date | None = None,
    retires: date | None = None,
) -> ListedModel:
    return ListedModel(
        id=model_id,
        display_name=f"Claude {name}",
        line=next((line for line in get_args(Line) if line in name.lower()), None),
        aliases=() if alias is None else (alias,),
        lifecycle=lifecycle,
        created_at=created,
        deprecated_at=deprecated,
        retires_at=retires,
    )


LISTED_MODELS: tuple[ListedModel, ...] = (
    _claude("claude-fable-5-2", "Fable 5.2"),
    _claude("claude-mythos-5-2", "Mythos 5.2"),
    _claude("claude-opus-5-5", "Opus 5.5"),
    _claude("claude-sonnet-5-5", "Sonnet 5.5"),
    _claude("claude-haiku-5-5", "Haiku 5.5"),
    _claude("claude-fable-5-1", "Fable 5.1"),
    _claude("claude-mythos-5-1", "Mythos 5.1"),
    _claude("claude-opus-5", "Opus 5", created=date(2026, 7, 24)),
    _claude("claude-sonnet-5", "Sonnet 5"),
    _claude("claude-fable-5", "Fable 5"),
    _claude("claude-mythos-5", "Mythos 5"),
    _claude("claude-opus-4-8", "Opus 4.8", created=date(2026, 5, 28)),
    _claude(
        "claude-mythos-preview",
        "Mythos Preview",
        lifecycle="retired",
        retires=date(2026, 6, 30),
    ),
    _claude("claude-opus-4-7", "Opus 4.7"),
    _claude("claude-sonnet-4-6", "Sonnet 4.6", created=date(2026, 2, 17)),
    _claude("claude-opus-4-6", "Opus 4.6"),
    _claude(
        "claude-opus-4-5-20251101",
        "Opus 4.5",
        alias="claude-opus-4-5",
        created=date(2025, 11, 24),
    ),
    _claude(
        "claude-haiku-4-5-20251001",
        "Haiku 4.5",
        alias="claude-haiku-4-5",
        created=date(2025, 10, 15),
    ),
    _claude(
        "claude-sonnet-4-5-20250929",
        "Sonnet 4.5",
        alias="claude-sonnet-4-5",
        created=date(2025, 9, 29),
        lifecycle="deprecated",
        retires=date(2026, 11, 30),
    ),
    _claude(
        "claude-opus-4-1-20250805",
        "Opus 4.1",
        alias="claude-opus-4-1",
        created=date(2025, 8, 5),
        lifecycle="retired",
        deprecated=date(2026, 6, 5),
        retires=date(2026, 8, 5),
    ),
    _claude(
        "claude-opus-4-20250514",
        "Opus 4",
        alias="claude-opus-4-0",
        created=date(2025, 5, 22),
        lifecycle="retired",
        deprecated=date(2026, 4, 14),
        retires=date(2026, 6, 15),
    ),
    _claude(
        "claude-sonnet-4-20250514",
        "Sonnet 4",
        alias="claude-sonnet-4-0",
        created=date(2025, 5, 22),
        lifecycle="retired",
        deprecated=date(2026, 4, 14),
        retires=date(2026, 6, 15),
    ),
    _claude(
        "claude-3-7-sonnet-20250219",
        "Sonnet 3.7",
        alias="claude-3-7-sonnet-latest",
        created=date(2025, 2, 24),
        lifecycle="retired",
        deprecated=date(2025, 10, 28),
        retires=date(2026, 2, 19),
    ),
    _claude(
        "claude-3-5-haiku-20241022",
        "Haiku 3.5",
        alias="claude-3-5-haiku-latest",
        created=date(2024, 10, 22),
        lifecycle="retired",
        retires=date(2026, 2, 19),
    ),
    _claude(
        "claude-3-opus-20240229",
        "Opus 3",
        alias="claude-3-opus-latest",
        created=date(2024, 2, 29),
        lifecycle="retired",
        deprecated=date(2025, 6, 30),
        retires=date(2026, 1, 5),
    ),
)
"""Newest first. Those that take no requests any more are its end, and are shown when asked for."""
