"""``python -m freehold.toolbox``; the packed archive starts the same function."""

from __future__ import annotations

from .cli import main

main()
