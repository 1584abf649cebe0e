"""Named checks that every sandbox provider must pass.

They ship with the package, so that a provider made elsewhere can prove itself::

    results = await run(MyProvider(), reopen=MyProvider)

or, for the providers of this package, ``python -m freehold.sandbox.conformance process``.
"""

from __future__ import annotations

from freehold.sandbox.conformance import bash, calls, files, lifecycle, mirroring, placing, search
from freehold.sandbox.conformance.subject import (
    CHECKS,
    Check,
    CheckFailed,
    CheckResult,
    NotApplicable,
    Subject,
    run,
)

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "CheckResult",
    "NotApplicable",
    "Subject",
    "bash",
    "calls",
    "files",
    "lifecycle",
    "mirroring",
    "placing",
    "run",
    "search",
]
