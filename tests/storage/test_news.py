"""News reaches whoever listens, and costs nothing while nobody does."""

import asyncio
from collections.abc import Awaitable, Callable

from graph_runtime.storage.database import Database
from graph_runtime.storage.instance import Instance
from graph_runtime.storage.news import News


async def test_a_process_that_begins_to_listen_is_told_what_came_just_before(database: Database) -> None:
    teller, listener = Instance(database.dedicated), Instance(database.dedicated)
    news = News(database, teller.number)
    looked = asyncio.Event()

    async def look(others_listen: Callable[[], Awaitable[bool]]) -> None:
        await news.look(others_listen)
        looked.set()

    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        async for _, payload in database.listen("patchcord_live"):
            await heard.put(payload)

    await teller.open(look)
    await listener.open()
    listening = asyncio.create_task(listen())
    try:
        assert await asyncio.wait_for(heard.get(), 5) == ""
        news.tell("w", "unheard", 1)
        await asyncio.wait_for(looked.wait(), 5)
        await news.close()
        assert heard.empty()

        await listener.listens()
        news.tell("w", "c", 2)
        news.tell("w", "c", 3)
        assert await asyncio.wait_for(heard.get(), 5) == f"w c 3 {teller.number}"
        news.tell("w", "d", 4)
        assert await asyncio.wait_for(heard.get(), 5) == f"w d 4 {teller.number}"
    finally:
        listening.cancel()
        await teller.close()
        await listener.close()


async def test_a_process_does_not_take_itself_for_a_listener(database: Database) -> None:
    answers: asyncio.Queue[bool] = asyncio.Queue()

    async def look(others_listen: Callable[[], Awaitable[bool]]) -> None:
        await answers.put(await others_listen())

    alone = Instance(database.dedicated)
    await alone.open(look)
    try:
        await alone.listens()
        assert not await asyncio.wait_for(answers.get(), 5)
    finally:
        await alone.close()
