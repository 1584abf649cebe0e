"""What every tool can be told, whoever runs it (spec 12.1, 12.4)."""

from __future__ import annotations

from typing import Literal

from pydantic_core import PydanticCustomError

from freehold.api.requests import Params

BuiltinName = Literal["bash", "read", "write", "edit", "glob", "grep", "web_fetch", "web_search"]


def plain(text: str) -> PydanticCustomError:
    """A finding whose text is told as it is."""
    return PydanticCustomError("plain", "{text}", {"text": text})


class PermissionPolicy(Params):
    """Whether a call runs, asks first, or is judged each time."""

    type: Literal["always_allow", "always_ask", "auto"]


class ToolDefaults(Params):
    """What the tools of a set are unless their own config says otherwise."""

    enabled: bool | None = None
    permission_policy: PermissionPolicy | None = None
