"""What schemathesis is told about our requests; loaded by its command, see test_generated.py.

Generated ids are ids of nothing, and a request with one gets no further than the look-up. So most
of them are put right: ids in paths and bodies become those of objects that were made beforehand, or
that earlier answers of the same run told of. What destroys is only pointed at the latter, and they
stay in use: archived and deleted objects are asked for again.

Ids that schemathesis itself took from an answer, following the document's links, are left alone.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import threading
import zlib
from collections import Counter, deque
from pathlib import Path
from typing import Any

import schemathesis

from freehold.api import betas
from freehold.core.workspaces import DEFAULT_WORKSPACE

SEEDS_VARIABLE = "FREEHOLD_GENERATED_SEEDS"
COUNTS_VARIABLE = "FREEHOLD_GENERATED_COUNTS"

Ids = dict[str, str]
"""The parameters of a path that lead to an object: its own id and those of what it is in."""

_KEPT = 20
_DESTROYS = ("/archive", "/redact", "/regenerate_signing_secret")
_PARAMETER = re.compile(r"\{([^}]+)\}")
_REAL = re.compile(r"[a-z]+_01[1-9A-HJ-NP-Za-km-z]{22}")

_seeds: Ids = json.loads(os.environ.get(SEEDS_VARIABLE, "{}"))
_found: dict[str, deque[Ids]] = {}
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def _beta(path: str) -> str:
    for root, beta in betas.ALONE.items():
        if path.startswith(root):
            return beta
    return betas.MANAGED_AGENTS


def _number(value: Any) -> int:
    """Always the same for the same."""
    return zlib.crc32(repr(value).encode("utf-8", "surrogatepass"))


def _mostly(value: Any) -> bool:
    return _number(value) % 4 != 0


def _choice(name: str, number: int, *, expendable: bool) -> Ids | None:
    with _lock:
        found = list(_found.get(name, ()))
    if name in _seeds and not expendable and (not found or number % 2):
        return _seeds
    return found[number % len(found)] if found else None


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Give a request the headers and ids that let it in."""
    path = case.operation.path
    headers = dict(case.headers or {})
    named = headers.get("anthropic-beta")
    if named not in betas.KNOWN or _mostly(named):
        headers["anthropic-beta"] = _beta(path)
    if "anthropic-workspace-id" in headers:
        headers["anthropic-workspace-id"] = DEFAULT_WORKSPACE
    case.headers = headers
    given = case.path_parameters or {}
    names = _PARAMETER.findall(path)
    made_up = [name for name in names if not _REAL.fullmatch(str(given.get(name, "")))]
    if made_up and _mostly(given):
        destroys = case.method.upper() == "DELETE" or path.endswith(_DESTROYS)
        chosen = _choice(names[-1], _number(given), expendable=destroys)
        case.path_parameters = {**given, **{n: (chosen or {}).get(n, given[n]) for n in names}}
    if isinstance(case.body, dict):
        for field, name in (("agent", "agent_id"), ("environment_id", "environment_id")):
            value = case.body.get(field)
            if isinstance(value, str) and _mostly(value) and name in _seeds:
                case.body[field] = _seeds[name]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count an answer, and remember the objects that it tells of."""
    path = case.operation.path
    with _lock:
        _counts[f"{case.method.upper()} {path} {response.status_code}"] += 1
    if response.status_code != 200 or case.method.upper() == "DELETE":
        return
    child = re.compile(re.escape(path) + r"/\{([^}/]+)\}")
    name = next((m[1] for p in case.operation.schema if (m := child.fullmatch(p))), None)
    if name is None:
        return
    try:
        body = response.json()
    except ValueError:
        return
    above = {key: str(value) for key, value in (case.path_parameters or {}).items()}
    objects = body.get("data", [body])[:3] if isinstance(body, dict) else []
    for each in objects:
        if isinstance(each, dict) and isinstance(id_ := each.get("id"), str):
            if id_ == _seeds.get(name) or id_ == DEFAULT_WORKSPACE:
                continue
            with _lock:
                kept = _found.setdefault(name, deque(maxlen=_KEPT))
                if all(ids[name] != id_ for ids in kept):
                    kept.append({**above, name: id_})


@atexit.register
def _written() -> None:
    if target := os.environ.get(COUNTS_VARIABLE):
        Path(target).write_text(json.dumps(_counts))
