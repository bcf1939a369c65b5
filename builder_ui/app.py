"""The Reflex application: every page, and what stands around all of them."""

from __future__ import annotations

import importlib
from pathlib import Path

import reflex as rx
import structlog
from reflex_base.vars.function import ArgsFunctionOperation
from reflex_components_core.base.error_boundary import ErrorBoundary
from reflex_components_core.core.banner import connection_errors_count

from builder_ui.browser import ICON, BrokenPage, ConnectionBanner
from builder_ui.pages.agent import agent_page
from builder_ui.pages.agent_answering_state import AgentManner
from builder_ui.pages.agent_phone_state import PhoneLines
from builder_ui.pages.agent_rules_state import AgentRules
from builder_ui.pages.agent_speech_state import AgentSpeech
from builder_ui.pages.agent_state import AgentPage
from builder_ui.pages.agent_telegram_state import TelegramBots
from builder_ui.pages.agent_triggers_state import AgentTriggers
from builder_ui.pages.agent_webhooks_state import Webhooks
from builder_ui.pages.agents import agents_page
from builder_ui.pages.agents_state import Agents
from builder_ui.pages.api_keys import api_keys_page
from builder_ui.pages.api_keys_state import ApiKeys
from builder_ui.pages.calls import calls_page
from builder_ui.pages.calls_state import Calls
from builder_ui.pages.chain_page import chain_page
from builder_ui.pages.chain_people_state import ChainPeople
from builder_ui.pages.chain_play_state import ChainPlayer
from builder_ui.pages.chain_state import ChainPage, FollowUps
from builder_ui.pages.chains import chains_page
from builder_ui.pages.connections import connections_page
from builder_ui.pages.connections_state import Connections
from builder_ui.pages.contact_page import contact_page
from builder_ui.pages.contact_page_state import ContactPage
from builder_ui.pages.contact_rules_state import ContactRules
from builder_ui.pages.contacts import contacts_page
from builder_ui.pages.contacts_state import ContactList
from builder_ui.pages.conversations import conversations_page
from builder_ui.pages.conversations_state import Talks
from builder_ui.pages.entrance import Entrance, login_page, missing_page, setup_page
from builder_ui.pages.event_page import event_page
from builder_ui.pages.event_page_state import EventPage
from builder_ui.pages.events import events_page
from builder_ui.pages.events_state import Events
from builder_ui.pages.inbox import inbox_page
from builder_ui.pages.inbox_setup import inbox_setup_page
from builder_ui.pages.inbox_setup_state import InboxSetup
from builder_ui.pages.inbox_state import Inbox
from builder_ui.pages.knowledge import knowledge_page
from builder_ui.pages.knowledge_base import knowledge_base_page
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_beside_state import KnowledgeBeside
from builder_ui.pages.knowledge_exchange_state import KnowledgeTravel
from builder_ui.pages.knowledge_questions_state import KnowledgeQuestions
from builder_ui.pages.knowledge_state import Knowledge
from builder_ui.pages.letters import letters_page
from builder_ui.pages.letters_state import Letters
from builder_ui.pages.models import models_page
from builder_ui.pages.models_state import Models
from builder_ui.pages.settings import settings_page
from builder_ui.pages.settings_hours_state import WorkSettings
from builder_ui.pages.settings_state import SettingsPage
from builder_ui.pages.trigger_page import trigger_page
from builder_ui.pages.trigger_page_state import TriggerPage
from builder_ui.pages.work import work_page
from builder_ui.pages.work_state import Work
from builder_ui.session import remove_setters

WHEN_BROKEN = ArgsFunctionOperation.create(("problem",), rx.Var.create(BrokenPage.create()))

log = structlog.get_logger(__name__)


def log_failure(exception: Exception) -> None:
    """Handlers tell people what went wrong themselves (session.py); what arrives here is for the log."""
    log.error("event failed", exc_info=exception)


