"""The Messages API, passed on to the provider behind (spec 21)."""
