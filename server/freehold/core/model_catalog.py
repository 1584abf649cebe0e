"""What a model id can do, as far as it shapes a request to the Messages API (spec 2, 6.3, 21).

Sources: Anthropic's public pages on models, thinking, effort, fast mode and mid-conversation
system messages, as of November 2026, and the parameter types of the ``anthropic`` SDK 2.12.
Nothing is looked up at run time: an id that the table does not know gets values that no server
refuses, and a version newer than the table gets those of the newest known of its family.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Effort = Literal["low", "medium", "high", "xhigh", "max"]
ThinkingStyle = Literal["adaptive", "budget", "none"]

UP_TO_HIGH: tuple[Effort, ...] = ("low", "medium", "high")
WITHOUT_XHIGH: tuple[Effort, ...] = ("low", "medium", "high", "max")
ALL_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")

THINKING_BUDGETS: dict[str, int] = {
    "low": 4_000,
    "medium": 10_000,
    "high": 16_000,
    "xhigh": 24_000,
    "max": 32_000,
}
"""``budget_tokens`` of the models that think by budget; below every such model's ``max_tokens``."""


@dataclass(frozen=True)
class ModelCapabilities:
    """What one model takes and gives; sizes in tokens.

    ``thinking``: ``adaptive`` is ``{"type": "adaptive"}``; ``budget`` is ``{"type": "enabled",
    "budget_tokens": n}``; with ``none`` the parameter is left out. ``efforts`` are the values of
    ``output_config.effort`` the model takes, ``default_effort`` the one in force when none is
    sent; both are empty for a model that refuses the parameter. ``cache_breakpoints``: whether
    ``cache_control`` may be put on blocks. ``images``: whether it takes them; one that does not is
    shown a line of text in their place. ``system_messages``: whether ``messages`` may hold
    entries of role ``system`` (spec 6.3).
    """

    context_window: int
    max_output_tokens: int
    thinking: ThinkingStyle = "none"
    efforts: tuple[Effort, ...] = ()
    default_effort: Effort | None = None
    fast: bool = False
    images: bool = True
    cache_breakpoints: bool = False
    system_messages: bool = False

    @property
    def takes_effort(self) -> bool:
        """Whether ``output_config.effort`` may be sent at all."""
        return bool(self.efforts)


UNKNOWN = ModelCapabilities(context_window=128_000, max_output_tokens=8_192)
"""A model of another maker, behind whatever name its server gives it."""

_CLAUDE = ModelCapabilities(
    context_window=200_000, max_output_tokens=32_000, cache_breakpoints=True
)
"""A Claude model this table has never heard of."""

_CLAUDE_3 = replace(_CLAUDE, max_output_tokens=4_096)
_CLAUDE_3_5 = replace(_CLAUDE, max_output_tokens=8_192)
_BUDGET_32K = replace(_CLAUDE, max_output_tokens=32_000, thinking="budget")
_BUDGET_64K = replace(_BUDGET_32K, max_output_tokens=64_000)
_ADAPTIVE = replace(
    _CLAUDE,
    context_window=1_000_000,
    max_output_tokens=128_000,
    thinking="adaptive",
    efforts=ALL_EFFORTS,
    default_effort="high",
)
_ADAPTIVE_46 = replace(_ADAPTIVE, efforts=WITHOUT_XHIGH)
_CURRENT = replace(_ADAPTIVE, system_messages=True)

Version = tuple[int, int]

