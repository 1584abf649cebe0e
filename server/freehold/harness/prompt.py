"""What a model request says: system text, tools and messages, from the agent and its log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from freehold.core.events import Json
from freehold.core.mcp import OfferedTool
from freehold.core.permissions import custom_tools, enabled_builtins
from freehold.core.toolset import BUILTIN_TOOLS, WORKER_TOOLS
from freehold.core.web_tools import offered, web_definitions
from freehold.ports.log import SessionSpec
from freehold.ports.model import ModelRequest
from freehold.ports.sandbox import Layout


def build_request(
    spec: SessionSpec,
    messages: Sequence[Json],
    layout: Layout,
    web: Collection[str] = (),
    mcp_tools: Sequence[OfferedTool] = (),
    *,
    contents: Sequence[str] = (),
) -> ModelRequest:
    """The next request of a session's primary thread.

    System text and tools depend on the session, the server and what MCP servers answered when
    they were asked (``mcp_tools``), so that they stay the same, byte for byte, from turn to turn.
    ``web`` names the web tools that the server has, ``contents`` tells of what the server puts
    into the sandbox.
    """
    agent = spec.agent
    model = agent["model"]
    effort = model.get("effort")
    self_hosted = spec.environment["type"] == "self_hosted"
    return ModelRequest(
        model=model["id"],
        messages=list(messages),
        system=system_blocks(agent, layout, contents, self_hosted=self_hosted),
        tools=tool_definitions(
            offered(agent["tools"], web), spec.created_at, self_hosted=self_hosted
        )
        + [tool.definition for tool in mcp_tools],
        effort=effort["type"] if effort else None,
        speed=model.get("speed"),
        inference_geo=model.get("inference_geo"),
    )


SUMMARY_PREFACE = (
    "This session has been going on for longer than fits your context. What follows sums up "
    "all that came before; the files in the sandbox are as you left them."
)

_SUM_UP = (
    "The conversation is about to leave your context. Write down, for yourself, all that is "
    "needed to go on without it: what the user wants and every constraint they gave, what was "
    "done and found, decisions and their reasons, files and their paths, commands that matter, "
    "what failed, what remains to be done and the very next step. Quote names, numbers and "
    "paths exactly. Do not call tools; answer with the summary alone."
)


def build_summary_request(
    spec: SessionSpec,
    messages: Sequence[Json],
    layout: Layout,
    web: Collection[str] = (),
    mcp_tools: Sequence[OfferedTool] = (),
    *,
    contents: Sequence[str] = (),
) -> ModelRequest:
    """The next request's conversation, with the wish to have it summed up at its end.

    All before the wish is as the last request had it, so what the provider cached is used.
    """
    *earlier, last = messages
    wish = {"type": "text", "text": _SUM_UP}
    if last["role"] == "user":
        ending = [{"role": "user", "content": [*last["content"], wish]}]
    else:
        ending = [last, {"role": "user", "content": [wish]}]
    return build_request(spec, [*earlier, *ending], layout, web, mcp_tools, contents=contents)


SELF_HOSTED = (
    "You have been invoked in an environment that the user hosts: your tools work on a machine of "
    "the user's, one call after the other, in a working directory that relative paths start from. "
    "Files and the shell's state stay while that machine serves the session; do not rely on them "
    "after a long pause."
)


def system_blocks(
    agent: Json, layout: Layout, contents: Sequence[str] = (), *, self_hosted: bool = False
) -> list[Json]:
    """The agent's own text, then what it has to know of its surroundings (spec 22.4).

    ``self_hosted``: a worker runs the tools, wherever it may be; what it leaves in files is not
    handed over.
    """
    blocks = [agent["system"]] if agent["system"] else []
    if self_hosted and enabled_builtins(agent["tools"]):
        blocks += [SELF_HOSTED, *contents]
    elif enabled_builtins(agent["tools"]):
        blocks.append(
            "You have been invoked in an environment with a sandbox of your own: a Linux "
            "machine that your tools work in and that keeps its files and its shell's state for "
            f"the whole session. Your working directory is {layout.workdir}. Put everything that "
            f"the user is meant to receive into {layout.outputs}: files there are handed over "
            "when you are done."
        )
        blocks += contents
    return [{"type": "text", "text": text} for text in blocks]


def tool_definitions(
    tools: Sequence[Json], created_at: datetime, *, self_hosted: bool = False
) -> list[Json]:
    """The tools of a session created then, as the Messages API wants them declared."""
    known = WORKER_TOOLS if self_hosted else BUILTIN_TOOLS
    builtins = [known[name] for name in enabled_builtins(tools)]
    customs = [
        {key: tool[key] for key in ("name", "description", "input_schema")}
        for tool in custom_tools(tools)
    ]
    return builtins + web_definitions(tools, created_at) + customs
