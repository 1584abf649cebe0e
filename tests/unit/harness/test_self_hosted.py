"""What the model is told where a worker runs the tools."""

from __future__ import annotations

from datetime import UTC, datetime

from anthropic.lib.tools.agent_toolset import AgentToolContext, beta_agent_toolset_20260401

from freehold.core.skills import ROOT
from freehold.core.toolset import BUILTIN_TOOLS, WORKER_TOOLS
from freehold.harness.prompt import system_blocks, tool_definitions
from freehold.ports.sandbox import Layout

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOOLS = [
    {
        "type": "agent_toolset_20260401",
        "configs": [
            {"name": name, "enabled": True, "permission_policy": {"type": "always_allow"}}
            for name in BUILTIN_TOOLS
        ],
    }
]


def test_the_prompt_names_no_folder_of_ours() -> None:
    agent = {"system": "You help.", "tools": TOOLS}
    own, place, contents = (
        block["text"] for block in system_blocks(agent, Layout(), ["More."], self_hosted=True)
    )
    assert (own, contents) == ("You help.", "More.")
    layout = Layout()
    for path in (layout.workdir, layout.outputs, ROOT):
        assert path not in place
    assert system_blocks({"system": None, "tools": []}, layout, self_hosted=True) == []


def test_tools_are_declared_as_the_official_worker_takes_them() -> None:
    theirs = {
        tool.name: tool.input_schema for tool in beta_agent_toolset_20260401(AgentToolContext())
    }
    ours = {
        tool["name"]: tool["input_schema"]
        for tool in tool_definitions(TOOLS, NOW, self_hosted=True)
    }
    assert set(ours) == set(theirs) == set(WORKER_TOOLS)
    for name, schema in ours.items():
        assert set(schema["properties"]) <= set(theirs[name]["properties"]), name  # type: ignore[arg-type]
    cloud = {tool["name"]: tool for tool in tool_definitions(TOOLS, NOW)}
    assert cloud["grep"] == BUILTIN_TOOLS["grep"]
