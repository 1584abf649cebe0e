"""YAML scripts: which rule answers, how often, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from freehold.errors import ConfigurationError, ModelError
from freehold.models import ScriptedModel, YamlScript, build_model
from freehold.models.scripted.yaml_schema import parse
from freehold.models.upstream import UpstreamModel
from freehold.ports.model import ModelResponse
from freehold.settings import Settings
from tests.support.models import asking, respond, results, sample, says

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def scripted(source: str) -> ScriptedModel:
    return ScriptedModel(YamlScript(parse(source, "test.yaml"), "test"))


async def converse(model: ScriptedModel, *texts: str, output: str = "out") -> list[ModelResponse]:
    """Every answer of a conversation in which all tools return ``output``."""
    messages: list[dict[str, Any]] = []
    answers = []
    for text in texts:
        messages.append(says(text))
        while True:
            response = await respond(model, *messages)
            answers.append(response)
            messages.append({"role": "assistant", "content": response.content})
            if response.stop_reason != "tool_use":
                break
            messages.append(results(response, output))
    return answers


def texts(answers: list[ModelResponse]) -> list[str]:
    return ["".join(block.get("text", "") for block in answer.content) for answer in answers]


async def test_the_first_rule_that_holds_answers() -> None:
    model = scripted(
        """
        rules:
          - when: {text: [deploy, ship]}
            reply: {text: on it}
          - when: {text_matches: "^count (?P<what>\\\\w+)"}
            reply: {text: "counting ${what} of ${model}, not ${HOME}"}
          - when: {model: "claude-haiku-*"}
            reply: {text: small}
          - when: {tool: bash, turn: 4}
            reply: {text: never without tools}
          - reply: {text: else}
        """
    )
    answers = await converse(model, "Please SHIP it", "count sheep", "x", "x")
    assert texts(answers) == [
        "on it",
        "counting sheep of claude-opus-5-5, not ${HOME}",
        "else",
        "else",
    ]
    small = (await sample(model, asking(says("x"), model="claude-haiku-5-5")))[-1]
    assert isinstance(small, ModelResponse)
    assert small.content[0]["text"] == "small"


async def test_rules_on_what_a_tool_returned() -> None:
    model = scripted(
        """
        rules:
          - when: {tool_failed: true}
            reply: {text: it broke}
          - when: {tool_result_matches: "total (?P<n>\\\\d+)"}
            reply: {text: "there are ${n}: ${tool_result}"}
          - when: {tool_result: OTHER}
            reply: {text: other}
          - when: {step: 0}
            reply:
              thinking: I look.
              text: Looking
              tool_uses: [{name: bash, input: {command: "ls ${text}", list: ["${turn}"]}}]
        """
    )
    answers = await converse(model, "/tmp", output="total 12")
    assert answers[0].content[0]["type"] == "thinking"
    assert answers[0].content[2]["input"] == {"command": "ls /tmp", "list": ["1"]}
    assert texts(answers)[1] == "there are 12: total 12"
    assert texts(await converse(model, "a", output="another thing"))[1] == "other"
    call = answers[0]
    said = [says("a"), {"role": "assistant", "content": call.content}]
    assert texts([await respond(model, *said, results(call, "x", is_error=True))]) == ["it broke"]


async def test_times_are_counted_from_the_conversation() -> None:
    source = """
        rules:
          - when: {text: go}
            times: 2
            reply: {text: first rule}
          - when: {text: go}
            replies: [{text: one}, {text: two}]
        """
    assert texts(await converse(scripted(source), *["go"] * 5)) == [
        "first rule",
        "first rule",
        "one",
        "two",
        "two",
    ]
    # A restarted model counts the same.
    messages: list[dict[str, Any]] = []
    said = []
    for _ in range(4):
        messages.append(says("go"))
        response = await respond(scripted(source), *messages)
        said.append(response)
        messages.append({"role": "assistant", "content": response.content})
    assert texts(said) == ["first rule", "first rule", "one", "two"]


async def test_a_sequence_answers_request_by_request() -> None:
    model = scripted(
        """
        sequence:
          - error: {kind: overloaded}
          - error: {kind: rate_limited, retry_after: 3, message: slow, times: 2}
          - tool_uses: [{name: bash, input: {command: ls}}]
          - text: "got ${tool_result}"
        fallback: {text: over}
        """
    )
    kinds = []
    for _ in range(3):
        with pytest.raises(ModelError) as caught:
            await respond(model, says("a"))
        kinds.append((caught.value.kind, caught.value.retry_after))
    assert kinds == [("overloaded", None), ("rate_limited", 3), ("rate_limited", 3)]
    assert texts(await converse(model, "a", "b")) == ["", "got out", "over"]


async def test_failing_rules_count_attempts_and_then_give_way() -> None:
    model = scripted(
        """
        rules:
          - times: 1
            reply: {error: {kind: server}}
          - reply: {error: {kind: overloaded, times: 1}}
          - replies:
              - {error: {kind: rate_limited}, text: half}
              - {text: at last}
        """
    )
    kinds = []
    for _ in range(3):
        with pytest.raises(ModelError) as caught:
            await respond(model, says("a"))
        kinds.append(caught.value.kind)
    assert kinds == ["server", "overloaded", "rate_limited"]
    assert texts([await respond(model, says("a"))]) == ["at last"]


async def test_a_failing_rule_without_times_always_fails() -> None:
    model = scripted("rules: [{reply: {error: {kind: billing, message: 'no ${text}'}}}]")
    for _ in range(3):
        with pytest.raises(ModelError, match="no money"):
            await respond(model, says("money"))


async def test_refusals_usage_and_stop_reasons() -> None:
    model = scripted(
        """
        rules:
          - when: {turn: 1}
            reply: {refusal: true}
          - when: {turn: 2}
            reply: {text: part, refusal: {category: bio, explanation: never}}
          - reply: {text: cut, stop_reason: max_tokens, usage: {output_tokens: 99}}
        """
    )
    first = await respond(model, says("a"))
    assert (first.stop_reason, first.content) == ("refusal", [])
    assert first.stop_details == {"type": "refusal", "category": None, "explanation": None}
    said = [says("a"), {"role": "assistant", "content": [{"type": "text", "text": "x"}]}, says("b")]
    second = await respond(model, *said)
    assert second.stop_details == {"type": "refusal", "category": "bio", "explanation": "never"}
    assert texts([second]) == ["part"]
    third = await respond(model, *said, {"role": "assistant", "content": second.content}, says("c"))
    assert (third.stop_reason, third.usage.output_tokens) == ("max_tokens", 99)


async def test_what_no_rule_answers() -> None:
    rules = "rules: [{when: {text: never}, reply: {text: x}}]\n"
    assert texts(await converse(scripted(rules), "/say obeyed")) == ["obeyed"]
    with pytest.raises(ModelError, match="nothing is said at turn 1"):
        await respond(scripted(rules + "fallback: error"), says("a"))


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        ("rules: [", ["wrong.yaml:1:9: expected"]),
        ("- a", ["a script is a mapping"]),
        ("name: x", ["exactly one of `rules` and `sequence`"]),
        ("rules: []", ["rules: List should have at least 1 item"]),
        (
            "rules: [{reply: {tool_uses: [{name: 'two words'}]}}]",
            ["rules[0].reply.tool_uses[0].name: String should match"],
        ),
        ("rules: [{when: {txt: a}, reply: {text: b}}]", ["rules[0].when.txt: Extra inputs"]),
        (
            "rules: [{reply: {error: {kind: odd}}}]",
            ["rules[0].reply.error.kind: Input should be 'overloaded'"],
        ),
        ("rules: [{when: {text_matches: '('}, reply: {text: b}}]", ["not a regular expression"]),
        ("rules: [{reply: {delay: -1, text: a}}]", ["rules[0].reply.delay:"]),
        ("rules: [{reply: {}}]", ["rules[0].reply: Value error, one of `text`"]),
        ("rules: [{when: {}}]", ["rules[0]: Value error, exactly one of `reply` and `replies`"]),
        (
            "sequence: [{error: {kind: server}, tool_uses: [{name: a}]}]",
            ["sequence[0]: Value error, `error` goes with"],
        ),
        ("sequence: [{refusal: true, tool_uses: [{name: a}]}]", ["`refusal` does not go with"]),
        ("sequence: [{text: a}]\nfallback: perhaps", ["fallback: Input should be 'directives'"]),
    ],
)
def test_a_wrong_script_is_told_where(tmp_path: Path, source: str, complaints: list[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        YamlScript.load(path)
    message = str(caught.value)
    assert str(path) in message
    for complaint in complaints:
        assert complaint in message


def test_a_script_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        YamlScript.load(tmp_path / "absent.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        YamlScript.load(tmp_path / "bytes.yaml")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_of_the_documentation_are_scripts(path: Path) -> None:
    assert YamlScript.load(path).name


async def test_the_settings_choose_the_model(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("name: mine\nsequence: [{text: a}]")
    assert "built-in" in build_model(Settings(model="scripted")).description
    assert "mine" in build_model(Settings(model=f"scripted:{path}")).description
    upstream = build_model(
        Settings(model="upstream", model_base_url="http://127.0.0.1:1", model_api_key="k")
    )
    assert isinstance(upstream, UpstreamModel)
    assert "127.0.0.1:1" in upstream.description
    await upstream.close()
    for wrong in ("", "claude", "upstream:x"):
        with pytest.raises(ConfigurationError, match="FREEHOLD_MODEL must be"):
            build_model(Settings(model=wrong))


async def test_the_script_in_the_documentation_works() -> None:
    text = (EXAMPLES.parent / "OFFLINE.md").read_text()
    source = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    answers = await converse(scripted(source), "how many files in /tmp?", output="12\n")
    assert answers[0].content[2]["input"] == {"command": "ls /tmp? | wc -l"}
    assert texts(answers) == ["Let me look at /tmp?.", "There are 12 files."]


async def test_the_support_agent_of_the_examples() -> None:
    model = ScriptedModel(YamlScript.load(EXAMPLES / "support-agent.yaml"))
    answers = await converse(
        model, "Hello", "Hello", "Where is order 77?", output='{"status": "shipped"}'
    )
    assert texts(answers) == [
        "Hello! Which order is it about?",
        "Please tell me the number of your order.",
        "Let me look at order 77.",
        "Your order is shipped.",
    ]
    assert answers[2].content[2]["input"] == {"order_id": "77"}
