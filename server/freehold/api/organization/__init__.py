"""The organization: its workspaces and its keys. For admin keys."""
