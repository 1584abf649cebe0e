"""Secrets at rest: AES-256-GCM, bound to the row they belong to.

A sealed secret is text: ``v1.KEY.DATA``, where ``KEY`` tells which key sealed it and ``DATA`` is
nonce and ciphertext. The first key seals, all of them open, so a key is replaced by putting the
new one before it, starting the server (which seals everything anew), and then removing the old.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.core.events import Json
from freehold.errors import ConfigurationError, SecretUnreadable
from freehold.store import codec

log = logging.getLogger(__name__)

KEY_BYTES = 32
KEY_FILE = "secret.key"
_NONCE_BYTES = 12
_VERSION = "v1"


class Sealer:
    """Seals and opens secrets.

    ``keys`` is asked when first needed, so that a server without secrets needs no key.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._source = keys
        self._keys: dict[str, AESGCM] | None = None
        self._current = ""

    @classmethod
    def of_text(cls, text: str) -> Sealer:
        """Keys from the setting: base64 of 32 bytes each, separated by commas, the newest first.

        Raises:
            ConfigurationError: one of them is none.
        """
        keys = [_decoded(part, "FREEHOLD_SECRET_KEY") for part in text.split(",") if part.strip()]
        if not keys:
            raise ConfigurationError("FREEHOLD_SECRET_KEY: holds no key")
        return cls(lambda: keys)

    @classmethod
    def of_file(cls, path: Path) -> Sealer:
        """Keys from a file that only its owner can read, one a line, made when first needed."""
        return cls(lambda: _file_keys(path))

    def _load(self) -> dict[str, AESGCM]:
        if self._keys is None:
            found = [(_key_id(key), AESGCM(key)) for key in self._source()]
            self._current = found[0][0]
            self._keys = dict(found)
        return self._keys

    def seal(self, owner: str, value: Json) -> str:
        """A secret as it may be stored; only the same ``owner`` can open it."""
        keys = self._load()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = keys[self._current].encrypt(nonce, codec.dumps(value).encode(), owner.encode())
        return f"{_VERSION}.{self._current}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, owner: str, sealed: str) -> Json:
        """The inverse of :meth:`seal`.

        Raises:
            SecretUnreadable: no key opens it, or it was sealed for another owner.
        """
        try:
            version, key_id, data = sealed.split(".")
            raw = base64.b64decode(data, validate=True)
            if version != _VERSION:
                raise SecretUnreadable(f"the secret of {owner} has an unknown form")
            key = self._load()[key_id]
            opened = key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode())
        except KeyError:
            raise SecretUnreadable(
                f"the secret of {owner} was sealed with another key than those configured "
                "(FREEHOLD_SECRET_KEY, or the file secret.key in the data directory)"
            ) from None
        except (ValueError, binascii.Error, InvalidTag):
            raise SecretUnreadable(f"the secret of {owner} was damaged") from None
        value: Json = codec.loads(opened)
        return value

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key sealed it."""
        self._load()
        return sealed.startswith(f"{_VERSION}.{self._current}.")


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"freehold key id" + key).hexdigest()[:12]


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text.strip().replace("+", "-").replace("/", "_"))
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{where}: a key is the base64 of {KEY_BYTES} random bytes; make one with "
            "`openssl rand -base64 32`"
        )
    return key


def _file_keys(path: Path) -> list[bytes]:
    if not path.exists():
        _make_file(path)
    if path.stat().st_mode & 0o077:
        log.warning("%s can be read by others; run: chmod 600 %s", path, path)
    keys = [_decoded(line, str(path)) for line in path.read_text().splitlines() if line.strip()]
    if not keys:
        raise ConfigurationError(f"{path}: holds no key")
    return keys


def _make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # Of two servers that start together, one makes the file and both use it.
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
