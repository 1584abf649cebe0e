"""The pure heart: no I/O, no clock, no randomness. Standard library and Pydantic only."""
