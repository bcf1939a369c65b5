"""Calls to web services: what may be reached, what may not, and how failures are told."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore2
import pytest

from graph_runtime.contract.errors import OutcomeUnknown, Refused, Unreachable
from graph_runtime.contract.http import HttpReply
from graph_runtime.engine.http import HttpDoor, is_public

INSIDE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
    "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378::1", "2001:db8::1", "localhost", "",
    "127.1", "0x7f000001", "2130706433", "017700000001",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside_are_public(address: str) -> None:
    assert is_public(address)


class Names:
    """A name server that answers from a script, one entry per question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def get(door: HttpDoor, url: str, method: str = "GET", **headers: str) -> HttpReply:
    try:
        return await door.call(method, url, headers=headers, body=None, seconds=2)
    finally:
        await door.close()


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers each request with the next of the given bytes; b"" breaks off. Yields its port and what it was sent."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[min(len(got), len(answers)) - 1])
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], got


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data", "http://0x7f000001/",
        "http://2130706433/", "http://localhost/", "http://[::ffff:10.0.0.1]/", "http://user:pw@example.org/",
        "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "http:///x", "http://exa mple.org/",
        "http://example.org/\r\nHost: x", "javascript:alert(1)", "",
    ],
)  # fmt: skip
async def test_what_is_not_the_public_web_is_refused(url: str) -> None:
    with pytest.raises((Refused, Unreachable)):
        await get(HttpDoor(), url)


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Refused):
        await get(HttpDoor(resolve_name=Names(["8.8.8.8", "10.0.0.1"])), "http://two.example/")


async def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []

    async def connect(_self: object, host: str, *_: object, **__: object) -> httpcore2.AsyncNetworkStream:
        connected.append(host)
        raise httpcore2.ConnectError("enough")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        await get(HttpDoor(resolve_name=names), "http://rebinding.example/")
    assert (connected, names.asked) == (["93.184.216.34"], 1)


async def test_other_ports_are_refused() -> None:
    with pytest.raises(Refused, match="Port 22"):
        await get(HttpDoor(resolve_name=Names(["8.8.8.8"])), "http://example.org:22/")


async def test_json_text_and_packed_answers_are_read() -> None:
    packed = gzip.compress('{"city": "Львів"}'.encode())
    answers = (
        (answer(b'{"a": [1]}', "Content-Type: application/json"), {"a": [1]}),
        (answer("просто".encode()), "просто"),
        (answer(packed, "Content-Encoding: gzip", "Content-Type: application/json"), {"city": "Львів"}),
        (answer(b"{broken", "Content-Type: application/json", status="500 Oops"), "{broken"),
    )
    for raw, expected in answers:
        async with server(raw) as (port, _):
            door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{port}"}))
            assert (await get(door, f"http://127.0.0.1:{port}/x")).body == expected


async def test_a_redirect_inside_is_refused() -> None:
    async with server(answer(b"", "Location: http://169.254.169.254/", status="302 Found")) as (port, _):
        door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{port}"}))
        with pytest.raises(Refused):
            await get(door, f"http://127.0.0.1:{port}/")


async def test_credentials_do_not_follow_a_redirect_to_another_origin() -> None:
    async with server(answer(b"done")) as (second, got):
        to = answer(b"", f"Location: http://127.0.0.1:{second}/b", status="307 Moved")
        async with server(to) as (first, _):
            door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{first}", f"127.0.0.1:{second}"}))
            assert (await get(door, f"http://127.0.0.1:{first}/", Authorization="Bearer x", Other="y")).body == "done"
    assert b"Bearer" not in got[0]
    assert b"Other: y" in got[0]


async def test_redirects_without_end_are_refused() -> None:
    async with server(answer(b"", "Location: /again", status="302 Found")) as (port, got):
        door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{port}"}))
        with pytest.raises(Refused, match="too often"):
            await get(door, f"http://127.0.0.1:{port}/")
    assert len(got) == 4


async def test_too_large_answers_are_refused_packed_or_not() -> None:
    bomb = gzip.compress(bytes(25_000_000))
    for raw in (answer(bytes(5_000_001)), answer(bomb, "Content-Encoding: gzip")):
        async with server(raw) as (port, _):
            door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{port}"}))
            with pytest.raises(Refused, match="larger than"):
                await get(door, f"http://127.0.0.1:{port}/")


async def test_a_broken_answer_may_be_repeated_only_when_it_only_reads() -> None:
    for method, error in (("GET", Unreachable), ("POST", OutcomeUnknown)):
        async with server(b"") as (port, _):
            door = HttpDoor(private_hosts=frozenset({f"127.0.0.1:{port}"}))
            with pytest.raises(error):
                await get(door, f"http://127.0.0.1:{port}/", method)