app = rx.App(
    app_wraps={
        (55, "ErrorBoundary"): lambda is_stateful: ErrorBoundary.create(fallback_render=WHEN_BROKEN),
        (5, "Overlay"): lambda is_stateful: rx.fragment(ConnectionBanner.create(errors=connection_errors_count)),
    },
    toaster=rx.toast.provider(position="bottom-right", expand=False, rich_colors=False, close_button=True),
    frontend_exception_handler=log_failure,
    backend_exception_handler=log_failure,
    head_components=[
        rx.el.meta(name="theme-color", content="#5b5bd6"),
        rx.el.meta(name="robots", content="noindex"),
        rx.el.link(rel="icon", href=ICON, type="image/svg+xml"),
    ],
)

app.add_page(agents_page, route="/", title="Patchcord", on_load=Agents.load)
app.add_page(
    agent_page,
    route="/agents/[agent_id]",
    title="Patchcord",
    on_load=[
        AgentPage.load,
        TelegramBots.load,
        Webhooks.load,
        PhoneLines.load,
        AgentSpeech.load,
        AgentTriggers.load,
        AgentManner.load,
        AgentRules.load,
    ],
)
app.add_page(trigger_page, route="/triggers/[trigger_id]", title="Patchcord", on_load=TriggerPage.load)
app.add_page(conversations_page, route="/conversations", title="Patchcord", on_load=Talks.load)
app.add_page(chains_page, route="/follow-ups", title="Patchcord", on_load=FollowUps.load)
app.add_page(
    chain_page,
    route="/follow-ups/[chain_id]",
    title="Patchcord",
    on_load=[ChainPage.load, ChainPeople.load, ChainPlayer.load],
)
app.add_page(contacts_page, route="/contacts", title="Patchcord", on_load=ContactList.load)
app.add_page(
    contact_page, route="/contacts/[contact_id]", title="Patchcord", on_load=[ContactPage.load, ContactRules.load]
)
app.add_page(inbox_page, route="/inbox", title="Patchcord", on_load=Inbox.load)
app.add_page(inbox_setup_page, route="/inbox/queues", title="Patchcord", on_load=InboxSetup.load)
app.add_page(calls_page, route="/calls", title="Patchcord", on_load=Calls.load)
app.add_page(letters_page, route="/undelivered", title="Patchcord", on_load=Letters.load)
app.add_page(work_page, route="/work", title="Patchcord", on_load=Work.load)
app.add_page(events_page, route="/events", title="Patchcord", on_load=Events.load)
app.add_page(event_page, route="/events/[subscription_id]", title="Patchcord", on_load=EventPage.load)
app.add_page(knowledge_page, route="/knowledge", title="Patchcord", on_load=Knowledge.load)
app.add_page(
    knowledge_base_page,
    route="/knowledge/[base_id]",
    title="Patchcord",
    on_load=[KnowledgeBase.load, KnowledgeBeside.load, KnowledgeTravel.load, KnowledgeQuestions.load],
)
app.add_page(models_page, route="/models", title="Patchcord", on_load=Models.load)
app.add_page(connections_page, route="/connections", title="Patchcord", on_load=Connections.load)
app.add_page(api_keys_page, route="/api-keys", title="Patchcord", on_load=ApiKeys.load)
app.add_page(settings_page, route="/settings", title="Patchcord", on_load=[SettingsPage.load, WorkSettings.load])
app.add_page(login_page, route="/login", title="Patchcord", on_load=Entrance.at_sign_in)
app.add_page(setup_page, route="/setup", title="Patchcord", on_load=Entrance.at_setup)
app.add_page(missing_page, route="/404", title="Patchcord")
if (Path(__file__).parent / "editor" / "page.py").exists():
    editor = importlib.import_module("builder_ui.editor.page")
    app.add_page(editor.flow_page, route=editor.ROUTE, title="Patchcord", on_load=getattr(editor, "ON_LOAD", None))

remove_setters()
