"""Resources of sessions (spec 9)."""
