"""Sealing of secrets: an installation key wraps one data key per workspace, which seals each field on its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from graph_runtime.contract.errors import BuilderError

_NONCE_BYTES = 12
_FORMAT = b"\x01"


class VaultLocked(BuilderError):
    """A secret cannot be opened: the installation's key is another one, or the row was tampered with."""

    code = "vault_locked"


class KeyRing:
    """Key-encryption keys of the installation: the first wraps, all of them unwrap."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or not all(secrets):
            raise ValueError("the key ring needs at least one secret")
        self._keys = {key_id(key): key for key in map(_derive, secrets)}
        self.newest = next(iter(self._keys))

    def wrap(self, data_key: bytes, workspace_id: str, number: int) -> tuple[bytes, str]:
        """The data key as it is stored, and the id of the key that wrapped it."""
        return _seal(self._keys[self.newest], data_key, _wrapping(workspace_id, number)), self.newest

    def unwrap(self, wrapped: bytes, wrapped_by: str, workspace_id: str, number: int) -> DataKey:
        """Raises: VaultLocked."""
        key = self._keys.get(wrapped_by)
        if key is None:
            raise VaultLocked(
                "The saved keys were encrypted with another PATCHCORD_SECRET_KEY. Start with that key again, or delete "
                "the credentials and enter them anew."
            )
        return DataKey(number, _open(key, wrapped, _wrapping(workspace_id, number)))


class DataKey:
    """Seals and opens fields of one workspace. `number` says which of its keys this is."""

    def __init__(self, number: int, key: bytes) -> None:
        self.number = number
        self._key = key

    def __repr__(self) -> str:
        return f"DataKey(number={self.number})"

    def seal(self, text: str, place: str) -> bytes:
        """`place` is `workspace|credential|field|version`: the value opens nowhere else."""
        return self.seal_bytes(text.encode(), place)

    def seal_bytes(self, data: bytes, place: str) -> bytes:
        """As `seal`."""
        return self.number.to_bytes(4, "big") + _seal(self._key, data, place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Raises: VaultLocked."""
        return self.open_bytes(sealed, place).decode()

    def open_bytes(self, sealed: bytes, place: str) -> bytes:
        """Raises: VaultLocked."""
        if number_of(sealed) != self.number:
            raise VaultLocked("This secret was encrypted with another key of the workspace. Enter it anew.")
        return _open(self._key, sealed[4:], place.encode())

    @property
    def raw(self) -> bytes:
        """For wrapping only."""
        return self._key


def new_data_key() -> bytes:
    """256 random bits."""
    return AESGCM.generate_key(256)


def number_of(sealed: bytes) -> int:
    """Which data key of the workspace sealed this."""
    return int.from_bytes(sealed[:4], "big")


def key_id(key: bytes) -> str:
    """A name for a key that gives nothing of it away."""
    return hashlib.sha256(b"patchcord vault key id\0" + key).hexdigest()[:16]


def _derive(secret: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"patchcord vault: wrapping data keys").derive(secret.encode())


def _wrapping(workspace_id: str, number: int) -> bytes:
    return f"data key|{workspace_id}|{number}".encode()


def _seal(key: bytes, data: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, data, place)


def _open(key: bytes, sealed: bytes, place: bytes) -> bytes:
    start = len(_FORMAT)
    nonce, body = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
    try:
        if sealed[:start] != _FORMAT:
            raise InvalidTag
        return AESGCM(key).decrypt(nonce, body, place)
    except (InvalidTag, ValueError):
        raise VaultLocked("A saved secret cannot be read: its row was changed or moved. Enter it anew.") from None
