"""The process sandbox: for machines without a container engine.

With bubblewrap the agent has its own view of the file system, its own processes and its own
``/tmp``, and the system read-only; the network is the machine's. Without it the tools run as plain
children of nobody, with a clean environment and nothing else between them and the machine.
"""

from __future__ import annotations

from freehold.sandbox.process.bubblewrap import bubblewrap_works
from freehold.sandbox.process.provider import ProcessSandboxProvider

__all__ = ["ProcessSandboxProvider", "bubblewrap_works"]
