"""Environments (spec 3)."""
