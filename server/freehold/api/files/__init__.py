"""Files (spec 17)."""
