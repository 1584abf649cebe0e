"""Vaults and their credentials (spec 14)."""
