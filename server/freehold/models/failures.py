"""What went wrong with a model request, in the terms of :class:`freehold.errors.ModelError`."""

from __future__ import annotations

import re
from typing import Any

import anthropic
import httpx2

from freehold.errors import ModelError, ModelErrorKind

MESSAGE_LIMIT = 2_000
"""Characters of a provider's message that are kept."""

_BY_TYPE: dict[str, ModelErrorKind] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limited",
    "api_error": "server",
    "timeout_error": "server",
    "authentication_error": "authentication",
    "permission_error": "authentication",
    "billing_error": "billing",
    "invalid_request_error": "invalid_request",
    "not_found_error": "invalid_request",
    "request_too_large": "invalid_request",
}
_BY_STATUS: dict[int, ModelErrorKind] = {
    401: "authentication",
    402: "billing",
    403: "authentication",
    408: "server",
    409: "server",
    425: "server",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
# Waiting does not help against a limit on spending, although its status is 429.
_SPEND_CODES = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
# The provider says this with status 400.
_EMPTY_PURSE = re.compile(r"credit balance is too low", re.IGNORECASE)


def translate(
    error: Exception,
    *,
    api_key: str | None,
    base_url: str,
    setting: str = "FREEHOLD_MODEL_API_KEY or ANTHROPIC_API_KEY",
) -> ModelError:
    """The failure of a request as a :class:`ModelError` that holds no secret.

    Args:
        error: what the SDK or the HTTP client raised.
        api_key: the key in use; cut out wherever a message repeats it.
        base_url: the provider, named in messages about the connection.
        setting: where the key comes from.
    """
    if isinstance(error, anthropic.APIStatusError):
        kind = _kind(error)
        message = _status_message(error)
        if kind == "authentication":
            message += f" (the key comes from {setting})"
        return ModelError(kind, _clean(message, api_key), retry_after=_retry_after(error.response))
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return ModelError("connection", f"no answer in time from {base_url}")
    cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else error
    detail = str(cause or "").strip() or type(cause or error).__name__
    return ModelError(
        "connection", _clean(f"the connection to {base_url} failed: {detail}", api_key)
    )


def retry_after_seconds(headers: httpx2.Headers) -> float | None:
    """What ``retry-after-ms`` or ``retry-after`` ask for; None for neither and for dates."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / scale)
        except (KeyError, ValueError):
            continue
    return None


def _kind(error: anthropic.APIStatusError) -> ModelErrorKind:
    if error.error_code in _SPEND_CODES:
        return "billing"
    status = error.status_code
    if status < 400:
        # An error event inside a stream that began with 200.
        return _BY_TYPE.get(error.type or "", "server")
    if status == 400 and _EMPTY_PURSE.search(error.api_message or ""):
        return "billing"
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return "overloaded" if error.type == "overloaded_error" else "server"
    return "invalid_request"


def _status_message(error: anthropic.APIStatusError) -> str:
    if error.api_message:
        return error.api_message
    body: Any = error.body
    text = body if isinstance(body, str) and not body.lstrip().startswith("<") else ""
    return text.strip() or f"the model provider answered with status {error.status_code}"


def _retry_after(response: httpx2.Response) -> float | None:
    return retry_after_seconds(response.headers)


def _clean(message: str, api_key: str | None) -> str:
    if api_key:
        message = message.replace(api_key, "[redacted]")
    if len(message) > MESSAGE_LIMIT:
        message = message[:MESSAGE_LIMIT] + " …"
    return message
