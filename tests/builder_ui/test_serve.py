"""The prebuilt screens behind their own door: same origin only, headers, a sentence when they are not built."""

from pathlib import Path
from typing import Any

import pytest

from builder_ui.serve import SameOrigin, is_same_origin, screens_app


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "bot.example", "origin": "https://bot.example", "cookie": "a=b"}, True),
        ({"host": "bot.example:8600", "origin": "http://bot.example:8600"}, True),
        ({"host": "bot.example", "origin": "https://evil.example"}, False),
        ({"host": "bot.example", "origin": "https://bot.example.evil.example"}, False),
        ({"host": "bot.example", "origin": "null"}, False),
        ({"host": "", "origin": ""}, False),
        ({"host": "bot.example", "cookie": "patchcord_session=x"}, False),
        ({"host": "bot.example"}, True),
        ({"host": "inside:8600", "origin": "https://public.example"}, True),
    ],
)
def test_only_our_own_pages_may_open_the_socket(
    headers: dict[str, str], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHCORD_PUBLIC_URL", "https://public.example")
    assert is_same_origin([(k.encode(), v.encode()) for k, v in headers.items()]) is allowed


async def _answer(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"} if scope["type"] == "websocket" else
                   {"type": "http.response.start", "status": 200, "headers": []})  # fmt: skip

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await SameOrigin(inner)(scope, receive, send)
    return sent


async def test_a_socket_of_another_site_is_closed_before_reflex_sees_it() -> None:
    foreign = {"type": "websocket", "headers": [(b"host", b"a.example"), (b"origin", b"https://b.example")]}
    assert await _answer(foreign) == [{"type": "websocket.close", "code": 4403}]


async def test_pages_may_not_be_framed_and_built_files_are_kept_for_long() -> None:
    (page,) = await _answer({"type": "http", "path": "/", "headers": []})
    assert (b"x-frame-options", b"DENY") in page["headers"]
    (file,) = await _answer({"type": "http", "path": "/assets/page-1.js", "headers": []})
    assert any(name == b"cache-control" and b"immutable" in value for name, value in file["headers"])


def test_screens_that_are_not_built_say_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="patchcord up"):
        screens_app(tmp_path)
