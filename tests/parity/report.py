# ruff: noqa: E501 - the paragraphs of a document
"""``docs/API.md``, made from the tables, the snapshots and docs/DIVERGENCES.md.

python -m tests.parity.report                       the counts
python -m tests.parity.report --output docs/API.md  the document
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.parity.held import payloads, refusals
from tests.parity.script import KINDS, snapshots
from tests.parity.status import ALIKE, DIFFERS, ELSEWHERE, NOT_HELD, REFUSED
from tests.support.endpoints import Endpoint, beyond, endpoints

ROOT = Path(__file__).parents[2]

_HEAD = """# The API, endpoint by endpoint

<!-- Made by `make docs` from tests/parity. Change the tables and scripts there. -->

What the official SDK 2.12.0 can ask of the managed-agents surface, what Freehold answers, and how we know. Every row that is not refused is called through the SDK's method in a test (`tests/parity/test_endpoints.py`), and every answer that any test gets is held to the SDK's types field by field (`tests/support/answers.py`): a field that they do not know, or lack, fails.

- **exact**: no difference is known in what the endpoint answers.
- **differs**: a row of [DIVERGENCES](DIVERGENCES.md), confirmed or deliberate, shows in its answers.
- **refuses**: it is there and can only refuse.

The numbers are answers that are kept as snapshots (`tests/parity/snapshots`), by how we know what the hosted service answers: **recorded** (the real service was seen to answer so in September 2026, or the specification gives the object as an example of its answers), **typed** (the SDK's types or the documentation say so), **inferred** (our choice where nothing says). Answers that were recorded are held against the recording itself, key by key and word by word, not only against our own snapshot.
"""


def _evidence() -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """How many snapshots of each kind there are, by endpoint and by resource."""
    of_endpoint: dict[str, Counter[str]] = defaultdict(Counter)
    of_resource: dict[str, Counter[str]] = defaultdict(Counter)
    for resource, _, kept in snapshots():
        of_resource[resource][kept["kind"]] += 1
        if kept["endpoint"]:
            of_endpoint[kept["endpoint"]][kept["kind"]] += 1
    return of_endpoint, of_resource


def counts() -> str:
    """How many answers are kept, a line a resource."""
    _, found = _evidence()
    total: Counter[str] = sum(found.values(), Counter())
    lines = ["| Resource | Recorded | Typed | Inferred |", "|---|---|---|---|"]
    for resource in sorted(found):
        numbers = " | ".join(str(found[resource][kind]) for kind in KINDS)
        lines.append(f"| {resource} | {numbers} |")
    numbers = " | ".join(f"**{total[kind]}**" for kind in KINDS)
    lines.append(f"| **all** | {numbers} |")
    return "\n".join(lines) + "\n"


def _held() -> Iterator[str]:
    kept = [kept for _, _, kept in snapshots()]
    texts = {one["refusal"] for one in kept if "refusal" in one}
    elsewhere = [name for name, where in ELSEWHERE.items() if where.startswith("tests/")]
    never = sorted(set(ELSEWHERE) - set(elsewhere))
    objects = payloads()["objects"]
    yield (
        f"Of {len(refusals())} recorded texts of refusals, {len(texts)} are held against answers "
        f"here, {len(elsewhere)} in other tests, and {len(never)} are never said: "
        + "; ".join(f"`{name}` ({ELSEWHERE[name]})" for name in never)
        + "\n\n"
    )
    yield (
        f"Of {len(objects)} example objects, {len(objects) - len(NOT_HELD)} are held against "
        "answers; not: "
        + "; ".join(f"{name} ({reason})" for name, reason in sorted(NOT_HELD.items()))
        + f" The {len(payloads()['events'])} example events are held against every event of their "
        "kind that the scripts see.\n"
    )


def _status(endpoint: Endpoint) -> tuple[str, str]:
    if endpoint.name in REFUSED:
        status, _, reason = REFUSED[endpoint.name]
        return "refuses", f"{status}: {reason}"
    rows = [title for title, names in DIFFERS.items() if endpoint.name in names]
    if rows:
        return "differs", "; ".join(rows)
    return "exact", ""


def _table(rows: tuple[Endpoint, ...], kept: dict[str, Counter[str]]) -> Iterator[str]:
    by_resource: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in rows:
        by_resource[endpoint.resource].append(endpoint)
    for resource, found in by_resource.items():
        yield f"\n### {resource}\n\n"
        yield "| Endpoint | SDK method | Status | Recorded, typed, inferred | |\n"
        yield "|---|---|---|---|---|\n"
        for endpoint in found:
            status, why = _status(endpoint)
            numbers = kept.get(endpoint.name, Counter())
            shown = ", ".join(str(numbers[kind]) for kind in KINDS) if numbers else ""
            yield (
                f"| `{endpoint.method} {endpoint.path}` | `{endpoint.sdk_method}` | {status} "
                f"| {shown} | {why} |\n"
            )


def document() -> str:
    """The whole of ``docs/API.md``."""
    kept, _ = _evidence()
    states = Counter(_status(endpoint)[0] for endpoint in endpoints())
    summary = ", ".join(f"{states[state]} {state}" for state in ("exact", "differs", "refuses"))
    return "".join(
        [
            _HEAD,
            f"\nOf {len(endpoints())} endpoints: {summary}.\n\n## Answers that are kept\n\n",
            counts(),
            "\n",
            *_held(),
            "\nIn every endpoint's answers show these rows of DIVERGENCES: ",
            "; ".join(ALIKE),
            ".\n\n## The managed-agents surface\n",
            *_table(endpoints(), kept),
            "\n## Beyond it\n\nMethods of the organization, for admin keys.\n",
            *_table(beyond(), kept),
        ]
    )


def divergences() -> dict[str, str]:
    """The rows of docs/DIVERGENCES.md: what they are about, and the whole row."""
    text = (ROOT / "docs/DIVERGENCES.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|(.*)\|$", text, re.MULTILINE)
    return {what: rest for what, rest in rows if what not in ("What", "---")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", "-o", type=Path)
    output = parser.parse_args().output
    if output is None:
        print(counts())
        print("".join(_held()))
    else:
        output.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
