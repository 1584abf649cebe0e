from __future__ import annotations

from freehold.core.permissions import custom_tools, enabled_builtins, evaluate
from tests.playbooks.playbook import toolset

TOOLS = toolset(bash="always_ask", read="always_allow")


def test_only_enabled_tools_are_offered_in_the_toolsets_order() -> None:
    assert enabled_builtins(TOOLS) == ["bash", "read"]
    assert enabled_builtins([]) == []
    assert [tool["name"] for tool in custom_tools(TOOLS)] == ["get_weather"]


def test_each_policy_gives_its_permission() -> None:
    assert evaluate(TOOLS, "bash").permission == "ask"
    assert evaluate(TOOLS, "read").evaluation == {"type": "always_allow"}
    assert evaluate(TOOLS, "write").permission == "deny"
    assert evaluate(TOOLS, "write").evaluation is None
    assert evaluate(TOOLS, "nonsense").permission == "deny"
    custom = evaluate(TOOLS, "get_weather")
    assert (custom.kind, custom.permission, custom.evaluation) == ("custom", None, None)


def test_a_toolset_that_lists_fewer_tools_has_no_others() -> None:
    partial = [{**TOOLS[0], "configs": TOOLS[0]["configs"][:1]}]
    assert evaluate(partial, "read").permission == "deny"


def test_other_toolsets_are_passed_over() -> None:
    assert evaluate([TOOLS[2], TOOLS[1], TOOLS[0]], "read").permission == "allow"
