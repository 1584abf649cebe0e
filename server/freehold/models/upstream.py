"""The Messages API of Anthropic, or of anything that speaks it, through the official SDK.

The SDK does the transport: connections, authentication, retries, time-outs, error classes, SSE.
What it does not do here is walk the request: its parameter transform recurses through every
message in Python, which a conversation of thousands of them feels. The body is written once, by
orjson, and handed over as bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx2

from freehold import tls
from freehold.core.model_catalog import describe
from freehold.errors import ConfigurationError, ModelError
from freehold.models import wire
from freehold.models.accumulate import Accumulator
from freehold.models.failures import retry_after_seconds, translate
from freehold.ports.model import ModelEvent, ModelRequest, Relayed
from freehold.ports.sandbox import Finding
from freehold.telemetry import starred

ANTHROPIC_BASE_URL = "https://api.anthropic.com"

DEFAULT_TIMEOUT = 600.0
"""Seconds without a byte after which an answer counts as lost."""

PATIENCE = 10.0
"""Seconds: a provider that asks for more before the next try is not waited for in here."""

CHECK_TIMEOUT = 5.0
"""Seconds that :meth:`UpstreamModel.check` gives the provider."""

_NO_KEY = (
    "no API key for the model: set FREEHOLD_MODEL_API_KEY (or ANTHROPIC_API_KEY), or use the "
    "offline model with FREEHOLD_MODEL=scripted"
)
# What servers that need no key are given; the SDK sends nothing without one.
_PLACEHOLDER_KEY = "none"
_RELAYED = "freehold.relayed"


class UpstreamModel:
    """A provider of the Messages API under a base URL.

    Args:
        base_url: where ``/v1/messages`` is; None is Anthropic's.
        api_key: sent as bearer token, and to other providers than Anthropic as ``x-api-key`` too.
            A provider other than Anthropic may need none.
        extra_ca_certs: file of CA certificates, or folder of such files, to trust as well.
        timeout: seconds without a byte after which a request has failed.
        overrides: fields of :class:`ModelCapabilities` that are known better than by model ids.
        setting: where the key and the URL come from, for messages.
        max_retries: how often the SDK tries again, before the first byte of an answer only, on
            429, 5xx and lost connections, with a wait of up to some seconds.

    Raises:
        ConfigurationError: the base URL or the certificates are unusable.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        extra_ca_certs: Path | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        overrides: Mapping[str, object] | None = None,
        setting: str = "FREEHOLD_MODEL_API_KEY or ANTHROPIC_API_KEY",
    ) -> None:
        # Never the SDK's own default: ANTHROPIC_BASE_URL may well point at this very server.
        self._base_url = _checked_url(base_url or ANTHROPIC_BASE_URL)
        self._api_key = api_key.strip() if api_key and api_key.strip() else None
        self._overrides = dict(overrides or {})
        self._setting = setting
        self._anthropic = self._base_url.host == httpx2.URL(ANTHROPIC_BASE_URL).host
        key = self._api_key or _PLACEHOLDER_KEY
        self._http = anthropic.DefaultAsyncHttpxClient(
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
            event_hooks={"response": [_no_long_waits]},
            **_tls(extra_ca_certs),
        )
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=self._base_url,
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
            max_retries=max_retries,
            default_headers=None if self._anthropic else {"x-api-key": key},
            http_client=self._http,
        )

    @property
    def description(self) -> str:
        """Which provider this is, without credentials."""
        return f"Messages API at {self._shown_url}"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Sample once; see :meth:`freehold.ports.model.Model.stream`."""
        if self._api_key is None and self._anthropic:
            raise ModelError("authentication", _NO_KEY)
        headers = {"content-type": "application/json"}
        capabilities = replace(describe(request.model), **self._overrides)  # type: ignore[arg-type]
        if betas := wire.betas(request, capabilities):
            headers["anthropic-beta"] = ",".join(betas)
        content = wire.encode(request, capabilities)
        answer = Accumulator()
        stream: anthropic.AsyncStream[Any] | None = None
        try:
            stream = await self._client.post(
                "/v1/messages",
                cast_to=object,
                content=content,
                options={"headers": headers},
                stream=True,
                stream_cls=anthropic.AsyncStream[Any],
            )
            async for event in stream:
                for shown in answer.feed(event):
                    yield shown
        except (anthropic.APIError, httpx2.HTTPError, httpx2.StreamError) as err:
            raise self._translated(err) from None
        except (KeyError, TypeError, AttributeError, ValueError) as err:
            # An answer that is not the Messages API's; the request itself was written before.
            raise ModelError(
                "server", f"{self._shown_url} sent an answer that cannot be read: {err!r}"
            ) from err
        finally:
            if stream is not None:
                await stream.close()
        yield answer.response()

    async def relay(self, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
        """Pass a request on as it is; see :meth:`freehold.ports.model.Relay.relay`."""
        if self._api_key is None and self._anthropic:
            raise ModelError("authentication", _NO_KEY)
        request = self._http.build_request(
            "POST",
            f"{str(self._base_url).rstrip('/')}{path}",
            content=body,
            # Compressed answers would come in blocks, and this one is streamed.
            headers={**headers, "accept-encoding": "identity", **self._credentials()},
            extensions={_RELAYED: True},
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx2.HTTPError as err:
            raise self._translated(err) from None
        told = list(response.headers.items())
        said: AsyncIterator[bytes] = response.aiter_raw()
        if self._api_key is not None:
            # Careless servers quote the key they were given, and its client must not learn it.
            key = self._api_key
            told = [(name, value.replace(key, "*" * len(key))) for name, value in told]
            said = starred(said, key.encode())
        return Relayed(status=response.status_code, headers=told, body=said, close=response.aclose)

    def _credentials(self) -> dict[str, str]:
        key = self._api_key or _PLACEHOLDER_KEY
        own = {} if self._anthropic else {"x-api-key": key}
        return {**self._client.auth_headers, **own}

    async def check(self) -> list[Finding]:
        """Whether a key is set and whether the provider answers and takes it."""
        findings = [self._key_finding()]
        try:
            await self._client.get(
                "/v1/models",
                cast_to=object,
                options={"timeout": CHECK_TIMEOUT, "max_retries": 0},
            )
        except anthropic.APIStatusError as err:
            findings.append(self._status_finding(err))
        except (anthropic.APIError, httpx2.HTTPError, ValueError) as err:
            findings.append(
                Finding(
                    "model provider",
                    "error",
                    self._translated(err).message,
                    "Check FREEHOLD_MODEL_BASE_URL, the network and the proxy variables; your own"
                    " certificates go into FREEHOLD_EXTRA_CA_CERTS. FREEHOLD_MODEL=scripted works"
                    " offline.",
                )
            )
        else:
            findings.append(Finding("model provider", "ok", f"{self._shown_url} answers"))
        return findings

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    @property
    def _shown_url(self) -> str:
        return str(self._base_url.copy_with(username=None, password=None)).rstrip("/")

    def _translated(self, error: Exception) -> ModelError:
        return translate(
            error, api_key=self._api_key, base_url=self._shown_url, setting=self._setting
        )

    def _key_finding(self) -> Finding:
        if self._api_key is not None:
            return Finding("model key", "ok", "an API key is set")
        if self._anthropic:
            return Finding(
                "model key",
                "error",
                "no API key is set",
                "Set FREEHOLD_MODEL_API_KEY or ANTHROPIC_API_KEY, or FREEHOLD_MODEL=scripted.",
            )
        return Finding("model key", "ok", "no API key is set; a local server may need none")

    def _status_finding(self, error: anthropic.APIStatusError) -> Finding:
        if error.status_code in {401, 403}:
            return Finding(
                "model provider",
                "error",
                f"{self._shown_url} refuses the key: {self._translated(error).message}",
                "Set FREEHOLD_MODEL_API_KEY to a key of this provider.",
            )
        if error.status_code >= 500:
            return Finding(
                "model provider",
                "warning",
                f"{self._shown_url} answers with status {error.status_code}",
                "Try again later.",
            )
        # Not every server lists its models.
        return Finding("model provider", "ok", f"{self._shown_url} answers")


def _checked_url(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError) as err:
        raise ConfigurationError(f"FREEHOLD_MODEL_BASE_URL is not a URL: {err}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(
            "FREEHOLD_MODEL_BASE_URL must look like https://host or http://host:port; "
            "/v1/messages is added to it"
        )
    path = url.path.rstrip("/")
    # People paste the URL with the version; the SDK adds it again.
    return url.copy_with(path=path.removesuffix("/v1") or "/")


def _tls(extra_ca_certs: Path | None) -> dict[str, Any]:
    return {} if extra_ca_certs is None else {"verify": tls.context(extra_ca_certs)}


async def _no_long_waits(response: httpx2.Response) -> None:
    # The SDK would sleep as long as it is told to, out of sight; the session's own retries show
    # the wait to the client and survive a restart.
    if _RELAYED in response.request.extensions:
        return  # its client may wait as long as it likes
    wait = retry_after_seconds(response.headers)
    if response.status_code >= 400 and wait is not None and wait > PATIENCE:
        response.headers["x-should-retry"] = "false"
