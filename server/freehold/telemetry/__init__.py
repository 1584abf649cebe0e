"""What the operator sees of a running Freehold: logs, and the one place that redacts them.

Any room may log with ``logging.getLogger(__name__)`` or with :func:`get_logger`; both come out
in the same form, with the fields of :func:`bound` and without secrets.
"""

from __future__ import annotations

from freehold.telemetry.access import AccessLog
from freehold.telemetry.logs import bind, bound, configure, get_logger
from freehold.telemetry.named import MASK, NamedSecrets, starred
from freehold.telemetry.redaction import Redactor

__all__ = [
    "MASK",
    "AccessLog",
    "NamedSecrets",
    "Redactor",
    "bind",
    "bound",
    "configure",
    "get_logger",
    "starred",
]
