"""Environments' packages: what a build of them is made of, whatever engine runs it."""
