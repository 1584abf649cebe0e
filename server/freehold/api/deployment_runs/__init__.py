"""Runs of deployments (spec 13.3)."""
