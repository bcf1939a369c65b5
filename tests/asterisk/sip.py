"""SIP as far as a phone needs it (RFC 3261, 2617, 4566): strict reading, plain writing, no sockets."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

VERSION: Final = "SIP/2.0"
MAGIC: Final = "z9hG4bK"
"""Every branch begins with it (RFC 3261, 8.1.1.7)."""
NEEDED: Final = ("via", "from", "to", "call-id", "cseq")
_SHORT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
CODECS: Final = {0: "PCMU/8000", 8: "PCMA/8000"}
EVENTS: Final = 101


class BadMessage(ValueError):
    """What arrived is not SIP or SDP as the standards have it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request (`method` and `uri`) or a response (`status` and `reason`). Headers in their order, names in lower case."""

    headers: tuple[tuple[str, str], ...]
    body: str = ""
    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        """The first value, "" without one."""
        return next(iter(self.all(name)), "")

    @property
    def branch(self) -> str:
        """Of the topmost Via: which transaction it is."""
        return parameter(self.get("via"), "branch")

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method."""
        number, method = self.get("cseq").split()
        return int(number), method

    def to_bytes(self) -> bytes:
        """On the wire."""
        first = f"{self.method} {self.uri} {VERSION}" if self.method else f"{VERSION} {self.status} {self.reason}"
        lines = [first, *(f"{name.title()}: {value}" for name, value in self.headers)]
        body = self.body.encode()
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def read(data: bytes) -> Message:
    """One datagram. Raises: BadMessage."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise BadMessage("no empty line after the headers")
    first, *lines = head.decode("utf-8").split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[\w.!%*+`'~-]+", name.strip()):
            raise BadMessage(f"not a header: {line!r}")
        low = name.strip().lower()
        headers.append((_SHORT.get(low, low), value.strip()))
    names = [name for name, _ in headers]
    for name in NEEDED:
        if name not in names or (name != "via" and names.count(name) > 1):
            raise BadMessage(f"{name} is missing or there twice")
    message = _first(first, headers, body)
    if not message.branch.startswith(MAGIC):
        raise BadMessage("a branch without the magic of RFC 3261")
    if message.method and message.cseq[1] != message.method:
        raise BadMessage("CSeq names another method")
    if "content-length" in names and int(message.get("content-length")) != len(body):
        raise BadMessage("Content-Length is not the length of the body")
    return message


def _first(line: str, headers: Sequence[tuple[str, str]], body: bytes) -> Message:
    if response := re.fullmatch(r"SIP/2\.0 ([1-6]\d\d) (.*)", line):
        return Message(tuple(headers), body.decode(), status=int(response[1]), reason=response[2])
    if request := re.fullmatch(r"([A-Z]+) (sips?:\S+) SIP/2\.0", line):
        return Message(tuple(headers), body.decode(), method=request[1], uri=request[2])
    raise BadMessage(f"not a first line: {line!r}")


def parameter(value: str, name: str) -> str:
    """`;name=…` of a header."""
    found = re.search(rf";\s*{name}=([^;,\s>]+)", value)
    return found[1] if found else ""


def address(value: str) -> str:
    """The URI of a From, To or Contact."""
    found = re.search(r"<([^>]+)>", value)
    return found[1] if found else value.partition(";")[0].strip()


def token() -> str:
    """For tags, branches and Call-IDs."""
    return secrets.token_hex(8)


# Digest ------------------------------------------------------------------------------------------------------------------


def challenge(realm: str) -> str:
    """What a server asks with."""
    return f'Digest realm="{realm}", nonce="{token()}", algorithm=MD5, qop="auth"'


def fields(value: str) -> dict[str, str]:
    """Of a challenge or of its answer. Raises: BadMessage."""
    if not value.startswith("Digest "):
        raise BadMessage(f"not a digest: {value!r}")
    return {
        name.lower(): quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value)
    }


def authorization(asked: str, who: tuple[str, str], method: str, uri: str) -> str:
    """The answer to a challenge. `who`: user and password. Raises: BadMessage."""
    given = fields(asked)
    if given.get("algorithm", "MD5").upper() != "MD5":
        raise BadMessage(f"an algorithm this phone does not have: {given['algorithm']}")
    cnonce, count = token(), "00000001"
    has_qop = "auth" in given.get("qop", "").split(",")
    more = (count, cnonce) if has_qop else ()
    response = _response(given, who, method, uri, more)
    text = f'Digest username="{who[0]}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", response="{response}", algorithm=MD5'
    text += f', qop=auth, nc={count}, cnonce="{cnonce}"' if has_qop else ""
    return text + (f', opaque="{given["opaque"]}"' if "opaque" in given else "")


def is_right(answer: str, asked: str, who: tuple[str, str], method: str) -> bool:
    """Whether an answer fits a challenge."""
    if not answer:
        return False
    given = fields(answer)
    more = (given["nc"], given["cnonce"]) if given.get("qop") else ()
    same = {"realm": fields(asked)["realm"], "nonce": fields(asked)["nonce"]}
    is_same = all(given.get(name) == value for name, value in same.items()) and given.get("username") == who[0]
    return is_same and given.get("response") == _response(same, who, method, given.get("uri", ""), more)


def _response(given: dict[str, str], who: tuple[str, str], method: str, uri: str, more: Sequence[str]) -> str:
    secret = _md5(f"{who[0]}:{given['realm']}:{who[1]}")
    middle = [given["nonce"], *more, *(["auth"] if more else [])]
    return _md5(":".join([secret, *middle, _md5(f"{method}:{uri}")]))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# SDP ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """Where somebody wants to hear, and how: payload types in order of preference; `events` 0 without RFC 4733."""

    host: str
    port: int
    payloads: tuple[int, ...]
    events: int = EVENTS
    direction: str = "sendrecv"

    def to_sdp(self) -> str:
        """A session of one stream of sound."""
        types = [*self.payloads, *([self.events] if self.events else [])]
        maps = [f"a=rtpmap:{p} {CODECS[p]}" for p in self.payloads]
        if self.events:
            maps += [f"a=rtpmap:{self.events} telephone-event/8000", f"a=fmtp:{self.events} 0-16"]
        lines = [
            "v=0", f"o=- 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0",
            f"m=audio {self.port} RTP/AVP {' '.join(map(str, types))}", *maps, "a=ptime:20", f"a={self.direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines)


@dataclass(slots=True)
class _Reading:
    host: str = ""
    port: int = 0
    types: list[int] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    direction: str = "sendrecv"


def read_sdp(text: str) -> Sound:
    """The first stream of sound. Raises: BadMessage."""
    if not text.startswith("v=0\r\n"):
        raise BadMessage("SDP begins with v=0")
    found = _Reading()
    for line in text.split("\r\n"):
        if line.startswith("c=IN IP4 "):
            found.host = line.split()[2]
        elif line.startswith("m=audio ") and not found.types:
            words = line.split()
            found.port, found.types = int(words[1]), [int(word) for word in words[3:]]
        elif mapped := re.fullmatch(r"a=rtpmap:(\d+) (\S+)", line):
            found.names[int(mapped[1])] = mapped[2]
        elif line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"):
            found.direction = line[2:]
    for payload in found.types:
        if payload in CODECS and found.names.get(payload, CODECS[payload]).upper() != CODECS[payload]:
            raise BadMessage(f"payload type {payload} is something else here")
    if not found.host or not found.port:
        raise BadMessage("no place to send sound to")
    events = next((p for p, name in found.names.items() if name == "telephone-event/8000"), 0)
    return Sound(found.host, found.port, tuple(p for p in found.types if p in CODECS), events, found.direction)
