"""Bringing webhooks to their endpoints (spec 20.2)."""

from __future__ import annotations

from freehold.webhooks.courier import Courier
from freehold.webhooks.sender import HttpSender, WebhookNetwork

__all__ = ["Courier", "HttpSender", "WebhookNetwork"]
