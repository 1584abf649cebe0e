"""Every error Freehold raises on purpose.

    FreeholdError
    ├── ApiError                    what a client is told; carries status and API error type
    │   ├── InvalidRequest          400 invalid_request_error
    │   ├── NotSupported            400 invalid_request_error; a feature this version lacks
    │   ├── Unauthenticated         401 authentication_error
    │   ├── PermissionDenied        403 permission_error
    │   ├── NotFound                404 not_found_error
    │   ├── MethodNotAllowed        405 invalid_request_error
    │   ├── Conflict                409 conflict_error
    │   │   ├── MemoryPathConflict          409 memory_path_conflict_error
    │   │   └── MemoryPreconditionFailed    409 memory_precondition_failed_error
    │   ├── PreconditionFailed      412 invalid_request_error
    │   ├── RequestTooLarge         413 request_too_large
    │   ├── RangeNotSatisfiable     416 invalid_request_error
    │   ├── RateLimited             429 rate_limit_error
    │   └── Overloaded              529 overloaded_error
    ├── SequenceConflict            an append found the log longer than it expected
    ├── ModelError                  a model request failed; ``kind`` says how
    ├── WebError                    a page or a search could not be had; ``code`` says how
    ├── SandboxError
    │   ├── SandboxUnavailable      the engine cannot give us a sandbox
    │   └── SandboxLost             the sandbox was there and is gone
    ├── McpError
    │   ├── McpUnreachable          the server cannot be had, or failed on the way
    │   └── McpUnauthorized         the server does not take the credential, or wants one
    ├── RepositoryError             a repository cannot be cloned; ``kind`` says how
    ├── TokenRefreshFailed          an OAuth access token could not be renewed
    ├── SecretUnreadable            no configured key opens a stored secret
    ├── BlobMissing                 there is no content under a key
    ├── BlobsUnavailable            the store of contents cannot be had, or is full
    └── ConfigurationError          a setting is wrong; the message says how to mend it

One handler (``freehold.api.errors``) renders an :class:`ApiError` as the API's envelope. The
others never reach a client as they are: the harness turns them into events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


class FreeholdError(Exception):
    """The root of Freehold's own errors."""


class ApiError(FreeholdError):
    """An answer other than success; rendered as the API's error envelope (spec 1.4).

    ``details`` becomes ``error.details`` and normally has a string ``error_code``;
    ``should_retry`` becomes the ``x-should-retry`` header, which overrides the SDK's own
    decision (spec 1.3).
    """

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "api_error"
    fields: Mapping[str, str] = {}
    """What stands beside ``message`` in the envelope, for the few errors that say more."""

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        should_retry: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.should_retry = should_retry
        self.retry_after = retry_after


class InvalidRequest(ApiError):
    """The request is malformed or not allowed in the present state."""

    status = 400
    error_type = "invalid_request_error"


class NotSupported(InvalidRequest):
    """The request is valid for the API, but this version of Freehold cannot honour it yet."""


class Unauthenticated(ApiError):
    """No credential, or one that is not known (spec 1.5)."""

    status = 401
    error_type = "authentication_error"


class PermissionDenied(ApiError):
    """The credential is known and does not reach this (spec 1.5)."""

    status = 403
    error_type = "permission_error"


class NotFound(ApiError):
    """No such object in the caller's workspace, or no such path."""

    status = 404
    error_type = "not_found_error"


class MethodNotAllowed(ApiError):
    """The path exists and does not take this method."""

    status = 405
    error_type = "invalid_request_error"


class Conflict(ApiError):
    """A precondition failed or a name is taken. Never retried by clients unless told to."""

    status = 409
    error_type = "conflict_error"


class MemoryPathConflict(Conflict):
    """Another memory has the path, or one of the two paths is a prefix of the other (spec 15.3)."""

    error_type = "memory_path_conflict_error"

    def __init__(self, message: str, *, memory_id: str, path: str) -> None:
        super().__init__(message, should_retry=False)
        self.fields = {"conflicting_memory_id": memory_id, "conflicting_path": path}


class MemoryPreconditionFailed(Conflict):
    """The memory does not have the content that the request expects (spec 15.3)."""

    error_type = "memory_precondition_failed_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, should_retry=False)


class PreconditionFailed(InvalidRequest):
    """A heartbeat is not of the lease's holder (spec 4.3)."""

    status = 412


class RequestTooLarge(ApiError):
    """The body is over the limit of its route (spec 1.7)."""

    status = 413
    error_type = "request_too_large"


