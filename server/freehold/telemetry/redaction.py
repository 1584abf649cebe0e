"""The one place that keeps secrets out of what people and machines read of us.

Three nets, each enough for what it is for:

* a value under a key whose name says that it is secret is masked whole;
* text that has the shape of a secret (``sk-ant-…``, ``Authorization: …``, a password in a URL)
  is masked where it stands, also inside longer text such as a traceback;
* the values that were named as secret (the configured keys) are masked wherever they appear,
  whatever they look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretBytes, SecretStr

from freehold.telemetry.named import MASK, NamedSecrets

_MAX_DEPTH = 12
"""Deeper structures are masked whole: nobody reads them, and they may be circular."""

_SECRET_WORDS = (
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "idtoken",
    "refreshtoken",
    "sessiontoken",
)

_NOT_SECRET_ENDINGS = ("id", "ids", "count", "name", "names", "type", "status", "url", "present")
"""``credential_id`` names a credential; it is not one."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Keys and tokens of the API that we speak, in any text.
    (re.compile(r"sk-ant-[A-Za-z0-9_\-]+"), f"sk-ant-{MASK}"),
    # What webhooks are signed with.
    (re.compile(r"whsec_[A-Za-z0-9+/=]+"), f"whsec_{MASK}"),
    # "Authorization: Bearer x", "'authorization': 'Basic x'", b"x-api-key", b"x".
    (
        re.compile(
            r"""(?ix)
            \b((?:proxy-)?authorization|x-api-key|api[-_]key|set-cookie|cookie)
            (["']? \s* [:=,] \s* (?:b?["'])?)
            (?:(?:bearer|basic|token)\s+)?
            [^\s"',;&)}\]]+
            """
        ),
        rf"\1\2{MASK}",
    ),
    # "bearer" is a word too: what follows it is a token if it is long or has a digit.
    (
        re.compile(r"(?i)\b(bearer)\s+(?=\S*\d|\S{20})[A-Za-z0-9._~+/=\-]{8,}"),
        rf"\1 {MASK}",
    ),
    # scheme://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://[^\s/:@]*):[^\s/@]+@"), rf"\1:{MASK}@"),
    # FREEHOLD_API_KEYS=…, OTHER_SECRET=…, …_TOKEN=…, PASSWORD=…
    (
        re.compile(r"(?i)\b([A-Z0-9_]*(?:API_KEYS?|SECRET|TOKEN|PASSWORD|PASSWD))(\s*=\s*)\S+"),
        rf"\1\2{MASK}",
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
        ),
        MASK,
    ),
)


def is_secret_key(key: str) -> bool:
    """Whether a field of this name holds a secret.

    Counts of tokens are the daily bread of our logs, so ``token`` alone is secret only as the
    last word of a name (``token``, ``vault_token``, never ``input_tokens``).
    """
    words = [word for word in re.split(r"[^a-z0-9]+", _split_camel(key).lower()) if word]
    if not words:
        return False
    if words[-1] == "token":
        return True
    if words[-1] in _NOT_SECRET_ENDINGS and words[-1] != words[0]:
        return False
    joined = "".join(words)
    return any(word in joined for word in _SECRET_WORDS)


def _split_camel(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)


class Redactor:
    """Masks secrets in text and in structures; never changes what it is given.

    ``secrets`` are values that must not appear anywhere, such as the configured API keys.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._named = NamedSecrets(*secrets)

    def text(self, value: str) -> str:
        """``value`` with every secret in it masked."""
        value = self._named.masked(value)
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value

    def value(self, value: Any, depth: int = 0) -> Any:
        """``value`` with every secret in it masked, fields of dictionaries by their names."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, SecretStr | SecretBytes):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if depth >= _MAX_DEPTH:
            return MASK
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): (
                    MASK if self._hides(str(key), item) else self.value(item, depth + 1)
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._member(item, depth + 1) for item in value]
        if isinstance(value, bytes | bytearray):
            return self.text(value.decode("utf-8", "replace"))
        return self.text(str(value))

    def _hides(self, key: str, item: Any) -> bool:
        return item is not None and not isinstance(item, bool) and is_secret_key(key)

    def _member(self, item: Any, depth: int) -> Any:
        # Header lists are pairs: [(b"authorization", b"Bearer …"), …].
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | bytes):
            key = item[0].decode("latin-1") if isinstance(item[0], bytes) else item[0]
            if self._hides(key, item[1]):
                return [self.text(key), MASK]
        return self.value(item, depth)
