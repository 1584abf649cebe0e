"""Agents and agent versions (spec 2)."""
