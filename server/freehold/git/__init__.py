"""Repositories fetched by the server's own git."""

from freehold.git.cache import GitCache
from freehold.git.network import GitNetwork

__all__ = ["GitCache", "GitNetwork"]
