"""Session threads (spec 7)."""
