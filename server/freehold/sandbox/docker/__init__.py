"""Sandboxes in Docker: one hardened container a session.

``provider`` joins the parts: ``engine`` (reaching it), ``hardening`` (flags and their reasons),
``container`` (making and finding one), ``transport`` (the stream inside), ``cleanup``, ``check``.
"""

from __future__ import annotations

from freehold.sandbox.docker.engine import engine_answers
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.provider import DockerSandboxProvider

__all__ = ["DockerSandboxProvider", "Limits", "engine_answers"]
