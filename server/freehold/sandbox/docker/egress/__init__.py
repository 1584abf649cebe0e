"""The egress gate of an installation: its container, and the server's line to it."""
