"""Packages of environments, built into images once."""
