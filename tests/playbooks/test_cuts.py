"""The crash law: wherever a log is cut, deciding again leads to the same end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Json, Record
from freehold.core.fold import fold_all
from freehold.core.state import SessionState
from freehold.errors import ModelError
from freehold.ports.model import ModelResponse
from tests.playbooks.playbook import USAGE, Playbook, fresh_state, say, text, toolset, use

TOOLS = toolset(bash="always_allow", write="always_ask")

# A turn is what the model does at each of its steps, until it says something and stops.
_call = st.sampled_from(["bash", "write", "get_weather", "unknown"])
_step = st.one_of(
    st.lists(_call, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["say", "pause", "refuse", "overloaded", "thinking"]),
)
_scripts = st.lists(_step, min_size=1, max_size=6)
_answers = st.sampled_from(["allow", "deny"])


def model_of(script: list[Any]) -> Any:
    """A model whose answer depends on the conversation alone, as a resumed session needs."""

    def model(messages: list[Json]) -> Any:
        turn = sum(message["role"] == "assistant" for message in messages)
        step = script[turn] if turn < len(script) else "say"
        match step:
            case "say":
                return [text(f"answer {turn}")]
            case "thinking":
                return [{"type": "thinking", "thinking": "t", "signature": "s"}, text("so")]
            case "pause":
                return ModelResponse([text("wait")], "pause_turn", USAGE)
            case "refuse":
                return ModelResponse([], "refusal", USAGE, stop_details={"type": "refusal"})
            case "overloaded":
                return ModelError("overloaded", "busy")
            case names:
                return [use(name, f"{turn}_{i}", n=i) for i, name in enumerate(names)]

    return model


def client_turn(play: Playbook, turn: int, answer: str) -> None:
    """What a simple client does when the session is idle: settle what waits, else say more."""
    waiting = play.state.waiting
    if not waiting:
        play.client(say(f"message {turn}"))
        return
    for call in [call for call in play.state.calls if call.id in waiting]:
        if call.asks:
            play.client(
                {"type": "user.tool_confirmation", "tool_use_id": call.id, "result": answer}
            )
        else:
            play.client(
                {
                    "type": "user.custom_tool_result",
                    "custom_tool_use_id": call.id,
                    "content": [text("custom")],
                }
            )


def essence(play: Playbook) -> Any:
    state = play.state
    return (
        state.status,
        state.stop_reason.type if state.stop_reason else None,
        [call.name for call in state.calls],
        state.owes_sampling,
        state.inputs,
        play.transcript().messages,
    )


def play_out(play: Playbook, turns: range, answer: str) -> list[range]:
    """Take the client's turns; the parts of the log that the runner wrote after each."""
    runs: list[range] = []
    for turn in turns:
        client_turn(play, turn, answer)
        taken = len(play.records)
        play.run()
        runs.append(range(taken, len(play.records) + 1))
    return runs


@settings(max_examples=60, deadline=None)
@given(_scripts, st.integers(1, 4), _answers)
def test_a_session_cut_at_any_index_goes_on_to_the_same_end(
    script: list[Any], turns: int, answer: str
) -> None:
    whole = Playbook(model_of(script), tools=TOOLS)
    runs = play_out(whole, range(turns), answer)
    for turn, cut in ((turn, cut) for turn, run in enumerate(runs) for cut in run):
        resumed = Playbook(model_of(script), tools=TOOLS, records=whole.records[:cut])
        resumed.run()
        play_out(resumed, range(turn + 1, turns), answer)
        assert essence(resumed) == essence(whole), f"cut at {cut}"


@settings(max_examples=60, deadline=None)
@given(_scripts, st.integers(1, 4), _answers)
def test_the_cached_state_is_the_fold_of_the_log(
    script: list[Any], turns: int, answer: str
) -> None:
    play = Playbook(model_of(script), tools=TOOLS)
    play_out(play, range(turns), answer)
    assert fold_all(fresh_state(), play.records) == play.state
    stored = SessionState.model_validate_json(play.state.model_dump_json())
    assert stored == play.state
    records = [Record.model_validate_json(r.model_dump_json()) for r in play.records]
    assert records == play.records


@settings(max_examples=60, deadline=None)
@given(_scripts, st.integers(1, 4), _answers)
def test_the_log_keeps_its_own_order(script: list[Any], turns: int, answer: str) -> None:
    play = Playbook(model_of(script), tools=TOOLS)
    play_out(play, range(turns), answer)
    times = [record.processed_at for record in play.records]
    assert times == sorted(set(times))
    assert [record.seq for record in play.records] == list(range(1, len(times) + 1))
    types = [record.event.type for record in play.records if record.public]
    for i, type_ in enumerate(types):
        if type_ == "session.status_idle":
            assert types[i - 2 : i] == ["session.thread_status_idle", "session.usage"]
        if type_ == "span.model_request_start":
            assert "span.model_request_end" in types[i:]
