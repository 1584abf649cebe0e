"""User profiles, in the four dialects of their beta headers (spec 19)."""
