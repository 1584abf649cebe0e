"""What a parity script is written with: calls that are answered, marked, held and kept."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.parity.held import differences, payloads, refusals
from tests.parity.world import World
from tests.support.endpoints import endpoint_of

SNAPSHOTS = Path(__file__).parent / "snapshots"

KINDS = ("recorded", "typed", "inferred")


@dataclass(frozen=True)
class Mark:
    """How we know that an answer is the hosted one's: the kind, and where it says so."""

    kind: str
    source: str


def recorded(source: str) -> Mark:
    """Seen of the real service, or an example of its answers; ``source`` is the chapter."""
    return Mark("recorded", source)


def typed(source: str = "SDK 2.12.0") -> Mark:
    """The SDK's types or the documentation say so."""
    return Mark("typed", source)


def inferred(source: str) -> Mark:
    """Our choice, for the reason that ``source`` says."""
    return Mark("inferred", source)


_ID = re.compile(r"\b(?!req_)([a-z]+)_(?:01[1-9A-HJ-NP-Za-km-z]{22}|[0-9a-f]{24,64})\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_OTHERS = [
    (re.compile(r"\breq_\w+"), "<request>"),
    (re.compile(r"\bpage_[\w=-]+"), "<page>"),
    (re.compile(r"\bwhsec_[\w+/=-]+"), "<secret>"),
    (re.compile(r"\bsk-ant-\w+-[\w-]+"), "<key>"),
    (re.compile(r"\b\d{16}\b"), "<number>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<server>"),
]
VARIES = frozenset(
    {
        "active_seconds",
        "ca_certificate_pem",
        "domain",
        "duration_seconds",
        "fingerprint",
        "secret",
        "startup_seconds",
        "tunnel_token",
    }
)
"""Fields whose values are chance or take as long as they take."""


