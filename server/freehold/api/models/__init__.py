"""The models that requests can be sent to (spec 21)."""
