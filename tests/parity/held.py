"""Answers held against what was recorded: payloads key by key, refusals word by word."""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"

# The made-up ids have digits that real ones do not.
_ID = re.compile(r"([a-z]+)_01[0-9A-Za-z]{22}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True)
class Refusal:
    """A recorded refusal. ``text`` has an ``…`` for what differs from one to the next."""

    name: str
    status: int
    type: str
    should_retry: str
    text: str

    def matches(self, message: str) -> bool:
        pattern = ".*".join(re.escape(part) for part in self.text.split("…"))
        return re.fullmatch(pattern, message, re.DOTALL) is not None


@functools.cache
def refusals() -> dict[str, Refusal]:
    """All of them by name."""
    with (RECORDED / "refusals.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = [Refusal(**{**row, "status": int(row["status"])}) for row in rows]
    return {one.name: one for one in found}


@functools.cache
def payloads() -> dict[str, Any]:
    """``objects`` by name, ``events``, ``frames`` and ``errors``."""
    found: dict[str, Any] = json.loads((RECORDED / "payloads.json").read_text(encoding="utf-8"))
    return found


OPEN = {"input", "metadata"}
"""Fields whose keys are the client's or the model's."""


def differences(recorded: Any, ours: Any, path: str = "", *, values: bool = True) -> Iterator[str]:
    """Where an answer is not what was recorded, as paths; ids and times need be of the kind only.

    Without ``values``, forms alone are compared: the keys, and the types of what they hold.
    """
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for name in recorded.keys() | ours.keys():
            below = f"{path}.{name}" if path else name
            if not values and name in OPEN:
                continue
            if name not in ours:
                yield f"{below} is missing"
            elif name not in recorded:
                yield f"{below} was not recorded"
            else:
                yield from differences(recorded[name], ours[name], below, values=values)
    elif isinstance(recorded, list) and isinstance(ours, list):
        yield from _lists(recorded, ours, path, values=values)
    elif not _alike(recorded, ours, values=values):
        yield f"{path} is {json.dumps(ours)}, recorded {json.dumps(recorded)}"


def _lists(recorded: list[Any], ours: list[Any], path: str, *, values: bool) -> Iterator[str]:
    left = list(ours)
    for item in recorded:
        found = next((one for one in left if _same_kind(item, one)), None)
        if found is None:
            if values:
                yield f"{path} has no {json.dumps(item)[:60]}"
            continue
        left.remove(found)
        yield from differences(item, found, f"{path}[{_kind(item)}]", values=values)
    if left and values:
        yield f"{path} has {len(left)} more"


def _kind(item: Any) -> str:
    if isinstance(item, dict):
        return "/".join(str(item[name]) for name in ("type", "name") if name in item)
    return ""


def _same_kind(recorded: Any, ours: Any) -> bool:
    return type(recorded) is type(ours) and _kind(recorded) == _kind(ours)


def _alike(recorded: Any, ours: Any, *, values: bool) -> bool:
    if isinstance(recorded, str) and isinstance(ours, str):
        known, given = _ID.fullmatch(recorded), _ID.fullmatch(ours)
        if known or given:
            return bool(known and given and known[1] == given[1])
        if _TIME.fullmatch(recorded):
            return _TIME.fullmatch(ours) is not None
        return recorded == ours or not values
    if isinstance(recorded, bool) or isinstance(ours, bool) or recorded is None or ours is None:
        return recorded is ours or (not values and type(recorded) is type(ours))
    if isinstance(recorded, int | float) and isinstance(ours, int | float):
        return recorded == ours or not values
    return False
