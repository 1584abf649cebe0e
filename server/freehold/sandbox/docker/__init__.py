"""Sandboxes in Docker: one hardened container a session.

``provider`` joins the parts: ``engine`` (reaching it), ``hardening`` (flags and their reasons),
``names`` (what they are called), ``container`` (making and finding one), ``opening`` (and reaching
its toolbox), ``transport`` (the stream inside), ``sources`` (which container a session gets),
``pool`` (ready ones), ``rescue`` (what the engine cannot start any more), ``wiring`` (which network
they are on), ``egress`` (the gate), ``packages`` (of environments, built into images), ``cleanup``,
``check``.
"""

from __future__ import annotations

from freehold.sandbox.docker.engine import engine_answers
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.provider import DockerSandboxProvider

__all__ = ["DockerSandboxProvider", "Limits", "engine_answers"]
