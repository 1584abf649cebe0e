"""Measurements. Never part of a pass or fail: figures go to docs/PERFORMANCE.md as ratios."""
