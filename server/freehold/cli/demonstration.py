"""What ``freehold demo`` does: a server of its own, one session, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
from fastapi import FastAPI
from pydantic import SecretStr
from rich.markup import escape
from rich.rule import Rule

from freehold.app import build_sandboxes, create_app
from freehold.cli import configuration, listening
from freehold.cli.console import out
from freehold.cli.transcript import Transcript
from freehold.errors import FreeholdError
from freehold.models.scripted.demo import demo_messages
from freehold.ports.sandbox import SandboxProvider, SandboxSpec, ToolCall
from freehold.settings import Settings

LONGEST = 900
"""Seconds that the whole demonstration may take."""

_SYSTEM = "You are a careful engineer. Work with the tools that you have and be brief."


class DemoFailed(FreeholdError):
    """The session did not end as it should have."""


@dataclass(frozen=True)
class _Plan:
    settings: Settings
    provider: SandboxProvider
    notes: tuple[str, ...]


async def until_terminated(settings: Settings, folder: Path, agent_model: str) -> None:
    """Run the demonstration; SIGTERM ends it the way Ctrl-C does, with everything removed."""
    task = asyncio.ensure_future(_run(settings, folder, agent_model))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _run(settings: Settings, folder: Path, agent_model: str) -> None:
    key = f"freehold-demo-{secrets.token_hex(16)}"
    plan = await _plan(
        settings.model_copy(
            update={
                "host": "127.0.0.1",
                "port": 0,
                "data_dir": folder,
                "database_url": None,
                "api_keys": (SecretStr(key),),
                "model": model_of(settings),
                # There is no second session that could gain by it.
                "sandbox_warm": 0,
            }
        )
    )
    listener = listening.listen("127.0.0.1", 0)
    with listener:
        url = listening.url_of(listener, "127.0.0.1")
        app = create_app(plan.settings, sandboxes=plan.provider)
        try:
            async with asyncio.timeout(LONGEST), listening.embedded(app, listener):
                out.print(Rule("Freehold: one session, as it happens", style="dim"))
                _fact("server", url)
                _fact("model", app.state.model.description)
                _fact("sandbox", app.state.sandboxes.description)
                for note in plan.notes:
                    _fact("", note)
                async with anthropic.AsyncAnthropic(base_url=url, api_key=key) as client:
                    await _session(client, app, agent_model)
        except TimeoutError:
            raise DemoFailed(f"the session did not end within {LONGEST} seconds") from None


def model_of(settings: Settings) -> str:
    """The model asked for; else the real one where a key is at hand, else the scripted one."""
    sources = {value.name: value.source for value in configuration.values(settings)}
    asked = sources["model"] != "default" or settings.model != "upstream"
    if asked or settings.model_api_key is not None or settings.model_base_url is not None:
        return settings.model
    return "scripted"


async def _plan(settings: Settings) -> _Plan:
    """Settle where the tools run: what was asked for, else Docker, else a process."""
    if settings.sandbox != "auto":
        return _Plan(settings, build_sandboxes(settings), ())
    notes = []
    try:
        provider = build_sandboxes(settings)
    except FreeholdError as error:
        notes.append(str(error))
    else:
        wrong = [finding for finding in await provider.check() if finding.status == "error"]
        if not wrong:
            return _Plan(settings, provider, ())
        notes += [f"{f.detail}{f' ({f.mend})' if f.mend else ''}" for f in wrong]
        await provider.close()
    settings = settings.model_copy(update={"sandbox": "process"})
    provider = build_sandboxes(settings)
    return _Plan(settings, provider, (*notes, "So the tools run in a process of this machine."))


async def _session(client: anthropic.AsyncAnthropic, app: FastAPI, agent_model: str) -> None:
    provider: SandboxProvider = app.state.sandboxes
    agent = await client.beta.agents.create(
        name="demo",
        model=agent_model,
        system=_SYSTEM,
        tools=[{"type": "agent_toolset_20260401"}],
    )
    environment = await client.beta.environments.create(name="demo")
    session = await client.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, title="Freehold's demonstration"
    )
    _fact("agent", f"{agent.id}, version {agent.version}")
    _fact("session", session.id)
    out.print(Rule(style="dim"))
    try:
        transcript = Transcript(out)
        await _turn(client, session.id, demo_messages(provider.layout), transcript)
        await _show_outputs(provider, session.id)
        whole = await client.beta.sessions.retrieve(session.id)
        _fact("whole", f"status {whole.status}, usage {whole.usage.to_json(indent=None)}")
    finally:
        with contextlib.suppress(anthropic.APIError):
            await client.beta.sessions.delete(session.id)
        await provider.remove(session.id)


async def _turn(
    client: anthropic.AsyncAnthropic, session_id: str, text: str, transcript: Transcript
) -> None:
    """Send one message and print events until the session is idle again."""
    async with await client.beta.sessions.events.stream(session_id) as stream:
        await client.beta.sessions.events.send(
            session_id,
            events=[{"type": "user.message", "content": [{"type": "text", "text": text}]}],
        )
        async for event in stream:
            transcript.show(event)
            if event.type == "session.status_idle":
                if event.stop_reason.type != "end_turn":
                    raise DemoFailed(f"the session stopped with {event.stop_reason.type}")
                return
            if event.type == "session.status_terminated":
                raise DemoFailed("the session was terminated")
    raise DemoFailed("the stream ended before the session was idle")


async def _show_outputs(provider: SandboxProvider, session_id: str) -> None:
    """Print what the agent left for its user.

    Raises:
        DemoFailed: it left nothing.
    """
    box = await provider.acquire(SandboxSpec(session_id=session_id))
    folder = provider.layout.outputs
    # Some layouts begin with ~, which the shell must see unquoted.
    listing = await box.call(
        ToolCall(
            id="demo_outputs",
            name="bash",
            input={"command": f'cd {folder} && find "$PWD" -type f | sort'},
        )
    )
    text = "".join(str(block.get("text", "")) for block in listing.content)
    paths = [line for line in text.splitlines() if line.startswith("/")]
    if listing.is_error or not paths:
        raise DemoFailed(f"the session left no file in {folder}")
    for path in paths:
        data = await box.read_file(path)
        out.print(Rule(f"left in {escape(path)} ({len(data)} bytes)", style="dim"))
        out.print(escape(data[:4000].decode("utf-8", "replace").rstrip("\n")))
    out.print(Rule(style="dim"))


def _fact(label: str, value: Any) -> None:
    out.print(f"[dim]{label:>9}[/]  {escape(str(value))}")
