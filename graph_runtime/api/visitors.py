"""The signed token of a web chat visitor: who they are on one channel, and which of their conversations is current."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LIFETIME_SECONDS: Final = 30 * 24 * 3600
SKEW_SECONDS: Final = 60
"""So far the clocks of two web processes may differ."""
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "patchcord"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody in a web chat. `dialogue` counts their conversations on this channel from 1."""

    id: str
    channel: str
    dialogue: int = 1

    def again(self) -> Visitor:
        """The same person beginning a new conversation."""
        return replace(self, dialogue=self.dialogue + 1)


class VisitorTokens:
    """Makes and verifies visitor tokens with a key of their own, derived from the installation's secret.

    `clock`: seconds since 1970, for tests.
    """

    def __init__(self, secret_key: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"patchcord web chat visitor").derive(secret_key.encode())
        self._key = OctKey.import_key(derived)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=SKEW_SECONDS,
            iss={"essential": True, "value": _ISSUER},
            sub={"essential": True},
            aud={"essential": True},
            exp={"essential": True},
        )

    def new(self, channel: str) -> Visitor:
        """A visitor nobody has seen before. `channel` is the public id."""
        return Visitor(f"v_{uuid.uuid4().hex}", channel)

    def issue(self, visitor: Visitor) -> str:
        """A token for 30 days from now."""
        now = int(self._clock())
        claims = {
            "iss": _ISSUER,
            "sub": visitor.id,
            "aud": visitor.channel,
            "n": visitor.dialogue,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        return jwt.encode({"alg": _ALGORITHM, "typ": "JWT"}, claims, self._key, algorithms=[_ALGORITHM])

    def read(self, token: str, channel: str) -> Visitor | None:
        """The visitor, or None when the token is foreign, altered, expired or for another channel."""
        if not token or len(token) > 2000:
            return None
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            self._claims.validate(claims)
        except (JoseError, ValueError):
            return None
        sub, dialogue = claims["sub"], claims.get("n")
        if claims["aud"] != channel or not isinstance(sub, str) or not isinstance(dialogue, int) or dialogue < 1:
            return None
        return Visitor(sub, channel, dialogue)
