"""Telegram bots on a real database and a strict fake: asked for or told, nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.errors import Conflict, CredentialRejected, InputInvalid
from graph_runtime.contract.flow import Flow
from graph_runtime.services.voice_messages import VoiceMessages
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.objects import FileBytes
from graph_runtime.storage.virus_scanner import Clamd
from tests.delivery_world import Place
from tests.engine.small_nodes import flow
from tests.fakes.clamd import HARMFUL, clamd
from tests.fakes.hearing import Hears, recording
from tests.fakes.telegram import PNG, TelegramFake, telegram
from tests.telegram_world import bots, until

Admin = psycopg.Connection[tuple[object, ...]]
CATALOG = load_catalog(("nodes", "connectors"))
UNREACHABLE = "SELECT unreachable_since IS NOT NULL FROM contact_identity"
CHOOSING: Flow = flow(
    {
        "s": ("start", {}),
        "day": ("ask_choice", {"text": "Day?", "options": [{"id": "mon", "label": "Monday"},
                                                           {"id": "tue", "label": "Tuesday"}], "save_to": "day"}),
        "time": ("ask_choice", {"text": "Time?", "options": [{"id": "mon", "label": "Morning"},
                                                             {"id": "tue", "label": "Evening"}], "save_to": "time"}),
        "phone": ("ask", {"text": "Your phone?", "kind": "phone", "save_to": "phone"}),
        "done": ("say", {"text": "{{ var.day }}, {{ var.time }}, {{ var.phone }}"}),
    },
    {"s.next": "day", "day.mon": "time", "day.tue": "time", "time.mon": "phone", "time.tue": "phone",
     "phone.answered": "done"},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_left(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def fake() -> Iterator[TelegramFake]:
    with telegram() as running:
        yield running


@pytest.fixture
def place(postgres: EmbeddedPostgres) -> Place:
    return Place(postgres.admin_url)


def link(admin: Admin) -> tuple[Any, ...]:
    """(mode, cursor, error_code, told) of the only bot."""
    row = admin.execute("SELECT mode, cursor, error_code, told FROM channel_link").fetchone()
    assert row is not None
    return row


async def test_a_bot_without_a_public_address_asks_and_answers(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    waiting = bot.write("before the connection")
    async with bots(postgres.app_url) as side:
        row = await side.connect(place, bot)
        assert (row.label, row.settings["username"]) == ("Clinic", bot.username)
        assert bot.token not in str(row)
        await until(lambda: len(bot.texts()) == 2)
        bot.write("hello")
        bot.write("other person", user=2002)
        await until(lambda: len(bot.texts()) == 6)
    assert bot.texts(1001) == ["1 before the connection", "2 before the connection", "1 hello", "2 hello"]
    assert bot.texts(2002) == ["1 other person", "2 other person"]
    assert link(admin) == ("polling", str(waiting + 3), "", "polling")
    assert [c.fields["action"] for c in bot.calls("sendChatAction")] == ["typing"] * 3
    assert not bot.calls("setWebhook")


async def test_a_public_address_is_told_and_posted_to(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url, public_url="https://bots.example.com") as side:
        row = await side.connect(place, bot)
        await until(lambda: bot.webhook)
        assert bot.webhook["url"] == f"https://bots.example.com{row.path}"
        assert bot.webhook["max_connections"] == 1
        body = json.dumps({"update_id": 9, "message": {"message_id": 1, "date": 1, "text": "Hi", "from": {"id": 5},
                                                       "chat": {"id": 5, "type": "private"}}}).encode()  # fmt: skip
        headers = {"x-telegram-bot-api-secret-token": bot.webhook["secret_token"]}
        public_id = row.path.rpartition("/")[2]
        hooked = [await side.hooks.receive("telegram", public_id, body, headers) for _ in range(2)]
        assert [h[0].is_new for h in hooked] == [True, False]
        await until(lambda: bot.texts(5) == ["1 Hi", "2 Hi"])
        mode, _, code, told = link(admin)
        assert (mode, code) == ("webhook", "")
        assert told.endswith("https://bots.example.com")
        assert (await side.setup.links(place.who, place.agent_id))[row.id].last_event_at is not None
        await side.setup.delete(place.who, row.id)
        assert bot.webhook == {}
    assert admin.execute("SELECT count(*) FROM channel_link").fetchone() == (0,)


async def test_one_process_asks_at_a_time_and_another_takes_over(
    postgres: EmbeddedPostgres, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as first:
        await first.connect(place, bot)
        await until(lambda: bot.calls("getUpdates"))
        async with bots(postgres.app_url):
            bot.write("one")
            await until(lambda: len(bot.texts()) == 2)
            await first.stop_sending()
            first.start_sending = lambda: None  # type: ignore[method-assign]
            bot.write("two")
            await until(lambda: len(bot.texts()) == 4)
    assert bot.texts() == ["1 one", "2 one", "1 two", "2 two"]


async def test_updates_that_come_twice_and_in_disorder_are_answered_once_in_order(
    postgres: EmbeddedPostgres, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    bot.shuffled = True
    for n in range(3):
        bot.write(f"m{n}")
    said = dict(bot.updates)
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        await until(lambda: len(bot.texts()) == 6)
        for number, update in said.items():
            bot.again(number, update)
        bot.write("last")
        await until(lambda: "2 last" in bot.texts())
    assert [t for t in bot.texts() if t[0] == "1"] == [f"1 m{n}" for n in range(3)] + ["1 last"]


async def test_buttons_are_signed_and_an_old_one_is_read_as_words(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake
) -> None:
    place = Place(postgres.admin_url, CHOOSING)
    bot = fake.bot()
    async with bots(postgres.app_url, catalog=CATALOG) as side:
        await side.connect(place, bot)
        bot.write("/start")
        await until(lambda: bot.texts() == ["Day?"])
        payload = bot.sent()[0].fields["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        assert len(payload) <= 64
        bot.press("Tuesday")
        await until(lambda: bot.texts()[1:] == ["Time?"])
        # The same ids as in the question that waits now: without its signature the answer would be taken for "Evening".
        bot.press("Tuesday")
        await until(lambda: len(bot.texts()) == 3)
        # Somebody else presses it, and somebody made one up.
        stolen = {"id": "q1", "from": {"id": 666}, "data": payload,
                  "message": {"message_id": 1, "chat": {"id": 666, "type": "private"}}}  # fmt: skip
        bot.tell({"callback_query": stolen})
        bot.tell({"callback_query": {**stolen, "data": payload[:-1] + ("A" if payload[-1] != "A" else "B")}})
        bot.press("Evening")
        await until(lambda: "Your phone?" in bot.texts())
        share = bot.sent()[-1].fields["reply_markup"]["keyboard"][0][0]
        assert share == {"text": "Share my phone number", "request_contact": True}
        bot.write(contact={"phone_number": "380441234567", "user_id": 1001})
        await until(lambda: bot.texts()[-1].startswith("Tuesday"))
        await until(lambda: len(bot.calls("answerCallbackQuery")) == 5)
    assert bot.texts()[-1] == "Tuesday, Evening, +380441234567"
    assert bot.texts(666) == []
    fields = admin.execute("SELECT fields ->> 'phone' FROM contact").fetchone()
    assert fields == ("+380441234567",)


async def test_answers_in_place_of_the_keyboard_and_the_menu_of_commands(
    postgres: EmbeddedPostgres, fake: TelegramFake
) -> None:
    place = Place(postgres.admin_url, CHOOSING)
    bot = fake.bot()
    async with bots(postgres.app_url, catalog=CATALOG) as side:
        row = await side.connect(place, bot, buttons="keyboard", commands="/start – Begin anew\n prices What it costs ")
        bot.write("/start")
        await until(lambda: bot.texts() == ["Day?"])
        assert bot.sent()[0].fields["reply_markup"] == {
            "keyboard": [[{"text": "Monday"}, {"text": "Tuesday"}]], "resize_keyboard": True, "one_time_keyboard": True,
        }  # fmt: skip
        bot.write("Tuesday")
        await until(lambda: bot.texts()[1:] == ["Time?"])
        bot.write("Evening")
        await until(lambda: "Your phone?" in bot.texts())
        bot.write("+380441234567")  # written by hand, so the button that shares it is still there
        await until(lambda: bot.texts()[-1].startswith("Tuesday, Evening"))
        assert bot.sent()[-1].fields["reply_markup"] == {"remove_keyboard": True}
        bot.write(f"@{bot.username} hi", user=7, chat={"id": -50, "type": "group", "title": "G"})
        await until(lambda: len(bot.sent(-50)) == 1)
        assert "inline_keyboard" in bot.sent(-50)[0].fields["reply_markup"]
        menu = [
            {"command": "start", "description": "Begin anew"},
            {"command": "prices", "description": "What it costs"},
        ]
        assert [c.fields["commands"] for c in bot.calls("setMyCommands")] == [menu]
        await side.setup.update(place.who, row.id, settings={"commands": "help Who we are"})
        bot.write("hello")  # the question that is open ends, so the change is seen now
        await until(lambda: len(bot.calls("setMyCommands")) == 2)
        assert bot.calls("setMyCommands")[1].fields["commands"] == [{"command": "help", "description": "Who we are"}]
        for wrong in ("Prices dear", "prices", "so-so why", "\n".join(f"c{n} x" for n in range(60))):
            with pytest.raises(InputInvalid):
                await side.setup.update(place.who, row.id, settings={"commands": wrong})


async def test_a_sticker_is_kept_and_300_mb_are_refused_without_being_asked_for(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        bot.files["sticker"] = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(40)
        bot.write(sticker={"file_id": "sticker", "width": 512, "height": 512, "file_size": 48})
        await until(lambda: admin.execute("SELECT mime FROM file").fetchall() == [("image/webp",)])
        bot.write(video={"file_id": "huge", "mime_type": "video/mp4", "file_size": 300_000_000}, caption="look")
        await until(lambda: "2 look" in bot.texts())
        await until(lambda: ("failed",) in admin.execute("SELECT state FROM file_fetch").fetchall())
    assert [c.fields["file_id"] for c in bot.calls("getFile")] == ["sticker"]
    told = admin.execute("SELECT error FROM file_fetch WHERE state = 'failed'").fetchone()
    assert told == ("too_large",)


async def test_files_are_fetched_and_an_album_is_one_message(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        bot.fail("server_error", method="getFile")
        for n in range(3):
            bot.send_file(PNG + bytes([n]), media_group_id="album", caption="three" if n == 0 else "")
        await until(lambda: len(bot.texts()) == 2)
        bot.send_file(b"MZ\x90\x00 a program")
        await until(lambda: admin.execute("SELECT count(*) FROM file").fetchone() == (3,))
        await until(lambda: admin.execute("SELECT state FROM file_fetch").fetchall() == [("failed",)])
    assert bot.texts()[:2] == ["1 three", "2 three"]
    rows = admin.execute("SELECT mime, name, size FROM file ORDER BY created_at").fetchall()
    assert {mime for mime, _, _ in rows} == {"image/png"}
    said: list[Any] = admin.execute("SELECT parts, flags FROM message WHERE role = 'contact' ORDER BY seq").fetchall()
    assert [p["kind"] for p in said[0][0]] == ["text", "media"]
    ids = {str(i) for (i,) in admin.execute("SELECT id FROM file").fetchall()}
    assert {p["file_id"] for parts, _ in said[:3] for p in parts if p["kind"] == "media"} == ids
    assert len(said[3][1]["files_failed"]) == 1


async def test_a_voice_message_is_fetched_heard_and_answered(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot, hears = fake.bot(), Hears()
    async with bots(postgres.app_url) as side:
        side.runner.voice_messages = VoiceMessages(side.database, hears, side.live.changed)
        await side.connect(place, bot)
        bot.files["voice"] = recording("audio/ogg", 4.0)
        bot.fail("server_error", method="getFile")
        bot.write(voice={"file_id": "voice", "mime_type": "audio/x-opus+ogg", "duration": 4, "file_size": 9_000})
        await until(lambda: bot.texts() == ["1 I need 4 chairs", "2 I need 4 chairs"], 20)
        bot.fail("bad_request", method="getFile")
        bot.write(voice={"file_id": "gone", "mime_type": "audio/ogg", "duration": 4, "file_size": 9_000})
        await until(lambda: len(bot.texts()) >= 3, 20)
    assert len(hears.asked) == 1
    assert admin.execute("SELECT text FROM message WHERE role = 'contact' AND seq = 1").fetchall() == [
        ("I need 4 chairs",)
    ]


async def test_a_file_that_cannot_be_scanned_is_fetched_again_and_a_harmful_one_is_not(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place, tmp_path: Path
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        side.database.files = FileBytes(side.database, scan=Clamd(f"unix://{tmp_path / 'clamd.ctl'}").scan)
        await side.connect(place, bot)
        bot.send_file(PNG)
        await until(lambda: admin.execute("SELECT attempt FROM file_fetch WHERE error <> ''").fetchall() == [(1,)])
        async with clamd(tmp_path) as daemon:
            await until(lambda: admin.execute("SELECT mime FROM file").fetchall() == [("image/png",)])
            bot.send_file(b"Look at this: " + HARMFUL)
            await until(lambda: admin.execute("SELECT state FROM file_fetch").fetchall() == [("failed",)])
            assert len(daemon.scanned) == 2
    told = admin.execute("SELECT error FROM file_fetch WHERE state = 'failed'").fetchone()
    assert told == ("file_harmful",)
    assert admin.execute("SELECT count(*) FROM file").fetchone() == (1,)


@pytest.mark.parametrize(
    ("kind", "ended"),
    [
        ("rate_limited", ("sent", "", ["1 hi", "2 hi"])),
        ("server_error", ("sent", "", ["1 hi", "2 hi"])),
        ("reset_before_accept", ("sent", "", ["1 hi", "2 hi"])),
        ("reset_after_accept", ("sent", "", ["1 hi", "1 hi", "2 hi"])),
        ("bad_gateway", ("sent", "", ["1 hi", "1 hi", "2 hi"])),
        ("slow", ("sent", "", ["1 hi", "2 hi"])),
        ("bad_markup", ("sent", "", ["1 hi", "2 hi"])),
        ("bad_request", ("failed", "refused", ["2 hi"])),
        ("blocked", ("failed", "contact_unreachable", ["2 hi"])),
        ("unauthorized", ("failed", "credential_rejected", ["2 hi"])),
    ],
)
async def test_what_goes_wrong_while_sending(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, kind: Any, ended: tuple[str, str, list[str]]
) -> None:
    state, reason, texts = ended
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        await side.connect(Place(postgres.admin_url), bot)
        bot.fail(kind, seconds=0.3)
        bot.write("hi")
        await until(lambda: "2 hi" in bot.texts())
        await until(lambda: admin.execute("SELECT FROM outbox WHERE state IN ('pending','sending')").fetchall() == [])
    assert bot.texts() == texts
    first = admin.execute("SELECT state, error_class, possibly_duplicate FROM outbox ORDER BY place").fetchone()
    assert first == (state, reason, kind in ("reset_before_accept", "reset_after_accept", "bad_gateway"))
    gone = admin.execute(UNREACHABLE).fetchone()
    assert gone == (kind == "blocked",)


async def test_who_unblocks_the_bot_is_reachable_again(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    chat = {"id": 1001, "type": "private"}
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        bot.write("hi")
        await until(lambda: len(bot.texts()) == 2)
        for status, is_gone in (("kicked", True), ("member", False)):
            bot.tell({"my_chat_member": {"chat": chat, "new_chat_member": {"status": status}}})
            await until(
                lambda gone=is_gone: admin.execute(UNREACHABLE).fetchone() == (gone,)  # type: ignore[misc]
            )


async def test_a_group_that_moves_takes_its_messages_along(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        bot.fail("migrated", value=-100999)
        bot.write(f"@{bot.username} hi", user=7, chat={"id": -50, "type": "group", "title": "G"})
        await until(lambda: len(bot.texts()) == 2)
    assert [c.fields["chat_id"] for c in bot.sent()] == [-100999, -100999]
    assert admin.execute("SELECT external_user_id FROM contact_identity").fetchone() == ("-100999:7",)


async def test_start_begins_anew_once(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        await side.connect(place, bot)
        bot.write("hi")
        await until(lambda: len(bot.texts()) == 2)
        number = bot.write("/start sale")
        update = bot.updates[number]
        await until(lambda: len(bot.texts()) == 4)
        bot.again(number, update)
        bot.write("more")
        await until(lambda: len(bot.texts()) == 6)
    rows = admin.execute("SELECT status, result FROM conversation ORDER BY id").fetchall()
    assert rows == [("ended", "started_over"), ("open", "")]
    assert bot.texts()[2:] == ["1 /start sale", "2 /start sale", "1 more", "2 more"]
    assert admin.execute("SELECT fields ->> 'start_parameter' FROM contact").fetchone() == ("sale",)


async def test_what_is_wrong_with_a_bot_is_said_and_passes(
    postgres: EmbeddedPostgres, admin: Admin, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        row = await side.connect(place, bot)
        await until(lambda: bot.calls("getUpdates"))
        bot.fail("conflict", method="getUpdates", times=1)
        bot.write("hi")
        await until(lambda: link(admin)[2] == "polled_elsewhere" or len(bot.texts()) == 2)
        await side.setup.retry(place.who, row.id)
        await until(lambda: len(bot.texts()) == 2)
        bot.is_revoked = True
        bot.write("into the void")
        await until(lambda: link(admin)[2] == "credential_rejected")
        assert bot.token not in str(admin.execute("SELECT error FROM channel_link").fetchone())
        bot.is_revoked = False
        await side.setup.retry(place.who, row.id)
        await until(lambda: len(bot.texts()) == 4)
        await until(lambda: link(admin)[2] == "")


async def test_a_bot_is_looked_at_before_it_is_connected(
    postgres: EmbeddedPostgres, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        with pytest.raises(InputInvalid):
            await side.connect(place, bot, bot_token="not a token")
        with pytest.raises(CredentialRejected):
            await side.connect(place, bot, bot_token="123456789:AAthisTokenWasNeverGivenToAnybody00")
        await side.connect(place, bot)
        with pytest.raises(Conflict) as taken:
            await side.connect(Place(postgres.admin_url), bot)
        assert taken.value.params["reason"] == "account_taken"
        assert len(await side.setup.list(place.who, place.agent_id)) == 1


async def test_switched_off_it_leaves_updates_with_the_vendor(
    postgres: EmbeddedPostgres, fake: TelegramFake, place: Place
) -> None:
    bot = fake.bot()
    async with bots(postgres.app_url) as side:
        row = await side.connect(place, bot)
        bot.write("one")
        await until(lambda: len(bot.texts()) == 2)
        await side.setup.set_on(place.who, row.id, False)
        bot.write("two")  # the question that is open now may still be answered; its answer is not stored
        await asyncio.sleep(0.3)
        assert len(bot.texts()) == 2
        await side.setup.set_on(place.who, row.id, True)
        await until(lambda: len(bot.texts()) == 4)
