"""MCP tunnels, their certificates and tokens (spec 19)."""
