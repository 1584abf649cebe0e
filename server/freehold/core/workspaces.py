"""Workspaces: what keeps the data of one group of clients from another's."""

from __future__ import annotations

from freehold.core.ids import ENTROPY_BYTES, encode

DEFAULT_WORKSPACE = encode("wrkspc", 0, bytes(ENTROPY_BYTES))
"""Where the keys of the settings work. A constant, so that rows stay reachable wherever the data
is moved."""

DEFAULT_COLOR = "#6C5BB9"
NAME_MAX = 40
MOST = 100
"""Workspaces that are not archived, the default one among them."""
