"""Freehold: a self-hosted runtime for programs written against the Managed Agents API."""

__version__ = "0.1.0"
