"""Files of a conversation in the browser: pictures are seen, sound is played, the rest is downloaded or says why not."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from uuid import uuid4

import psycopg
import pytest
from playwright.async_api import Browser, expect
from psycopg.types.json import Jsonb

from graph_runtime.bootstrap import Services
from graph_runtime.contract.messages import Reply
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address
from tests.axe import serious
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, screens  # noqa: F401  (fixtures)
from tests.builder_ui.test_inbox_in_browser import shot, signed_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]


def picture(width: int, height: int) -> bytes:
    """A PNG that a browser can draw."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(
        b"\0" + b"".join(bytes((40 + y // 4, 120, 240 - x // 6)) for x in range(width)) for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def sound(seconds: float) -> bytes:
    """A WAV file of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(round(8000 * seconds) * 2))
    return out.getvalue()


async def test_what_a_contact_sent_is_seen_heard_and_downloaded(  # noqa: PLR0917
    services: Services,
    tab: Tab,
    who: Principal,
    talk: Talk,
    admin: psycopg.Connection[tuple[object, ...]],
    browser: Browser,  # noqa: F811
    address: Address,  # noqa: F811
) -> None:
    async def sends(words: str, *contents: bytes) -> None:
        files = [await services.files.add(who, talk.id, content) for content in contents]
        said = Reply(text=words, attachments=tuple(files))
        received = await services.conversations.receive(who, talk.id, said, dedupe_key=uuid4().hex)
        await services.conversations.wait_for_turn(who, talk.id, received.inbox_id, 10)

    await sends("", picture(900, 600))
    await sends("And how it sounds", sound(1.5), b"%PDF-1.7\n" + bytes(1_234_000))
    for state, error in (("fetching", ""), ("failed", "too_large"), ("failed", "file_harmful"), ("failed", "refused")):
        about = {"media": "document", "mime": "application/pdf", "size": 0}
        admin.execute(
            "INSERT INTO file_fetch (id, workspace_id, channel_id, conversation_id, seq, about, name, state, error)"
            " VALUES (gen_random_uuid(), %s, gen_random_uuid(), %s, 1, %s, %s, %s, %s)",
            (who.workspace_id, talk.id, Jsonb(about), f"{state}-{error}.pdf", state, error),
        )
    admin.execute(
        "UPDATE message SET parts = parts || (SELECT jsonb_agg(jsonb_build_object('kind', 'media', 'media', 'document',"
        " 'file_id', f.id, 'name', f.name)) FROM file_fetch f) || %s WHERE text = 'And how it sounds'",
        (
            Jsonb(
                [
                    {"kind": "media", "media": "image", "file_id": str(uuid4()), "name": "image-of-last-year.png"},
                    {"kind": "media", "media": "image", "url": "https://shop.example/a.png", "name": "Price list"},
                    {"kind": "media", "media": "image", "url": "javascript:alert(1)", "name": "Nowhere"},
                ]
            ),
        ),
    )
    page = await signed_in(browser, address, tab.cookie.rpartition("=")[2])
    await page.goto(f"/conversations?id={talk.id}")
    seen = page.locator(".ps-file-image img")
    await expect(seen).to_be_visible()
    await page.wait_for_function("document.querySelector('.ps-file-image img').naturalWidth === 900")
    frame, drawn = await page.locator(".ps-file-image").bounding_box(), await seen.bounding_box()
    assert frame is not None
    assert drawn is not None
    assert (round(frame["width"]), round(drawn["width"])) == (280, 280), "the frame is as wide as the picture"
    heard = page.locator("audio.ps-file-player")
    await page.wait_for_function("document.querySelector('audio.ps-file-player').duration === 1.5")
    await expect(heard).to_have_count(1)
    async with page.expect_download() as downloading:
        await page.locator('a.ps-file[data-state="here"]').click()
    assert (await (await downloading.value).path()).read_bytes().startswith(b"%PDF-1.7")
    lines = [" ".join(line.split()) for line in await page.locator("div.ps-file small").all_inner_texts()]
    assert sorted(lines) == sorted(
        [
            "Ще завантажується…", "Не прийнято: завеликий", "Не прийнято: антивірус знайшов у ньому щось небезпечне",
            "Не вдалося отримати", "Уже видалено",
        ]
    )  # fmt: skip
    outside = page.locator('a.ps-file[data-state="elsewhere"]')
    assert [await a.get_attribute("href") for a in await outside.all()] == ["https://shop.example/a.png"]
    body = page.locator(".ps-transcript-body")
    assert await body.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight < 40"), "it stays at the end"
    assert not await serious(page)
    await shot(page, "files-light")
    await page.emulate_media(color_scheme="dark")
    await shot(page, "files-dark")
    await page.set_viewport_size({"width": 400, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth <= 400")
    await seen.scroll_into_view_if_needed()
    await shot(page, "files-narrow")
