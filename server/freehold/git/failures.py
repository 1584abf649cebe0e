"""What git says when a host refuses, as the five errors of spec 6.8. Pure."""

from __future__ import annotations

import re

from freehold.errors import RepositoryError

_STATUS = re.compile(r"requested URL returned error: (\d{3})")
_UNAUTHORIZED = ("could not read Username", "could not read Password", "Authentication failed")
_MISSING = ("not found", "does not exist")
_TOO_LARGE = ("File too large", "exceeded maximum")
_NO_SUCH_REF = (
    "couldn't find remote ref",
    "unadvertised object",
    "not our ref",
    "no such remote ref",
)
_CERTIFICATE = ("certificate", "SSL", "TLS")
_SHOWN = 300
_SECRETIVE = re.compile(r"(?i)(authorization|basic|bearer|token)\S*\s+\S+|https://[^/\s]*@")


def failure(url: str, errors: str, *, token: str | None, largest_mb: int) -> RepositoryError:
    """The error for what a command that asks the host said on its standard error.

    Args:
        url: The repository's.
        errors: In the C locale.
        token: What was sent, which is in no message; ``None``: none was.
        largest_mb: What is told of the limit.
    """
    if any(sign in errors for sign in _TOO_LARGE):
        return RepositoryError("clone", f"{url} is larger than {largest_mb} MB")
    status = _STATUS.search(errors)
    code = int(status[1]) if status else None
    if code == 401 or any(sign in errors for sign in _UNAUTHORIZED):
        reason = "does not accept the authorization_token"
        if token is None:
            reason = "cannot be read without an authorization_token, or does not exist"
        return RepositoryError("authentication", f"{url} {reason}")
    if code == 403:
        return RepositoryError("forbidden", f"{url}: the host forbids to read it (403)")
    if code in {404, 410} or re.search(r"repository '[^']*' not found", errors):
        return RepositoryError("not_found", f"{url} does not exist, or the token cannot see it")
    if any(sign in errors for sign in _NO_SUCH_REF):
        return RepositoryError("checkout", f"{url} has no such branch or commit")
    if code is not None and 300 <= code < 400:
        return RepositoryError(
            "clone", f"{url}: the host redirects elsewhere, which is not followed; has it moved?"
        )
    if code is not None:
        passing = code >= 500 or code == 429
        return RepositoryError(
            "clone", f"{url}: the host answered with status {code}", retryable=passing
        )
    if any(sign in errors for sign in _CERTIFICATE):
        return RepositoryError("clone", f"{url}: no trustworthy TLS: {_last(errors, token)}")
    return RepositoryError(
        "clone", f"{url} could not be cloned: {_last(errors, token)}", retryable=True
    )


def _last(errors: str, token: str | None) -> str:
    """The last line, without anything that could be secret."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    text = lines[-1] if lines else "git said nothing"
    if token:
        text = text.replace(token, "***")
    return _SECRETIVE.sub("***", text)[:_SHOWN]
