"""Buttons that outlive their question: each carries where it was said, signed, so that it answers nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from graph_runtime.contract.messages import Choices, Option, Part

FORMAT: Final = "1"
MOST_BYTES: Final = 64
_MAC_BYTES: Final = 9


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a payload says: the `option`-th button of the `question`-th question of a message. All count from 0 but `seq`."""

    conversation_id: str
    seq: int
    question: int
    option: int


class Buttons:
    """Signs with a key of its own, derived from the installation's; a payload is valid at one channel only."""

    def __init__(self, secret_key: str) -> None:
        self._key = HKDF(hashes.SHA256(), 32, salt=None, info=b"patchcord channel buttons").derive(secret_key.encode())

    def sign(self, channel_id: str, conversation_id: str, seq: int, parts: Sequence[Part]) -> list[Part]:
        """The parts with a payload in place of every option's id."""
        signed: list[Part] = []
        questions = 0
        for part in parts:
            if isinstance(part, Choices):
                options = tuple(
                    Option(id=self._payload(channel_id, Pressed(conversation_id, seq, questions, n)), label=o.label)
                    for n, o in enumerate(part.options)
                )
                part = part.model_copy(update={"options": options})  # noqa: PLW2901
                questions += 1
            signed.append(part)
        return signed

    def read(self, channel_id: str, payload: str) -> Pressed | None:
        """What a payload says; None for one that is not ours, not of this channel, or changed."""
        said, _, mac = payload.rpartition(".")
        if not payload.isascii() or not hmac.compare_digest(mac, self._mac(channel_id, said)):
            return None
        try:
            form, conversation, seq, question, option = said.split(".")
            raw = base64.urlsafe_b64decode(conversation + "==")
            found = Pressed(str(UUID(bytes=raw)), int(seq, 36), int(question, 36), int(option, 36))
        except ValueError:
            return None
        return found if form == FORMAT else None

    def _payload(self, channel_id: str, place: Pressed) -> str:
        conversation = base64.urlsafe_b64encode(UUID(place.conversation_id).bytes).decode().rstrip("=")
        numbers = ".".join(map(_base36, (place.seq, place.question, place.option)))
        said = f"{FORMAT}.{conversation}.{numbers}"
        return f"{said}.{self._mac(channel_id, said)}"

    def _mac(self, channel_id: str, said: str) -> str:
        digest = hmac.digest(self._key, f"{channel_id}.{said}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:_MAC_BYTES]).decode()


def option_of(parts: Sequence[dict[str, Any]], place: Pressed) -> Option | None:
    """The option that a stored message shows at this place."""
    questions = [part for part in parts if part.get("kind") == "choices"]
    if place.question >= len(questions):
        return None
    options = questions[place.question].get("options") or []
    return Option.model_validate(options[place.option]) if place.option < len(options) else None


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    out = ""
    while True:
        number, rest = divmod(number, 36)
        out = digits[rest] + out
        if not number:
            return out
