"""Workspaces. This version of Freehold has one; every query names it all the same."""

from __future__ import annotations

from freehold.core.ids import ENTROPY_BYTES, encode

DEFAULT_WORKSPACE = encode("wrkspc", 0, bytes(ENTROPY_BYTES))
"""The one workspace. A constant, so that rows stay reachable wherever the data is moved."""
