"""Two turns through AG-UI's agent, as its README has it; run with that package's Python."""

from __future__ import annotations

import asyncio
import uuid

from ag_ui.core import RunAgentInput, UserMessage  # type: ignore[import-not-found]
from ag_ui_claude_managed_agents import ManagedAgentsAgent  # type: ignore[import-not-found]
from anthropic import AsyncAnthropic


async def main() -> None:
    client = AsyncAnthropic()
    made = await client.beta.agents.create(
        name="ag-ui", model="claude-opus-5-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    place = await client.beta.environments.create(name="ag-ui")
    agent = ManagedAgentsAgent(managed_agent_id=made.id, environment_id=place.id, client=client)
    thread = str(uuid.uuid4())
    said = []
    for text, wanted in (
        ("/think Hm.\n/run echo from-ag-ui\n/say Done.", "TOOL_CALL_RESULT"),
        ("/say And again.", "TEXT_MESSAGE_CONTENT"),
    ):
        said.append(UserMessage(id=str(uuid.uuid4()), role="user", content=text))
        run = RunAgentInput(
            thread_id=thread,
            run_id=str(uuid.uuid4()),
            messages=said,
            tools=[],
            context=[],
            state={},
            forwarded_props={},
        )
        types = [event.type.value async for event in agent.run(run)]
        print(types)
        assert wanted in types
        assert types[-1] == "RUN_FINISHED"


if __name__ == "__main__":
    asyncio.run(main())