class RangeNotSatisfiable(InvalidRequest):
    """The part of a file that was asked for lies outside of it (RFC 9110, section 15.5.17)."""

    status = 416


class RateLimited(ApiError):
    """Too many requests."""

    status = 429
    error_type = "rate_limit_error"


class Overloaded(ApiError):
    """The server cannot take the request now."""

    status = 529
    error_type = "overloaded_error"


class SequenceConflict(FreeholdError):
    """``append`` was told the log ends at ``expected`` and it ends at ``actual``."""

    def __init__(self, session_id: str, expected: int, actual: int) -> None:
        super().__init__(f"log of {session_id} ends at {actual}, not at {expected}")
        self.session_id = session_id
        self.expected = expected
        self.actual = actual


ModelErrorKind = Literal[
    "overloaded",  # 529 or 503
    "rate_limited",  # 429
    "server",  # any other 5xx
    "connection",  # no answer, or the stream broke
    "authentication",  # 401, 403: the key of the model provider
    "billing",  # 402
    "invalid_request",  # 400, 404, 413, 422: the request will never succeed
]


class ModelError(FreeholdError):
    """A request to the model provider failed.

    ``retry_after`` is the provider's wish in seconds; ``retryable`` tells whether the same
    request may succeed later. ``message`` holds nothing secret: no key, no header.
    """

    def __init__(
        self, kind: ModelErrorKind, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind: ModelErrorKind = kind
        self.message = message
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Whether waiting may help."""
        return self.kind in {"overloaded", "rate_limited", "server", "connection"}


WebErrorCode = Literal[
    "invalid_tool_input",
    "url_too_long",
    "url_not_allowed",
    "url_not_in_prior_context",
    "url_not_accessible",
    "unsupported_content_type",
    "content_too_large",
    "query_too_long",
    "too_many_requests",
    "unavailable",
]
"""The codes of the Messages API's own web tools."""


class WebError(FreeholdError):
    """A web tool could not do what the model asked; ``message`` is what the model is told."""

    def __init__(self, code: WebErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: WebErrorCode = code
        self.message = message


class SandboxError(FreeholdError):
    """Something about the sandbox itself, never the failure of a command inside it."""


class SandboxUnavailable(SandboxError):
    """No sandbox can be had: the engine is down, the image is missing, the disk is full."""


class SandboxLost(SandboxError):
    """The sandbox that was in use is gone; calls that ran in it have no result."""


class PlacementRefused(SandboxError):
    """The server may not put or delete something there, or nothing would keep the agent from it."""


class TooManyFiles(SandboxError):
    """A folder of a sandbox holds more than is looked at; the message has the number."""


class ArchiveTooLarge(SandboxError):
    """A sandbox holds more than an archive of it may; the message has the limit."""


class ArchiveBroken(SandboxError):
    """An archive of a sandbox's files cannot be read."""


class FileChanged(SandboxError):
    """A file of a sandbox changed while it was read."""


class FurnishingFailed(SandboxUnavailable):
    """A sandbox is there, and what the session was promised could not be put into it."""


RepositoryErrorKind = Literal["authentication", "forbidden", "not_found", "checkout", "clone"]
"""The five of spec 6.8."""


class RepositoryError(FreeholdError):
    """A repository cannot be put into a sandbox; the message is for clients, without a token."""

    def __init__(self, kind: RepositoryErrorKind, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.kind: RepositoryErrorKind = kind
        self.message = message
        self.retryable = retryable


class McpError(FreeholdError):
    """An MCP server could not be asked. The message holds no part of a credential."""


class McpUnreachable(McpError):
    """No connection, no answer in time, or an answer that is no MCP server's (spec 12.5)."""


class McpUnauthorized(McpError):
    """The server answered 401: it wants a credential, or another one (spec 12.5)."""


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered that was asked over HTTP; secrets in ``body`` are masked."""

    status_code: int
    content_type: str
    body: str
    body_truncated: bool


class TokenRefreshFailed(FreeholdError):
    """A token endpoint gave no new access token; ``answer`` is ``None`` if it did not answer."""

    def __init__(self, message: str, answer: HttpAnswer | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.answer = answer


class SecretUnreadable(FreeholdError):
    """A stored secret cannot be opened: its key is not among those that are configured."""


class BlobMissing(FreeholdError):
    """There is no content under this key."""


class BlobsUnavailable(FreeholdError):
    """The store of contents cannot be had, or takes no more. The message holds no credential."""


class ConfigurationError(FreeholdError):
    """A setting does not make sense; the message names it and says how to mend it."""
