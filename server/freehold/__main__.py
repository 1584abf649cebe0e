"""``python -m freehold``: the command line."""

from freehold.cli import main

main()
