"""Skills: folders of instructions and scripts that agents read when they need them (spec 16)."""
