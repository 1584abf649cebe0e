"""Results too long for the model go into a file it can look at (spec 12.3)."""

from __future__ import annotations

from freehold.core.events import Content
from freehold.errors import SandboxError
from freehold.ports.sandbox import Sandbox

LIMIT = 100_000
"""Characters of text in one tool result, some 25,000 tokens; beyond it the rest is offloaded."""
PREVIEW = 8_000
"""Characters of the beginning that the model is shown."""
TAIL = 2_000
"""Characters of the end that the model is shown."""


async def offload(sandbox: Sandbox | None, call_id: str, content: Content) -> Content:
    """``content`` as it is, or, if it is too long, its beginning and end and where the rest is.

    Without a sandbox, or where the file cannot be written, the rest is only cut off; the text
    says so.
    """
    if not too_long(content):
        return content
    text = _text(content)
    where = f"/tmp/tool_outputs/{call_id}.txt"  # noqa: S108 a path inside the sandbox
    kept = "The rest could not be kept."
    if sandbox is not None and await _written(sandbox, where, text):
        kept = f"It is in {where}; read it in parts."
    shown = (
        f"[The output has {len(text):,} characters. {kept} Its beginning and its end follow.]\n"
        f"{text[:PREVIEW]}\n[...]\n{text[-TAIL:]}"
    )
    others = [block for block in content if block["type"] != "text"]
    return [{"type": "text", "text": shown}, *others]


def too_long(content: Content) -> bool:
    """Whether the texts of a result are more than the model is given at once."""
    return len(_text(content)) > LIMIT


def _text(content: Content) -> str:
    return "\n".join(block["text"] for block in content if block["type"] == "text")


async def _written(sandbox: Sandbox, path: str, text: str) -> bool:
    try:
        await sandbox.write_file(path, text.encode())
    except (SandboxError, OSError):
        return False
    return True