_FAMILIES: dict[str, tuple[tuple[Version, ModelCapabilities], ...]] = {
    "fable": (((5, 0), _CURRENT), ((5, 1), _CURRENT), ((5, 2), replace(_CURRENT, fast=True))),
    "mythos": (((5, 0), _CURRENT), ((5, 1), _CURRENT), ((5, 2), replace(_CURRENT, fast=True))),
    "opus": (
        ((3, 0), _CLAUDE_3),
        ((4, 0), _BUDGET_32K),
        ((4, 5), replace(_BUDGET_64K, efforts=UP_TO_HIGH, default_effort="high")),
        ((4, 6), _ADAPTIVE_46),
        ((4, 7), _ADAPTIVE),
        ((4, 8), replace(_CURRENT, fast=True)),
        ((5, 0), replace(_CURRENT, fast=True)),
        ((5, 5), replace(_CURRENT, fast=True, default_effort="medium")),
    ),
    "sonnet": (
        ((3, 0), _CLAUDE_3),
        ((3, 5), _CLAUDE_3_5),
        ((3, 7), _BUDGET_64K),
        ((4, 0), _BUDGET_64K),
        ((4, 6), replace(_ADAPTIVE_46, max_output_tokens=64_000)),
        ((5, 0), _ADAPTIVE),
        ((5, 5), _CURRENT),
    ),
    "haiku": (
        ((3, 0), _CLAUDE_3),
        ((3, 5), _CLAUDE_3_5),
        ((4, 5), _BUDGET_64K),
        ((5, 5), replace(_CURRENT, default_effort="medium")),
    ),
}
"""For each family its versions in rising order; a version between two has the earlier one's."""

KNOWN_MODELS: tuple[str, ...] = (
    "claude-fable-5-2",
    "claude-mythos-5-2",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
    "claude-mythos-5-1",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-mythos-5",
    "claude-mythos-preview",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-opus-4-5",
    "claude-sonnet-4-5",
)
"""Aliases that the SDK names, newest first."""

# Gateways prefix the id with their provider ("anthropic/", "bedrock/us.anthropic.") and some write
# a version with a dot.
_PREFIX = re.compile(r"^.*?(?=claude-)")
_NAME_FIRST = re.compile(
    r"^claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
)
_VERSION_FIRST = re.compile(
    r"^claude-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?-(?P<family>[a-z]+)(?!\d)"
)


@lru_cache(maxsize=1024)
def describe(model_id: str) -> ModelCapabilities:
    """What the model of this id can do; never fails.

    Takes plain ids (``claude-opus-5-5``), dated ones (``claude-haiku-4-5-20251001``) and the forms
    of gateways (``anthropic/claude-opus-4.5``, ``us.anthropic.claude-opus-4-5-20251101-v1:0``).
    """
    name = _PREFIX.sub("", model_id.strip().lower(), count=1)
    if not name.startswith("claude"):
        return UNKNOWN
    if name.startswith("claude-mythos-preview"):
        return _ADAPTIVE_46
    known = identify(model_id)
    if known is None or known[0] not in _FAMILIES:
        return _CLAUDE
    family, asked = known
    best = _CLAUDE_3
    for version, capabilities in _FAMILIES[family]:
        if version > asked:
            break
        best = capabilities
    return best


def identify(model_id: str) -> tuple[str, Version] | None:
    """Family and version of a Claude model's id in any of the forms that :func:`describe` takes;
    ``None`` for every other id."""
    name = _PREFIX.sub("", model_id.strip().lower(), count=1)
    match = _NAME_FIRST.match(name) or _VERSION_FIRST.match(name)
    if match is None:
        return None
    return match["family"], (int(match["major"]), int(match["minor"] or 0))


def thinking_param(model_id: str, effort: str | None) -> dict[str, object] | None:
    """The ``thinking`` parameter for this model, or None where it must be left out.

    A model that thinks by budget has no effort, or one that does not reach its thinking, so the
    wish for effort sets the budget there.
    """
    return thinking_for(describe(model_id), effort)


def thinking_for(capabilities: ModelCapabilities, effort: str | None) -> dict[str, object] | None:
    """As :func:`thinking_param`, for a model that can do this much."""
    if capabilities.thinking == "adaptive":
        return {"type": "adaptive"}
    if capabilities.thinking == "budget":
        budget = THINKING_BUDGETS.get(effort or "high", THINKING_BUDGETS["high"])
        ceiling = capabilities.max_output_tokens // 2
        return {"type": "enabled", "budget_tokens": min(budget, ceiling)}
    return None


def effort_for(capabilities: ModelCapabilities, effort: str | None) -> Effort | None:
    """The effort to ask of a model that can do this much: the greatest it has that is not above
    ``effort``, or else its least; None where the parameter must be left out."""
    if effort is None or not capabilities.efforts:
        return None
    levels = list(map(str, ALL_EFFORTS))
    taken = sorted(capabilities.efforts, key=levels.index)
    within = [level for level in taken if levels.index(level) <= levels.index(effort)]
    return within[-1] if within else taken[0]
