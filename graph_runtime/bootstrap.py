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
from graph_runtime.services.agent_answering import AgentAnswering
from graph_runtime.services.agents import Agents
from graph_runtime.services.api_keys import ApiKeys
from graph_runtime.services.approvals import Approvals
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.services.bound_models import BoundModels
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.buttons import Buttons
from graph_runtime.services.call_admission import CallAdmission
from graph_runtime.services.call_log import CallLog
from graph_runtime.services.call_recordings import CallRecordings
from graph_runtime.services.call_sounds import CallSounds
from graph_runtime.services.calls_out import CallsOut
from graph_runtime.services.chain_acts import Acts
from graph_runtime.services.chain_calendar import ChainCalendar
from graph_runtime.services.chain_drafts import ChainDrafts
from graph_runtime.services.chain_play import ChainPlay
from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.services.chains import Chains
from graph_runtime.services.channel_doors import ChannelDoors, waiting_doors
from graph_runtime.services.channel_keeper import ChannelKeeper
from graph_runtime.services.channel_setup import ChannelSetup
from graph_runtime.services.channels import Channels
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contact_history import ContactHistory
from graph_runtime.services.contact_imports import ContactImports
from graph_runtime.services.contact_privacy import ContactPrivacy
from graph_runtime.services.contact_segments import ContactSegments
from graph_runtime.services.contacts import Contacts
from graph_runtime.services.conversation_gate import ConversationGate
from graph_runtime.services.conversation_side import ConversationSide, Part
from graph_runtime.services.conversations import Conversations
from graph_runtime.services.credentials import Credentials
from graph_runtime.services.crm_field_check import CrmFieldCheck
from graph_runtime.services.crm_hooks import CrmHooks, CrmReading
from graph_runtime.services.crm_later import CrmLater
from graph_runtime.services.dead_letters import DeadLetters
from graph_runtime.services.deliveries import Deliveries
from graph_runtime.services.drafts import Drafts
from graph_runtime.services.event_log import EventLog
from graph_runtime.services.event_sending import EventSending
from graph_runtime.services.event_subscriptions import EventSubscriptions
from graph_runtime.services.figures import Figures
from graph_runtime.services.file_fetching import FileFetching
from graph_runtime.services.files import Files
from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.services.hooks import Hooks
from graph_runtime.services.idempotency import Idempotency
from graph_runtime.services.intake import Intake
from graph_runtime.services.knowledge_bases import KnowledgeBases
from graph_runtime.services.knowledge_copies import KnowledgeCopies
from graph_runtime.services.knowledge_copying import KnowledgeCopying
from graph_runtime.services.knowledge_documents import KnowledgeDocuments
from graph_runtime.services.knowledge_embedders import KnowledgeEmbedders
from graph_runtime.services.knowledge_exchange import KnowledgeExchange
from graph_runtime.services.knowledge_ingest import KnowledgeIngest
from graph_runtime.services.knowledge_questions import KnowledgeQuestions
from graph_runtime.services.knowledge_relations import KnowledgeRelations
from graph_runtime.services.knowledge_rerankers import KnowledgeRerankers
from graph_runtime.services.knowledge_search import KnowledgeSearch
from graph_runtime.services.knowledge_stores import KnowledgeStores
from graph_runtime.services.live import Live
from graph_runtime.services.oauth import OAuth
from graph_runtime.services.open_channels import OpenChannels
from graph_runtime.services.open_subscriptions import OpenSubscriptions
from graph_runtime.services.passwords import TODAYS_COST, PasswordCost, Passwords
from graph_runtime.services.phone_calls import PhoneCalls
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.phone_setup import PhoneSetup
from graph_runtime.services.phrase_cache import PhraseCache
from graph_runtime.services.phrase_warming import PhraseWarming
from graph_runtime.services.publishing import Publishing
from graph_runtime.services.queues import Queues
from graph_runtime.services.rehearsal import Rehearsal
from graph_runtime.services.remote_options import RemoteOptions
from graph_runtime.services.retention import Retention
from graph_runtime.services.step_trial import StepTrial
from graph_runtime.services.talks import Talks
from graph_runtime.services.trigger_hooks import TriggerHooks
from graph_runtime.services.trigger_log import TriggerLog
from graph_runtime.services.trigger_runner import TriggerRunner
from graph_runtime.services.triggers import Triggers
from graph_runtime.services.turn_world import Outside
from graph_runtime.services.typed_speech import TypedSpeech
from graph_runtime.services.typing_shown import TypingShown
from graph_runtime.services.update_changes import UpdateChanges
from graph_runtime.services.update_checks import UpdateChecks, UpdateReader
from graph_runtime.services.update_rules import UpdateRules
from graph_runtime.services.vault import Vault
from graph_runtime.services.voice_messages import VoiceMessages
from graph_runtime.services.web_pages import WebPages
from graph_runtime.services.workload import Retries, Workload
from graph_runtime.services.workspace_settings import WorkspaceSettings
from graph_runtime.settings import Settings, SettingsRefused
from graph_runtime.storage.channel_links import LinkStore
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing
from graph_runtime.storage.event_outbox import EventStore
from graph_runtime.storage.file_fetches import FetchStore
from graph_runtime.storage.objects import file_bytes


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a route, a page, a worker or a call may ask for."""

    settings: Settings
    catalog: Catalog
    check: FlowCheck
    database: Database
    accounts: Accounts
    agents: Agents
    agent_answering: AgentAnswering
    drafts: Drafts
    publishing: Publishing
    credentials: Credentials
    models: BoundModels
    oauth: OAuth
    connections: BoundConnections
    crm_later: CrmLater
    crm_hooks: CrmHooks
    crm_reading: CrmReading
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
    contact_history: ContactHistory
    contact_imports: ContactImports
    contact_privacy: ContactPrivacy
    contact_segments: ContactSegments
    hand_offs: HandOffs
    approvals: Approvals
    queues: Queues
    channels: Channels
    channel_setup: ChannelSetup
    hooks: Hooks
    intake: Intake
    deliveries: Deliveries
    channel_keeper: ChannelKeeper
    file_fetching: FileFetching
    dead_letters: DeadLetters
    event_subscriptions: EventSubscriptions
    event_log: EventLog
    event_sending: EventSending
    phone_calls: PhoneCalls
    calls_out: CallsOut
    chains: Chains
    chain_calendar: ChainCalendar
    chain_drafts: ChainDrafts
    chain_runner: ChainRunner
    chain_play: ChainPlay
    workload: Workload
    phone_setup: PhoneSetup
    call_recordings: CallRecordings
    call_log: CallLog
    rehearsal: Rehearsal
    talks: Talks
    remote_options: RemoteOptions
    step_trial: StepTrial
    files: Files
    knowledge_bases: KnowledgeBases
    knowledge_documents: KnowledgeDocuments
    knowledge_search: KnowledgeSearch
    knowledge_questions: KnowledgeQuestions
    knowledge_relations: KnowledgeRelations
    knowledge_exchange: KnowledgeExchange
    knowledge_embedders: KnowledgeEmbedders
    knowledge_ingest: KnowledgeIngest
    knowledge_copies: KnowledgeCopies
    knowledge_copying: KnowledgeCopying
    idempotency: Idempotency
    figures: Figures
    retention: Retention
    triggers: Triggers
    trigger_log: TriggerLog
    trigger_hooks: TriggerHooks
    trigger_runner: TriggerRunner
    update_rules: UpdateRules
    update_changes: UpdateChanges
    update_checks: UpdateChecks
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process was told to end: it is not ready any more."""

    def waiting(self) -> int:
        """How many wait for this process's connections to the database."""
        side = self.conversation_side
        return self.database.waiting + side.receiver.waiting + side.store.waiting

    async def close(self) -> None:
        """Let running turns end, then let go of the database."""
        try:
            await self.calls_out.close()
            await self.phone_calls.close()
            await self.channel_keeper.close()
            await self.intake.close()
            await self.conversation_side.close(self.settings.drain_seconds)
            await self.deliveries.close()
            await self.file_fetching.close()
            await self.event_sending.close()
            await self.phrase_warming.close()
            await self.speech.close()
            await self.knowledge_embedders.close()
            await self.connections.close()
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
    holds_calls: bool = False,
) -> Services:
    """Open the database and put the services together. `catalog`, `clock` and `password_cost` are for tests.
    `holds_calls`: what its turns show is watched in other processes.

    Raises: SettingsRefused, DatabaseRefused, VaultLocked when an older secret key is missing
    """
    if settings.database_url is None:
        raise SettingsRefused("No database is known. Set DATABASE_URL, or run ./patchcord up, which brings its own.")
    if catalog is None:
        catalog = load_catalog(settings.plugin_packages)
    check = FlowCheck(catalog)
    database = await _database(settings, settings.database_url.get_secret_value())
    try:
        ring = _key_ring(settings)
        vault = Vault(database, ring)
        if settings.previous_secret_keys:
            await vault.rewrap()
        models = BoundModels(database, catalog, vault)
        part = Part(
            runs_what_it_accepts=is_worker or settings.turns == "here",
            shows=is_worker or holds_calls,
            redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
        )
        door, runner = HttpDoor(), ModelRunner()
        connections = BoundConnections(
            database, catalog, vault, OAuth(database, catalog, vault, settings.oauth_redirect, clock=clock)
        )
        embedders, stores = KnowledgeEmbedders(database, catalog, vault), KnowledgeStores(database, connections)
        knowledge_search = KnowledgeSearch(
            database, embedders, settings.public_url or "", clock, KnowledgeRerankers(connections), stores
        )
        outside = Outside(
            runner=runner,
            models=models.chat_model,
            http=door,
            knowledge=knowledge_search.for_flow,
            connections=connections.of,
            budget=Budget(settings.turn_max_steps, settings.turn_max_seconds, settings.turn_max_tokens),
            is_short=runner.is_short,
        )
        side = ConversationSide(database, catalog, outside, part)
        await side.open()
    except BaseException:
        await database.close()
        raise
    drafts, update_reader = Drafts(database, catalog, check), UpdateReader(models, runner)
    open_channels, files = OpenChannels(database, catalog, vault), Files(database, side.conversations)
    lines, recordings = PhoneLines(open_channels, catalog), CallRecordings(database, vault, clock)
    doors, pages, buttons = ChannelDoors(), WebPages(door), Buttons(settings.secret_key.get_secret_value())
    channel_setup = ChannelSetup(database, catalog, vault, clock, doors)
    intake = Intake(
        database, side.receiver, side.outbox, side.starts, side.live, buttons=buttons, doors=doors,
        triggers=side.message_triggers,
    )  # fmt: skip
    side.runner.gathering.show_typing = TypingShown(open_channels, doors).show
    speech, phrases = BoundSpeech(database, catalog, vault), PhraseCache(settings.data_dir / "phrases")
    side.runner.voice_messages = VoiceMessages(database, speech, side.live.changed)
    admission, remote_options = CallAdmission(database, speech), RemoteOptions(database, connections)
    calls_out = CallsOut(database, lines, admission)
    acts = Acts(calls_out, side.store, side.runner)
    retries = Retries(
        DeadLetters(database, side.runner.start, clock),
        EventLog(database, clock),
        KnowledgeDocuments(database, pages, clock),
        Chains(database, clock),
        KnowledgeCopies(database, catalog, stores, clock),
    )
    warming = PhraseWarming(database, catalog, speech, phrases, lines)
    services = Services(
        settings=settings,
        catalog=catalog,
        check=check,
        database=database,
        accounts=Accounts(database, Passwords(password_cost), clock),
        agents=Agents(database, catalog, check, clock),
        agent_answering=AgentAnswering(database, clock),
        drafts=drafts,
        credentials=Credentials(database, catalog, vault, clock, connections),
        models=models,
        oauth=connections.oauth,
        connections=connections,
        crm_later=CrmLater(database, connections),
        crm_hooks=CrmHooks(database, catalog, connections, settings.public_url, clock),
        crm_reading=CrmReading(database, connections),
        publishing=Publishing(database, catalog, check, drafts, warming, CrmFieldCheck(catalog, remote_options)),
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
        contact_history=ContactHistory(database),
        contact_imports=ContactImports(database, clock),
        contact_privacy=ContactPrivacy(database, clock),
        contact_segments=ContactSegments(database),
        hand_offs=HandOffs(side, clock),
        approvals=Approvals(side, clock),
        queues=Queues(database, clock),
        channels=Channels(database),
        channel_setup=channel_setup,
        hooks=Hooks(open_channels, intake),
        intake=intake,
        deliveries=Deliveries(side.outbox, open_channels, side.live, side.store.news, doors=doors, buttons=buttons),
        channel_keeper=ChannelKeeper(
            LinkStore(database, side.instance.number),
            open_channels,
            intake,
            public_url=settings.public_url,
            doors=waiting_doors(),
        ),
        file_fetching=FileFetching(
            FetchStore(database, side.instance.number), open_channels, database, side.live, ChannelDoors()
        ),
        dead_letters=retries.letters,
        event_subscriptions=EventSubscriptions(database, vault, clock),
        event_log=retries.events,
        event_sending=EventSending(EventStore(database, side.instance.number), OpenSubscriptions(database, vault)),
        calls_out=calls_out,
        chains=retries.chains,
        chain_calendar=ChainCalendar(database),
        chain_drafts=ChainDrafts(database, clock, phone_lines=catalog.phone_lines(), crms=catalog.customer_systems()),
        chain_runner=ChainRunner(database, acts),
        chain_play=ChainPlay(database, acts),
        workload=Workload(
            database,
            retries,
            phone_lines=catalog.phone_lines(),
            wakes="redis" if settings.redis_url else "postgresql",
            clock=clock,
        ),
        phone_calls=PhoneCalls(
            side,
            lines,
            CallSounds(files, door, settings.public_url),
            recordings,
            doors,
            admission=admission,
            clock=clock,
        ),
        call_recordings=recordings,
        call_log=CallLog(database, lines),
        rehearsal=Rehearsal(side),
        talks=Talks(side, speech, TypedSpeech(speech)),
        remote_options=remote_options,
        step_trial=StepTrial(drafts, catalog, connections, door),
        phone_setup=PhoneSetup(database, channel_setup, lines, settings),
        files=files,
        knowledge_bases=KnowledgeBases(database, catalog, clock),
        knowledge_documents=retries.documents,
        knowledge_search=knowledge_search,
        knowledge_relations=KnowledgeRelations(database),
        knowledge_exchange=KnowledgeExchange(database, clock),
        knowledge_questions=KnowledgeQuestions(database, ConversationGate(side.reader), clock),
        knowledge_embedders=embedders,
        knowledge_ingest=KnowledgeIngest(database, embedders, pages, side.instance.number),
        knowledge_copies=retries.copies,
        knowledge_copying=KnowledgeCopying(database, stores),
        idempotency=Idempotency(database, side.instance.number),
        figures=Figures(database, ring.newest),
        retention=Retention(database),
        triggers=Triggers(database, vault, clock, crms=catalog.customer_systems()),
        trigger_log=TriggerLog(database, side.trigger_acts, clock),
        trigger_hooks=TriggerHooks(database, vault),
        trigger_runner=TriggerRunner(database, side.trigger_acts, side.starts, side.live),
        update_rules=UpdateRules(database, update_reader, clock),
        update_changes=UpdateChanges(database, clock),
        update_checks=UpdateChecks(database, update_reader),
    )
    _current[:] = [services]
    return services


async def _database(settings: Settings, url: str) -> Database:
    database = Database(url)
    database.files = file_bytes(database, settings)
    await database.open()
    return database


def _key_ring(settings: Settings) -> KeyRing:
    secrets = [settings.secret_key, *settings.previous_secret_keys]
    if not all(secret.get_secret_value() for secret in secrets):
        raise SettingsRefused("PATCHCORD_SECRET_KEY is empty. Set at least 32 random characters.")
    return KeyRing([secret.get_secret_value() for secret in secrets])
