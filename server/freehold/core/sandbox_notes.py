"""What a session's log says of the sandbox that a call is about to run in (spec 22.3)."""

from __future__ import annotations

from freehold.core.events import SandboxAttached
from freehold.core.state import SessionState

STOPPED = (
    "[The sandbox was stopped since the last call{why} and has been started again. Its files are "
    "as they were; background processes are gone, and the shell was started anew.]"
)
RESTORED = (
    "[The sandbox was lost and a new one has taken its place. The working directory and the "
    "outputs folder were restored from a checkpoint of {moment}; what was changed after it, what "
    "was outside of these folders, and background processes are gone, and the shell was started "
    "anew.]"
)
REPLACED = (
    "[The sandbox of earlier calls is gone and a new one has taken its place: files that were not "
    "handed over and background processes are gone, and the shell was started anew.]"
)


def arrival(
    state: SessionState,
    *,
    identity: str,
    boot: str,
    ended: str | None = None,
    restored: str | None = None,
) -> SandboxAttached | None:
    """The record that has to precede a call in this sandbox; ``None``: the log knows it as it is.

    Its ``note`` is for the model. A session that ran nothing before is told nothing.

    Args:
        state: the session's.
        identity: the sandbox's.
        boot: the run of its processes.
        ended: why the run before ended.
        restored: when the checkpoint was taken that its files come from.
    """
    note = None
    if state.sandbox_id == identity:
        if state.sandbox_boot == boot:
            return None
        if state.sandbox_boot is not None:
            note = STOPPED.format(why=f" ({ended})" if ended else "")
    elif restored is not None:
        note = RESTORED.format(moment=restored)
    elif state.sandbox_id is not None:
        note = REPLACED
    return SandboxAttached(sandbox_id=identity, boot=boot, note=note)
