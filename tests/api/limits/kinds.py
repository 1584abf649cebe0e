"""What rows are made of: bounds, requests, and values of a length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tests.support.constraints import Constraint

ASTRAL = "\U0001f600"
"""One code point, two units of UTF-16, four bytes of UTF-8."""
ABSENT = "no id has this length"
"""Why no value at the limit is taken where a field names something that must be there."""


class Value(NamedTuple):
    """A value to be sent, and what is special about it."""

    name: str
    value: Any


class Bounds(Protocol):
    """What a field takes."""

    def fitting(self) -> Iterator[Value]:
        """Values at the limits."""
        ...

    def beyond(self) -> Iterator[Value]:
        """Values one past them."""
        ...

    def constraints(self, name: str) -> Iterator[Constraint]:
        """How a schema declares the limits."""
        ...


def letters(count: int) -> str:
    return "x" * count


@dataclass(frozen=True)
class Text:
    """From ``least`` to ``most`` code points."""

    least: int
    most: int | None
    make: Callable[[int], str] = letters
    astral: bool = True
    """Whether the field takes any character."""

    def fitting(self) -> Iterator[Value]:
        if self.most is not None:
            yield Value("most", self.make(self.most))
            if self.astral:
                yield Value("most astral", ASTRAL * self.most)
        if self.least:
            yield Value("least", self.make(self.least))

    def beyond(self) -> Iterator[Value]:
        if self.most is not None:
            yield Value("more", self.make(self.most + 1))
            if self.astral:
                yield Value("more astral", ASTRAL * (self.most + 1))
        if self.least:
            yield Value("fewer", self.make(self.least - 1))

    def constraints(self, name: str) -> Iterator[Constraint]:
        if self.most is not None:
            yield Constraint(name, "max_length", self.most)
        if self.least:
            yield Constraint(name, "min_length", self.least)


@dataclass(frozen=True)
class Items:
    """From ``least`` to ``most`` items; ``make`` makes that many."""

    least: int
    most: int | None
    make: Callable[[int], Any]

    def fitting(self) -> Iterator[Value]:
        if self.most is not None:
            yield Value("most", self.make(self.most))
        if self.least:
            yield Value("least", self.make(self.least))

    def beyond(self) -> Iterator[Value]:
        if self.most is not None:
            yield Value("more", self.make(self.most + 1))
        if self.least:
            yield Value("fewer", self.make(self.least - 1))

    constraints = Text.constraints


def listed(item: Callable[[int], Any]) -> Callable[[int], Any]:
    """Makes lists of what ``item`` gives for each number."""
    return lambda count: [item(number) for number in range(count)]


def itself(count: int) -> int:
    """For requests that make so many of something themselves."""
    return count


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int
    most: int | None

    def fitting(self) -> Iterator[Value]:
        yield Value("least", self.least)
        yield Value("most", 2**63 - 1 if self.most is None else self.most)

    def beyond(self) -> Iterator[Value]:
        yield Value("less", self.least - 1)
        if self.most is not None:
            yield Value("more", self.most + 1)

    def constraints(self, name: str) -> Iterator[Constraint]:
        yield Constraint(name, "ge", self.least)
        if self.most is not None:
            yield Constraint(name, "le", self.most)


class _Marker:
    """Stands in a template where the value goes."""


VALUE: Any = _Marker()
Body = Mapping[str, Any] | Callable[[Any], Any]


@dataclass(frozen=True)
class Call:
    """A request. ``{name}`` in the path and in the body is something of the world's."""

    method: str
    path: str
    body: Body | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    form: Callable[[Any], Mapping[str, Any]] | None = None
    """The value's form, as ``files`` of the HTTP client."""
    headers: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True
    """Whether what was made, or changed, can be read below, or at, the path."""

    def sent_at(self) -> str:
        """The path of the field."""
        return ".".join(_path(self.query) or _path(self.body) or ())


def _path(template: Any) -> tuple[str, ...] | None:
    if template is VALUE:
        return ()
    pairs: Any = ()
    if isinstance(template, Mapping):
        pairs = template.items()
    elif isinstance(template, list):
        pairs = enumerate(template)
    for key, value in pairs:
        if (below := _path(value)) is not None:
            return (str(key), *below)
    return None


def same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Row:
    """A limit."""

    field: str
    """As the walk over the schemas names it, or a name for what the code checks by itself."""
    bounds: Bounds
    source: str
    call: Call
    at: str = ""
    """The field's path, where the request does not tell."""
    shown: str | None = ""
    """Where the answer has the value: as it was sent unless said; ``None``: nowhere."""
    shows: Callable[[Any], Any] = same
    """How the value looks in the answer."""
    constant: str | None = None
    """The name of the limit in ``freehold.core.limits``, where no schema uses it."""
    elsewhere: str = ""
    """Why values at the limit are not taken: they are refused for something else."""
    elsewhere_at: tuple[str, ...] = ()
    """Values at the limit that this is true of, where it is not of all."""
    refusal: str | None = None
    """Pattern of the refusal. By default it has the parts of ``at`` in their order."""
    declared: bool = True
    """Whether a schema declares the limit."""

    def constraints(self) -> Iterator[Constraint]:
        if self.declared:
            yield from self.bounds.constraints(self.field)

    def path(self) -> str:
        return self.at or self.call.sent_at()


# Texts of a length


def start_and(start: str) -> Callable[[int], str]:
    """A text that begins like this."""

    def make(count: int) -> str:
        return start + "x" * (count - len(start)) if count > len(start) else start[:count]

    return make


https = start_and("https://mcp.example/")


def dotted(count: int) -> str:
    """An absolute path that leads to ``/x`` by many steps on the spot."""
    return ("/." * count)[: max(count - 2, 0) // 2 * 2] + ("/x" if count % 2 == 0 else "//x")[
        :count
    ]
