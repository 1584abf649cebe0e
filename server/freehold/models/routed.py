"""Several providers behind one: each model id goes its way, and has others to fall back on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from freehold.core.events import Content, Json
from freehold.errors import ModelError, ModelErrorKind
from freehold.models.route_table import RouteForm, RouteTable
from freehold.ports.model import (
    BlockStarted,
    Model,
    ModelEvent,
    ModelRequest,
    ModelResponse,
    Relay,
    Relayed,
)
from freehold.ports.sandbox import Finding

log = logging.getLogger(__name__)

_PASSED_OVER: frozenset[ModelErrorKind] = frozenset({"overloaded", "server", "connection"})
"""Failures of the server, for which the next one is asked."""
_PASSED_OVER_STATUS = frozenset({500, 502, 503, 504, 529})
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class Provider(Model, Relay, Protocol):
    """A model that takes clients' own requests as well."""


@dataclass(frozen=True)
class _Candidate:
    """A server to ask, and the names of the model for its client and for itself."""

    name: str
    upstream_id: str
    provider: Provider


class RoutedModel:
    """Sends each request where the table says, or to ``default``.

    A fallback answers in the place of another model, so thoughts are kept from it, and its own
    are not kept: thinking blocks are signed by the model that thought them, and no other takes
    them back.

    Args:
        table: the routes.
        providers: the server of each route, in the table's order.
        default: where models go that the table does not name.
    """

    def __init__(self, table: RouteTable, providers: Sequence[Provider], default: Provider) -> None:
        self._table = table
        self._providers = dict(zip((route.id for route in table.models), providers, strict=True))
        self._default = default

    @property
    def description(self) -> str:
        """The routes and where they lead."""
        routes = [f"{route.id} → {self._of(route).description}" for route in self._table.models]
        return "; ".join([*routes, f"else {self._default.description}"])

    def _of(self, route: RouteForm) -> Provider:
        return self._providers[route.id]

    def _candidates(self, model_id: str) -> list[_Candidate]:
        route = self._table.route(model_id)
        if route is None:
            return [_Candidate(model_id, model_id, self._default)]
        found = [_Candidate(model_id, route.upstream_id(model_id), self._of(route))]
        for name in route.fallbacks:
            other = self._table.route(name)
            if other is not None and name != model_id:
                found.append(_Candidate(name, other.upstream_id(name), self._of(other)))
        return found

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Sample once; see :meth:`freehold.ports.model.Model.stream`.

        Once something was said no other server is asked: half an answer of one model is not to be
        finished by another.
        """
        candidates = self._candidates(request.model)
        for place, candidate in enumerate(candidates):
            said = False
            asked = replace(request, model=candidate.upstream_id)
            if place:
                asked = replace(asked, messages=[_thoughtless(m) for m in request.messages])
            try:
                async with aclosing(candidate.provider.stream(asked)) as events:  # type: ignore[type-var]
                    async for event in events:
                        said = True
                        shown = event if not place else _fallback(event, candidate.name)
                        if shown is not None:
                            yield shown
            except ModelError as error:
                last = place == len(candidates) - 1
                if said or last or error.kind not in _PASSED_OVER:
                    raise
                _passed_over(candidate, candidates[place + 1], error.message)
            else:
                return

    async def relay(self, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
        """Pass a request on; see :meth:`freehold.ports.model.Relay.relay`."""
        model_id: str = orjson.loads(body)["model"]
        candidates = self._candidates(model_id)
        for place, candidate in enumerate(candidates[:-1]):
            try:
                answer = await _relay(candidate, model_id, path, body, headers)
            except ModelError as error:
                if error.kind not in _PASSED_OVER:
                    raise
                _passed_over(candidate, candidates[place + 1], error.message)
                continue
            if answer.status not in _PASSED_OVER_STATUS:
                return answer
            await answer.close()
            _passed_over(candidate, candidates[place + 1], f"status {answer.status}")
        return await _relay(candidates[-1], model_id, path, body, headers)

    async def check(self) -> list[Finding]:
        """How each server stands that a route leads to."""
        found: list[Finding] = []
        for route in self._table.models:
            found += [
                replace(f, detail=f"route {route.id}: {f.detail}")
                for f in await self._of(route).check()
            ]
        if self._table.route("") is None:  # a route that takes everything leaves nothing over
            # Whoever has routes may well mean to have nothing else.
            found += [
                replace(f, status="warning" if f.status == "error" else f.status)
                for f in await self._default.check()
            ]
        return found

    async def close(self) -> None:
        """Let go of all connections."""
        for provider in [*self._providers.values(), self._default]:
            await provider.close()


async def _relay(
    candidate: _Candidate, model_id: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Relayed:
    if candidate.upstream_id != model_id:
        body = orjson.dumps({**orjson.loads(body), "model": candidate.upstream_id})
    return await candidate.provider.relay(path, body, headers)


def _passed_over(one: _Candidate, other: _Candidate, why: str) -> None:
    log.warning("%s cannot answer (%s); asking %s", one.name, why, other.name)


def _fallback(event: ModelEvent, name: str) -> ModelEvent | None:
    if isinstance(event, BlockStarted) and event.kind in _THOUGHTS:
        return None
    if not isinstance(event, ModelResponse):
        return event
    return replace(event, content=_without_thoughts(event.content), billed_as=name)


def _thoughtless(message: Json) -> Json:
    if message["role"] != "assistant" or isinstance(message["content"], str):
        return message
    return {**message, "content": _without_thoughts(message["content"])}


def _without_thoughts(content: Content) -> Content:
    return [block for block in content if block["type"] not in _THOUGHTS]
