"""What the session of a dream is made of: its agent, its environment, what it is given to read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from freehold.api.agents import definition as definitions
from freehold.api.agents import tools
from freehold.api.agents.schemas import ModelConfigParams
from freehold.api.agents.tools import AGENT_TOOLSET, AgentToolsetParams
from freehold.api.environments import service as environment_service
from freehold.api.environments.schemas import CloudConfigParams
from freehold.core import dreaming, transcript_text
from freehold.core.events import Json
from freehold.ports.sandbox import SandboxProvider
from freehold.store.database import Database
from freehold.store.dreams import DreamRow
from freehold.store.event_log import READ_CHUNK, SqlEventLog
from freehold.store.file_library import Staged
from freehold.store.sessions import SessionRow

TRANSCRIPT_BYTES = 8 << 20
"""Bytes of a transcript that are written; what a longer session did after that is left out."""


@dataclass(frozen=True)
class Transcript:
    """The transcript of a session, safe, and not yet anybody's file."""

    session_id: str
    staged: Staged


def agent(dream: DreamRow) -> Json:
    """The agent that dreams, as its session keeps it. No such agent is in the workspace."""
    given = ModelConfigParams(id=dream.model["id"], speed=dream.model.get("speed"))
    toolset = AgentToolsetParams.model_validate(
        {
            "type": AGENT_TOOLSET,
            # What it reads is not to be trusted, so it is given no way out.
            "configs": [
                {"name": "web_fetch", "enabled": False},
                {"name": "web_search", "enabled": False},
            ],
        }
    )
    return {
        "id": _alike(dream, "agent"),
        "type": "agent",
        "version": 1,
        "name": dreaming.AGENT_NAME,
        "description": dreaming.AGENT_DESCRIPTION,
        "model": definitions.resolve_model(given),
        "system": dreaming.SYSTEM,
        "tools": tools.resolve([toolset]),
        "mcp_servers": [],
        "skills": [],
        "multiagent": None,
        "execution_identity": definitions.resolve_identity(None),
    }


def environment(dream: DreamRow, sandboxes: SandboxProvider) -> tuple[str, Json]:
    """Id and config of where it dreams: without a network, where that can be enforced."""
    closed = environment_service.merge_config(
        None,
        CloudConfigParams.model_validate({"type": "cloud", "networking": {"type": "limited"}}),
    )
    if sandboxes.unenforceable(closed) is not None:
        closed = environment_service.merge_config(None, CloudConfigParams(type="cloud"))
    return _alike(dream, "env"), closed


def _alike(dream: DreamRow, prefix: str) -> str:
    """An id that nothing else has, and that tells whose it is."""
    return f"{prefix}_{dream.id.removeprefix('drm_')}"


async def transcript(database: Database, session: SessionRow) -> AsyncIterator[bytes]:
    """The transcript of a session, piece by piece."""
    log = SqlEventLog(database)
    written = 0
    seq = 0
    yield transcript_text.heading(
        session.id, session.title, session.created_at, session.agent["name"]
    ).encode()
    while records := await log.read(session.id, after=seq, limit=READ_CHUNK):
        seq = records[-1].seq
        piece = "".join(transcript_text.passages(records)).encode("utf-8", "replace")
        if not piece:
            continue
        if written + len(piece) > TRANSCRIPT_BYTES:
            yield b"\n(The transcript is left out from here on: it is too long.)\n"
            return
        written += len(piece)
        yield piece


def in_order(transcripts: Sequence[Transcript]) -> list[str]:
    """The ids of the sessions; sorted, which is by time of creation (spec 1.9)."""
    return sorted(one.session_id for one in transcripts)
