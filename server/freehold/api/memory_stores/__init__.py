"""Memory stores, their memories and the versions of these (spec 15)."""
