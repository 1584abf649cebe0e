"""Deployments (spec 13)."""
