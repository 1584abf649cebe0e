"""The scripted sandbox: files in memory, a small shell, no processes.

For tests and for trying things without any engine. It keeps the promises of the port (one run per
id, cancelling, losing) and does what :mod:`freehold.sandbox.conformance` asks; its shell knows the
common words of the trade (:mod:`freehold.sandbox.scripted.commands`), not programs.
"""

from __future__ import annotations

from freehold.sandbox.scripted.provider import ScriptedSandbox, ScriptedSandboxProvider

__all__ = ["ScriptedSandbox", "ScriptedSandboxProvider"]
