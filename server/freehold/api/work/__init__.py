"""The work queue of self-hosted environments (spec 4)."""
