"""``freehold worker``: serves the queue of a self-hosted environment, here or at Anthropic's.

The official SDK's ``EnvironmentWorker`` does the protocol; what is ours is where the tools run:
each session in a sandbox of its own, by a :class:`freehold.ports.sandbox.SandboxProvider`.
"""
