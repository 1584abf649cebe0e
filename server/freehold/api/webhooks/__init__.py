"""Endpoints of webhooks (spec 20.1)."""
