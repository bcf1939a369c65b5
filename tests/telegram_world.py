"""A process that keeps Telegram bots connected: asks for updates, fetches files, sends, on a real database and socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from connectors.telegram.connector import CONNECTOR as TELEGRAM
from graph_runtime.contract.catalog import Catalog
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.channel_keeper import PLACES as LINK_PLACES
from graph_runtime.services.channel_keeper import ChannelKeeper
from graph_runtime.services.channel_setup import ChannelRow
from graph_runtime.services.conversation_side import Part
from graph_runtime.services.deliveries import SendRules
from graph_runtime.services.file_fetching import PLACES as FILE_PLACES
from graph_runtime.services.file_fetching import FileFetching
from graph_runtime.storage.channel_links import LINKS_CHANNEL, LinkStore
from graph_runtime.storage.database import Database
from graph_runtime.storage.file_fetches import FETCH_CHANNEL, FetchStore
from graph_runtime.worker.sender import Sender
from tests import delivery_world
from tests.delivery_world import Place, SendingProcess
from tests.engine.small_nodes import CATALOG
from tests.fakes.telegram import Bot

CONNECTORS = {**delivery_world.CONNECTORS, "telegram": TELEGRAM}


class BotProcess(SendingProcess):
    """The services of one worker with bots."""

    def __init__(
        self, database: Database, rules: SendRules, public_url: str, catalog: Catalog | None, part: Part | None
    ) -> None:
        super().__init__(database, rules, catalog=catalog or Catalog(CATALOG.nodes, CONNECTORS), part=part)
        number = self.instance.number
        self.keeper = ChannelKeeper(
            LinkStore(database, number), self.open_channels, self.intake, public_url=public_url, doors=ChannelDoors(),
            poll_seconds=5.0,
        )  # fmt: skip
        self.fetching = FileFetching(
            FetchStore(database, number), self.open_channels, database, self.live, ChannelDoors()
        )
        self.bot_senders = (
            Sender(self.keeper, database.listen, LINK_PLACES, seconds=0.2, channel=LINKS_CHANNEL),
            Sender(self.fetching, database.listen, FILE_PLACES, seconds=0.2, channel=FETCH_CHANNEL),
        )
        self._keeping: list[asyncio.Task[None]] = []

    def start_sending(self) -> None:
        super().start_sending()
        self._keeping = [asyncio.create_task(s.run()) for s in self.bot_senders]

    async def stop_sending(self) -> None:
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self.keeper.close()
        for sender in self.bot_senders:
            await sender.close(1.0)
        await self.fetching.close()
        await super().stop_sending()

    async def connect(self, place: Place, bot: Bot, **settings: object) -> ChannelRow:
        """Connect a bot of the fake as a person does."""
        given = {"bot_token": bot.token, "base_url": bot.fake.url, "allow_private_host": True, **settings}
        row, _ = await self.setup.create(place.who, place.agent_id, "telegram", settings=given)
        return row


@asynccontextmanager
async def bots(
    url: str, *, public_url: str = "http://127.0.0.1:8000", catalog: Catalog | None = None, part: Part | None = None
) -> AsyncIterator[BotProcess]:
    """Start the services of one worker and stop them. Retries come within a fifth of a second."""
    database = Database(url)
    await database.open()
    side = BotProcess(database, SendRules(jitter=lambda low, high: min(high, 0.2)), public_url, catalog, part)
    try:
        await side.open()
        side.start_sending()
        yield side
    finally:
        await side.stop_sending()
        await side.intake.close()
        await side.deliveries.close()
        await side.events.close()
        await side.close(1.0)
        await database.close()


async def until(is_so: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110  # it becomes true in another thread or process
            await asyncio.sleep(0.02)
