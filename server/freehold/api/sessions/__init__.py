"""Sessions (spec 5)."""
