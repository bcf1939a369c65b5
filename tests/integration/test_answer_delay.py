"""An answer that takes as long as a person would need: kept back while it shows typing, begun anew when the contact goes on."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg

from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.typing_shown import TypingShown
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.approval_world import answer_by
from tests.conversation_world import Process, process, publish
from tests.integration.test_gathering import paced, write
from tests.integration.test_turns import THINKING, Model
from tests.services.test_approvals import take

Admin = psycopg.Connection[tuple[Any, ...]]
SECONDS = 0.4
DELAY = {"is_on": True, "least": SECONDS, "most": SECONDS, "per_character": 0}


async def show(p: Process, access: ChannelAccess, talk: str, seen: list[str]) -> None:
    async with p.conversations.watch(access, talk) as events:
        async for event in events:
            take(seen, event)


async def test_the_answer_takes_its_time_and_begins_again_with_what_is_written_meanwhile(
    postgres: EmbeddedPostgres, admin: Admin
) -> None:
    access, model, seen = publish(postgres.admin_url, paced(THINKING)), Model(), list[str]()
    answer_by(admin, access, delay=DELAY)
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(20):
        shown: list[str] = []

        async def show_typing(_workspace: str, turn: Any) -> None:
            shown.append(turn.payload["reply"]["text"])

        p.runner.gathering.show_typing = show_typing
        talk = await p.begin(access)
        watching = asyncio.create_task(show(p, access, talk, seen))
        await write(p, access, talk, "one")
        await model.was_asked.wait()
        await asyncio.sleep(SECONDS / 2)
        began = time.monotonic()
        await write(p, access, talk, "two")
        await p.settle()
        # The answer to "one" alone was never said, and the whole time passed after "two".
        assert time.monotonic() - began >= SECONDS
        assert model.asked == ["one", "one\ntwo"]
        assert await p.texts(access, talk) == ["?", "> one", "> two", "Answer to one\ntwo", "?"]
        assert shown == ["one", "one\ntwo"]
        assert "typing" in seen
        assert "delta" not in seen  # nobody sees a text being typed before its time
        watching.cancel()


async def test_where_a_program_writes_or_it_was_tried_before_nothing_is_kept_back(
    postgres: EmbeddedPostgres, admin: Admin
) -> None:
    long = {**DELAY, "least": 30, "most": 30, "limit": 30}
    access, model = publish(postgres.admin_url, paced(THINKING), kind="api"), Model()
    on_page = publish(postgres.admin_url, paced(THINKING))
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(10):
        for who in (access, on_page):
            answer_by(admin, who, delay=long)
        talk = await p.begin(access)
        await p.say(access, talk, "one")
        assert (await p.texts(access, talk))[-1] == "?"
        talk = await p.begin(on_page)
        await write(p, on_page, talk, "one")
        await model.was_asked.wait()
        # A process that ends does not make anybody wait; whoever goes on with it sends at once.
        await p.runner.close(0.1)
        assert await p.texts(on_page, talk) == ["?", "> one"]
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(10):
        admin.execute("UPDATE inbox SET attempts = 1 WHERE conversation_id = %s AND state = 'pending'", (talk,))
        await p.run_all(on_page, talk)
        assert (await p.texts(on_page, talk))[-2:] == ["Answer to one", "?"]
    assert model.asked.count("one") == 2  # one for each conversation: the answer of the first try was kept


async def test_a_channel_that_cannot_show_it_is_left_alone() -> None:
    class Turn:
        channel_id = None
        external_user_id = "u"

    await TypingShown(None, None).show("w", Turn())  # type: ignore[arg-type]  # nothing is asked of either
