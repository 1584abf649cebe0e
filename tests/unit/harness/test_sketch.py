"""Previews as the message they announce will be, whatever blocks an answer is made of."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.dispatch.fanout import InProcessFanout
from freehold.harness.sketch import Sketch
from freehold.models.accumulate import Accumulator
from freehold.ports.dispatcher import Preview
from freehold.ports.model import ModelResponse

_pieces = st.lists(st.sampled_from(["", " ", "\n", "a", "b c", "é "]), min_size=1, max_size=4)
_blocks = st.lists(st.tuples(st.sampled_from(["text", "thinking", "tool_use"]), _pieces))


class Minting:
    """A clock that only mints."""

    def __init__(self) -> None:
        self._number = itertools.count()

    def mint(self, prefix: str) -> str:
        return f"{prefix}_{next(self._number)}"


class Watched(InProcessFanout):
    """Keeps what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Preview] = []

    def preview(self, session_id: str, preview: Preview) -> None:
        self.shown.append(preview)


def streamed(blocks: list[tuple[str, list[str]]]) -> tuple[list[Preview], ModelResponse]:
    fanout, accumulator = Watched(), Accumulator()
    clock: Any = Minting()
    sketch = Sketch("sesn_1", 1, fanout, clock)
    for index, (kind, pieces) in enumerate(blocks):
        start = {"type": kind, **({kind: ""} if kind != "tool_use" else {"name": "n", "input": {}})}
        feed: list[Any] = [{"type": "content_block_start", "index": index, "content_block": start}]
        for piece in pieces if kind != "tool_use" else []:
            delta = {"type": f"{kind}_delta", kind: piece}
            feed.append({"type": "content_block_delta", "index": index, "delta": delta})
        feed.append({"type": "content_block_stop", "index": index})
        for event in feed:
            for part in accumulator.feed(event):
                sketch.add(part)  # type: ignore[arg-type]
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    assert not list(accumulator.feed(ending))
    return fanout.shown, accumulator.response()


@given(_blocks)
def test_previews_add_up_to_the_message(blocks: list[tuple[str, list[str]]]) -> None:
    shown, response = streamed(blocks)
    texts = [block["text"] for block in response.content if block["type"] == "text"]
    said = [preview for preview in shown if preview.kind == "agent.message"]
    assert [preview.text for preview in said[:1]] == [None] * bool(texts)
    previewed: list[str] = []
    for preview in said[1:]:
        assert preview.text
        assert preview.index <= len(previewed), "the SDK refuses a gap"
        if preview.index == len(previewed):
            previewed.append("")
        previewed[preview.index] += preview.text
    assert previewed == texts
