"""The built-in script: what each directive does, and where answers begin and end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.models import ScriptedModel, demo_messages
from freehold.models.scripted.directives import ScriptError, answer, compile_script, parse
from freehold.models.scripted.moments import Moment, ToolResult, moments, now
from freehold.models.scripted.replies import Failure, Refusal, Reply, ToolUse
from freehold.ports.model import ModelRequest
from freehold.ports.sandbox import Layout
from tests.support.models import asking, respond, results, says


def run(command: str) -> ToolUse:
    return ToolUse("bash", {"command": command})


@pytest.mark.parametrize(
    ("script", "replies"),
    [
        ("no directive at all", []),
        ("/workspace/run is a path", []),
        ("say /run ls", []),
        ("/running late", []),
        ("/run ls", [Reply(tool_uses=(run("ls"),))]),
        ("  /run   ls -l  ", [Reply(tool_uses=(run("ls -l"),))]),
        ("/run a\n/run b", [Reply(tool_uses=(run("a"), run("b")))]),
        ("/run a\nbetween\n/run b", [Reply(tool_uses=(run("a"), run("b")))]),
        ("/run a\n/then\n/run b", [Reply(tool_uses=(run("a"),)), Reply(tool_uses=(run("b"),))]),
        ("/then\n/run a\n/then", [Reply(tool_uses=(run("a"),))]),
        ("/say a\n/say b", [Reply(text="a\nb")]),
        ("/run a\n/say b", [Reply(tool_uses=(run("a"),)), Reply(text="b")]),
        (
            "/say a\n/think t\n/wait 0.5\n/run b",
            [Reply(text="a", thinking="t", delay=0.5, tool_uses=(run("b"),))],
        ),
        ('/tool look {"a": [1]}', [Reply(tool_uses=(ToolUse("look", {"a": [1]}),))]),
        ("/tool look", [Reply(tool_uses=(ToolUse("look", {}),))]),
        ('/tool look\n```json\n{"a":\n 1}\n```', [Reply(tool_uses=(ToolUse("look", {"a": 1}),))]),
        (
            "/run\n```sh\ncat <<E\n/say no\nE\n```\n/say yes",
            [Reply(tool_uses=(run("cat <<E\n/say no\nE"),)), Reply(text="yes")],
        ),
        (
            "/say half\n/stop pause_turn\n/say rest",
            [Reply(text="half", stop_reason="pause_turn"), Reply(text="rest")],
        ),
        (
            "/tokens 9\n/run a\n/stop max_tokens",
            [Reply(tool_uses=(run("a"),), usage={"input_tokens": 9}, stop_reason="max_tokens")],
        ),
        (
            "/run a\n/tokens 9",
            [Reply(tool_uses=(run("a"),)), Reply(usage={"input_tokens": 9})],
        ),
        ("/fail server", [Reply(failures=(Failure("server", "Internal server error"),))]),
        (
            "/fail rate_limited x2 retry_after=1.5 Slow down\n/say ok",
            [
                Reply(
                    text="ok",
                    failures=(Failure("rate_limited", "Slow down", retry_after=1.5, times=2),),
                )
            ],
        ),
        (
            "/say half\n/fail connection gone",
            [Reply(text="half", failures=(Failure("connection", "gone", partial="half"),))],
        ),
        ("/fail refusal", [Reply(refusal=Refusal())]),
        ("/fail refusal bio No.\n/run x", [Reply(refusal=Refusal("bio", "No."))]),
        ("/fail refusal I will not", [Reply(refusal=Refusal(None, "I will not"))]),
    ],
)
def test_what_a_script_asks_for(script: str, replies: list[Reply]) -> None:
    assert compile_script(script) == replies


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("x\n/run", "line 2: /run needs a command"),
        ("/tool", "line 1: /tool needs the name"),
        ("/tool look {nope", "line 1: the input of /tool look is not JSON"),
        ("/tool look [1]", "must be a JSON object"),
        ("/wait long", "/wait takes seconds"),
        ("/wait -1", "/wait takes seconds"),
        ("/wait nan", "/wait takes seconds"),
        ("/fail", "/fail takes one of overloaded"),
        ("/fail oddly", "not 'oddly'"),
        ("/stop refusal", "/stop takes one of end_turn"),
        ("/tokens -1", "/tokens takes a whole number"),
        ("/tokens", "/tokens takes a whole number"),
    ],
)
def test_a_script_that_cannot_be_read_is_answered_with_why(script: str, complaint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(script)
    assert complaint in str(caught.value)
    reply = answer(Moment(model="m", tools=frozenset(), text=script, turn=1))
    assert complaint in reply.text
    assert not reply.tool_uses


@given(st.text(alphabet="/runtolsayhikf `{}\n0x", max_size=80))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        replies = compile_script(text)
    except ScriptError as err:
        assert str(err).startswith("line ")
    else:
        calls = sum(directive.name in {"run", "tool"} for directive in parse(text))
        assert sum(len(reply.tool_uses) for reply in replies) <= calls
        assert all(reply.tool_uses for reply in replies[:-1])


def at(text: str, step: int = 0, **more: Any) -> Moment:
    return Moment(model="m", tools=frozenset(), text=text, turn=1, step=step, **more)


def test_hello_is_greeted_and_other_text_is_told_what_answers() -> None:
    assert answer(at("Hello, who are you?")).text.startswith("Hello! I am Freehold's offline")
    other = answer(at("Write me\na poem")).text
    assert "offline scripted model" in other
    assert "“Write me a poem”" in other
    assert "/run COMMAND" in other
    assert "offline scripted model" in answer(at("")).text


def test_the_last_words_repeat_what_the_last_tool_said() -> None:
    one, two = ToolResult("a", "first", False), ToolResult("b", "second\n", False)
    assert answer(at("/run a", 1, results=(one,))).text == "The tool returned:\n\nfirst"
    text = answer(at("/run a\n/then\n/run b", 2, results=(two,), seen=(one,))).text
    assert text == "2 tool calls done; the last one returned:\n\nsecond"
    failed = ToolResult("a", "boom", True)
    assert answer(at("/run a", 1, results=(failed,))).text == "The tool failed with:\n\nboom"
    silent = ToolResult("a", " ", False)
    assert answer(at("/run a", 1, results=(silent,))).text == "The tool returned no output."
    long = answer(at("/run a", 1, results=(ToolResult("a", "x" * 9_999, False),))).text
    assert len(long) < 2_100


def test_an_answer_without_words_still_says_that_it_is_done() -> None:
    assert answer(at("/wait 0")).text == "Done."
    assert answer(at("/run a\n/wait 0", 1, results=(ToolResult("a", "x", False),))).text == (
        "The tool returned:\n\nx"
    )


def test_another_model_s_unfinished_work_is_closed() -> None:
    assert answer(at("Do it.", 3, seen=(ToolResult("a", "x", False),))).text.startswith("The tool")


def test_where_a_conversation_stands() -> None:
    def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
        return {"role": "assistant", "content": list(blocks)}

    call = {"type": "tool_use", "id": "t1", "name": "bash", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "out", "is_error": True}
    picture = {"type": "image", "source": {}}
    request = ModelRequest(
        "m",
        [
            {"role": "user", "content": "one"},
            assistant({"type": "text", "text": "a"}),
            says("two"),
            assistant(call),
            {"role": "user", "content": [result]},
            assistant(call),
            {
                "role": "user",
                "content": [
                    {**result, "content": [{"type": "text", "text": "x"}, picture]},
                    {"type": "text", "text": "three"},
                ],
            },
        ],
        tools=[{"name": "bash"}, {"name": "read"}],
    )
    seen = list(moments(request))
    assert [moment.text for moment in seen] == ["one", "two", "two", "three"]
    assert [moment.turn for moment in seen] == [1, 2, 2, 3]
    assert [moment.step for moment in seen] == [0, 0, 1, 0]
    assert [moment.request for moment in seen] == [0, 1, 2, 3]
    assert seen[2].results == (ToolResult("t1", "out", True),)
    last = now(request)
    assert last.results == (ToolResult("t1", "x\n[image]", True),)
    assert last.tools == {"bash", "read"}
    assert last.answered is None


def test_only_the_newest_text_counts() -> None:
    # A message that was interrupted before its answer stands in front of the next one.
    message = {
        "role": "user",
        "content": [{"type": "text", "text": "/wait 3600"}, {"type": "text", "text": "/say b"}],
    }
    assert answer(now(asking(message))) == Reply(text="b")


async def test_a_restarted_model_goes_on_where_the_conversation_stands() -> None:
    messages = [says("/run a\n/then\n/run b\n/then\n/run c\n/say end")]
    commands = []
    for _ in range(4):
        response = await respond(ScriptedModel(), *messages)
        commands += [block["input"]["command"] for block in response.content if "input" in block]
        messages += [{"role": "assistant", "content": response.content}, results(response)]
    assert commands == ["a", "b", "c"]
    assert response.content == [{"type": "text", "text": "end"}]


@pytest.mark.parametrize(
    "layout", [Layout(), Layout("/tmp/box/it's here".replace(" ", "_"), "/tmp/box/outputs/")]
)
async def test_the_demonstration_writes_runs_and_reports(layout: Layout) -> None:
    text = demo_messages(layout)
    assert "/run" not in text
    messages = [says(text)]
    calls = []
    for output in ("wrote", "2  3  5\n25 primes below 100", None):
        response = await respond(ScriptedModel(), *messages)
        calls += [block for block in response.content if block["type"] == "tool_use"]
        messages += [{"role": "assistant", "content": response.content}]
        if output is not None:
            messages += [results(response, output)]
    assert [call["name"] for call in calls] == ["write", "bash"]
    assert calls[0]["input"]["file_path"] == f"{layout.workdir}/primes.py"
    assert f"{layout.outputs.rstrip('/')}/primes.txt" in calls[1]["input"]["command"].replace(
        "'\"'\"'", "'"
    )
    assert "25 primes below 100" in response.content[0]["text"]
    assert "\x00" not in response.content[0]["text"]


def test_the_demonstration_s_program_counts_right(capsys: pytest.CaptureFixture[str]) -> None:
    from freehold.models.scripted.demo import PROGRAM

    exec(compile(PROGRAM, "primes.py", "exec"), {})  # noqa: S102
    out = capsys.readouterr().out
    assert out.splitlines()[0] == " 2  3  5  7 11 13 17 19 23 29"
    assert out.splitlines()[-1] == "25 primes below 100"