@dataclass
class Script:
    """The answers of one resource, in the order of the calls.

    Calling it makes a request; ``mark`` says how the answer is known. With ``payload`` it is held
    against the recorded object of that name, but for the paths in ``but``; with ``refusal``
    against the recorded text.
    """

    world: World
    resource: str
    kept: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    _varies: frozenset[str] | set[str] = VARIES
    _ids: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def __call__(
        self,
        name: str,
        mark: Mark,
        request: str,
        body: Any = None,
        *,
        beta: str | None = None,
        headers: dict[str, str] | None = None,
        files: Any = None,
        form: dict[str, str] | None = None,
        status: int | None = None,
        payload: str | None = None,
        but: tuple[str, ...] = (),
        refusal: str | None = None,
        keep: bool = True,
        vary: tuple[str, ...] = (),
    ) -> Any:
        """Ask, hold and keep; the answer's JSON, or its text.

        ``vary`` are fields whose values are chance.
        """
        self._varies = VARIES | set(vary)
        method, path = request.split(" ", 1)
        sent = self._headers(path, beta, headers)
        given: dict[str, Any] = {"headers": sent}
        if files is not None:
            given |= {"files": files, "data": form or {}}
        elif body is not None:
            given["json"] = body
        response = self.world.bare.request(method, path, **given)
        answer = _read(response)
        wanted = status or (refusals()[refusal].status if refusal else 200)
        if response.status_code != wanted:
            raise AssertionError(f"{self.resource}, {name}: {response.status_code}, {answer}")
        if payload is not None:
            self.hold(name, payloads()["objects"][payload], answer, but)
        if refusal is not None:
            self._hold_refusal(name, refusal, response, answer)
        if keep:
            self._keep(name, mark, response, answer, body or form, payload, refusal)
        return answer

    def hold(
        self, name: str, known: Any, ours: Any, but: tuple[str, ...] = (), *, values: bool = True
    ) -> None:
        """Hold an object against a recorded one; each of ``but`` must name a difference."""
        told = list(differences(known, ours, values=values))
        self.complaints += [
            f"{name}: {one}" for one in told if not any(one.startswith(path) for path in but)
        ]
        self.complaints += [
            f"{name}: {path} does not differ"
            for path in but
            if not any(one.startswith(path) for one in told)
        ]

    def note(
        self,
        name: str,
        mark: Mark,
        value: Any,
        refusal: str | None = None,
        *,
        endpoint: str | None = None,
    ) -> None:
        """Keep what is no answer of its own: what a stream told, the text of a tool's result."""
        if refusal is not None and not refusals()[refusal].matches(value):
            self.complaints.append(f"{name}: {value!r} is not {refusal}")
        kept: dict[str, Any] = {
            "endpoint": endpoint,
            "kind": mark.kind,
            "source": mark.source,
        }
        kept |= {"refusal": refusal} if refusal else {}
        self._add(name, {**kept, "value": self._plain(value)})

    def _headers(
        self, path: str, beta: str | None, headers: dict[str, str] | None
    ) -> dict[str, str]:
        sent = {"x-api-key": self.world.key}
        if beta is None:
            # What the SDK sends there.
            beta = "managed-agents-2026-04-01"
            if path.startswith("/v1/memory_stores"):
                beta = "agent-memory-2026-07-22"
            elif path.startswith("/v1/organizations/webhooks"):
                beta = "webhooks-2026-10-07"
        if beta:
            sent["anthropic-beta"] = beta
        sent |= headers or {}
        return {name: value for name, value in sent.items() if value}

    def _hold_refusal(self, name: str, refusal: str, response: Any, answer: Any) -> None:
        known = refusals()[refusal]
        error = answer["error"]
        if not known.matches(error["message"]):
            self.complaints.append(f"{name}: {error['message']!r} is not {known.text!r}")
        # docs/DIVERGENCES.md: conflicts have the type that documentation and SDK give them.
        kinds = {known.type} | ({"conflict_error"} if known.status == 409 else set())
        if error["type"] not in kinds:
            self.complaints.append(f"{name}: {error['type']} is not {known.type}")
        if known.should_retry and response.headers.get("x-should-retry") != known.should_retry:
            self.complaints.append(f"{name}: x-should-retry is not {known.should_retry}")

    def _keep(  # noqa: PLR0917 - what is kept of a call
        self,
        name: str,
        mark: Mark,
        response: httpx2.Response,
        answer: Any,
        body: Any,
        payload: str | None,
        refusal: str | None,
    ) -> None:
        url = response.request.url
        endpoint = endpoint_of(response.request.method, url.path)
        target = url.raw_path.decode()
        kept: dict[str, Any] = {
            "endpoint": endpoint.name if endpoint is not None else None,
            "kind": mark.kind,
            "source": mark.source,
        }
        kept |= {"payload": payload} if payload else {}
        kept |= {"refusal": refusal} if refusal else {}
        kept["request"] = {"method": response.request.method, "path": self._plain(target)}
        if body is not None:
            kept["request"]["body"] = self._plain(body)
        kept["status"] = response.status_code
        for header in ("x-should-retry", "allow"):
            if header in response.headers:
                kept.setdefault("headers", {})[header] = response.headers[header]
        kept["answer"] = self._plain(answer)
        self._add(name, kept)

    def _add(self, name: str, kept: dict[str, Any]) -> None:
        if name in self.kept:
            raise AssertionError(f"{self.resource}: {name} is there twice")
        self.kept[name] = kept

    def _plain(self, value: Any) -> Any:
        """Without what differs from one run to the next."""
        if isinstance(value, dict):
            return {
                self._text(key): f"<{key}>"
                if key in self._varies and (item is not None or key not in VARIES)
                else self._plain(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _TIME.sub("<time>", text)
        for pattern, instead in _OTHERS:
            text = pattern.sub(instead, text)
        text = _ID.sub(self._id, text)
        return text if len(text) <= 2000 else f"<{len(text)} characters>"

    def _id(self, match: re.Match[str]) -> str:
        if match[0] not in self._ids:
            number = self._numbers[match[1]] = self._numbers.get(match[1], 0) + 1
            self._ids[match[0]] = f"<{match[1]}_{number}>"
        return self._ids[match[0]]


def _read(response: httpx2.Response) -> Any:
    if response.headers.get("content-type", "").startswith("application/json"):
        return response.json()
    return f"<{response.headers.get('content-type')}>"


def path_of(resource: str) -> Path:
    """The file of a resource's snapshots."""
    return SNAPSHOTS / f"{resource}.json"


def written(kept: dict[str, Any]) -> str:
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def changes(resource: str, kept: dict[str, Any]) -> str:
    """How the answers differ from the snapshots; nothing if they do not."""
    path = path_of(resource)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = written(kept)
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), path.name, "answers"
        )
    )


def snapshots() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every snapshot there is: its resource, its name and what is kept."""
    for path in sorted(SNAPSHOTS.glob("*.json")):
        for name, kept in json.loads(path.read_text(encoding="utf-8")).items():
            yield path.stem, name, kept
