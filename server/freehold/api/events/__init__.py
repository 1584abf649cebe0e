"""Session events (spec 6)."""
