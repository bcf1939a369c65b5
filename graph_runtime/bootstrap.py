"""The composition root: settings become a catalog, a database and the services of one process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.engine.http import HttpDoor
from graph_runtime.engine.models import ModelRunner
from graph_runtime.engine.turn import Budget
from graph_runtime.engine.validate import FlowCheck
from graph_runtime.services.accounts import Accounts
from graph_runtime.services.agents import Agents
from graph_runtime.services.api_keys import ApiKeys
from graph_runtime.services.bound_models import BoundModels
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.call_log import CallLog
from graph_runtime.services.call_recordings import CallRecordings
from graph_runtime.services.call_sounds import CallSounds
from graph_runtime.services.calls_out import CallsOut
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.channel_setup import ChannelSetup
from graph_runtime.services.channels import Channels
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contacts import Contacts
from graph_runtime.services.conversation_side import ConversationSide, Part
from graph_runtime.services.conversations import Conversations
from graph_runtime.services.credentials import Credentials
from graph_runtime.services.dead_letters import DeadLetters
from graph_runtime.services.deliveries import Deliveries
from graph_runtime.services.drafts import Drafts
from graph_runtime.services.event_log import EventLog
from graph_runtime.services.event_sending import EventSending
from graph_runtime.services.event_subscriptions import EventSubscriptions
from graph_runtime.services.figures import Figures
from graph_runtime.services.files import Files
from graph_runtime.services.hooks import Hooks
from graph_runtime.services.idempotency import Idempotency
from graph_runtime.services.live import Live
from graph_runtime.services.open_channels import OpenChannels
from graph_runtime.services.open_subscriptions import OpenSubscriptions
from graph_runtime.services.passwords import TODAYS_COST, PasswordCost, Passwords
from graph_runtime.services.phone_calls import PhoneCalls
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.phone_setup import PhoneSetup
from graph_runtime.services.phrase_cache import PhraseCache
from graph_runtime.services.phrase_warming import PhraseWarming
from graph_runtime.services.publishing import Publishing
from graph_runtime.services.rehearsal import Rehearsal
from graph_runtime.services.retention import Retention
from graph_runtime.services.turn_runner import Outside
from graph_runtime.services.vault import Vault
from graph_runtime.services.workspace_settings import WorkspaceSettings
from graph_runtime.settings import Settings, SettingsRefused
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing
from graph_runtime.storage.event_outbox import EventStore


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a route, a page, a worker or a call may ask for."""

    settings: Settings
    catalog: Catalog
    check: FlowCheck
    database: Database
    accounts: Accounts
    agents: Agents
    drafts: Drafts
    publishing: Publishing
    credentials: Credentials
    models: BoundModels
    speech: BoundSpeech
    phrases: PhraseCache
    phrase_warming: PhraseWarming
    vault: Vault
    api_keys: ApiKeys
    workspace_settings: WorkspaceSettings
    conversation_side: ConversationSide
    conversations: Conversations
    live: Live
    contacts: Contacts
    channels: Channels
    channel_setup: ChannelSetup
    hooks: Hooks
    deliveries: Deliveries
    dead_letters: DeadLetters
    event_subscriptions: EventSubscriptions
    event_log: EventLog
    event_sending: EventSending
    phone_calls: PhoneCalls
    calls_out: CallsOut
    phone_setup: PhoneSetup
    call_recordings: CallRecordings
    call_log: CallLog
    rehearsal: Rehearsal
    files: Files
    idempotency: Idempotency
    figures: Figures
    retention: Retention
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process was told to end: it is not ready any more."""

    async def close(self) -> None:
        """Let running turns end, then let go of the database."""
        try:
            await self.calls_out.close()
            await self.phone_calls.close()
            await self.conversation_side.close(self.settings.drain_seconds)
            await self.deliveries.close()
            await self.event_sending.close()
            await self.phrase_warming.close()
            await self.speech.close()
        finally:
            await self.database.close()
            if _current == [self]:
                _current.clear()


_current: list[Services] = []


def current() -> Services:
    """The services of this process, for screens that are loaded by name.

    Raises: RuntimeError before `build`
    """
    if not _current:
        raise RuntimeError("the services are not built yet; call bootstrap.build first")
    return _current[0]


async def build(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    clock: Clock = system_clock,
    password_cost: PasswordCost = TODAYS_COST,
    is_worker: bool = False,
) -> Services:
    """Open the database and put the services together. `catalog`, `clock` and `password_cost` are for tests.

    Raises: SettingsRefused, DatabaseRefused, VaultLocked when an older secret key is missing
    """
    if settings.database_url is None:
        raise SettingsRefused("No database is known. Set DATABASE_URL, or run ./patchcord up, which brings its own.")
    if catalog is None:
        catalog = load_catalog(settings.plugin_packages)
    check = FlowCheck(catalog)
    database = Database(settings.database_url.get_secret_value())
    await database.open()
    try:
        ring = _key_ring(settings)
        vault = Vault(database, ring)
        if settings.previous_secret_keys:
            await vault.rewrap()
        models = BoundModels(database, catalog, vault)
        budget = Budget(
            steps=settings.turn_max_steps, seconds=settings.turn_max_seconds, tokens=settings.turn_max_tokens
        )
        part = Part(
            runs_what_it_accepts=is_worker or settings.turns == "here",
            shows=is_worker,
            redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
        )
        door = HttpDoor()
        outside = Outside(runner=ModelRunner(), models=models.chat_model, http=door, budget=budget)
        side = ConversationSide(database, catalog, outside, part)
        await side.open()
    except BaseException:
        await database.close()
        raise
    drafts = Drafts(database, catalog, check)
    open_channels = OpenChannels(database, catalog, vault)
    files = Files(database, side.conversations)
    lines = PhoneLines(open_channels, catalog)
    recordings = CallRecordings(database, vault, clock)
    channel_setup = ChannelSetup(database, catalog, vault, clock)
    speech, phrases = BoundSpeech(database, catalog, vault), PhraseCache(settings.data_dir / "phrases")
    warming = PhraseWarming(database, catalog, speech, phrases, lines)
    services = Services(
        settings=settings,
        catalog=catalog,
        check=check,
        database=database,
        accounts=Accounts(database, Passwords(password_cost), clock),
        agents=Agents(database, catalog, check, clock),
        drafts=drafts,
        publishing=Publishing(database, catalog, check, drafts, warming),
        credentials=Credentials(database, catalog, vault, clock),
        models=models,
        speech=speech,
        phrases=phrases,
        phrase_warming=warming,
        vault=vault,
        api_keys=ApiKeys(database, clock),
        workspace_settings=WorkspaceSettings(database, clock),
        conversation_side=side,
        conversations=side.conversations,
        live=side.live,
        contacts=side.contacts,
        channels=Channels(database),
        channel_setup=channel_setup,
        hooks=Hooks(open_channels, side.receiver, side.outbox, side.starts, side.live),
        deliveries=Deliveries(side.outbox, open_channels, side.live, side.store.news, doors=ChannelDoors()),
        dead_letters=DeadLetters(database, side.runner.start, clock),
        event_subscriptions=EventSubscriptions(database, vault, clock),
        event_log=EventLog(database, clock),
        event_sending=EventSending(EventStore(database, side.instance.number), OpenSubscriptions(database, vault)),
        calls_out=CallsOut(database, lines),
        phone_calls=PhoneCalls(side, lines, files, CallSounds(files, door, settings.public_url), recordings, clock),
        call_recordings=recordings,
        call_log=CallLog(database, lines),
        rehearsal=Rehearsal(side),
        phone_setup=PhoneSetup(database, channel_setup, lines, settings),
        files=files,
        idempotency=Idempotency(database, side.instance.number),
        figures=Figures(database, ring.newest),
        retention=Retention(database),
    )
    _current[:] = [services]
    return services


def _key_ring(settings: Settings) -> KeyRing:
    secrets = [settings.secret_key, *settings.previous_secret_keys]
    if not all(secret.get_secret_value() for secret in secrets):
        raise SettingsRefused("PATCHCORD_SECRET_KEY is empty. Set at least 32 random characters.")
    return KeyRing([secret.get_secret_value() for secret in secrets])
