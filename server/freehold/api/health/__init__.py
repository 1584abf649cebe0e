"""Whether the server is up and can work."""
