"""Who is acting: every handler asks, nobody signed in gets nowhere, and errors become sentences."""

import inspect
from typing import Any

import pytest
from reflex_base.registry import RegistrationContext

from builder_ui.app import app
from builder_ui.pages.agent_state import AgentPage
from builder_ui.pages.agents_state import Agents
from builder_ui.pages.entrance import Entrance
from builder_ui.session import HANDLER_MARK, Session, session_token
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab, redirected_to

OPEN_TO_ALL = {"Entrance.at_sign_in", "Entrance.at_setup", "Talks.leave", "Calls.leave", "Inbox.leave"}


def our_handlers() -> dict[str, Any]:
    """Every handler of the screens that the socket can reach, by name."""
    assert app is not None
    registered = RegistrationContext.ensure_context().event_handlers
    return {
        entry.handler.fn.__qualname__: entry.handler
        for entry in registered.values()
        if entry.handler.state is not None and entry.handler.fn.__module__.startswith("builder_ui")
    }


def test_every_handler_asks_who_is_acting() -> None:
    handlers = our_handlers()
    assert len(handlers) > 40
    assert {name for name, h in handlers.items() if not getattr(h.fn, HANDLER_MARK, False)} == set()


def test_only_the_gate_and_leaving_are_open_to_all() -> None:
    asks = {
        n
        for n, h in our_handlers().items()
        if "_in_turn" in h.fn.__code__.co_qualname or "_in_background" in h.fn.__code__.co_qualname
    }
    assert set(our_handlers()) - asks == OPEN_TO_ALL


def test_no_handler_sets_any_variable_from_the_browser() -> None:
    names = RegistrationContext.ensure_context().event_handlers
    assert not [name for name in names if name.endswith(".setvar")]


def test_the_principal_is_never_an_argument() -> None:
    for name, handler in our_handlers().items():
        assert "who" not in inspect.signature(handler.fn).parameters, name


async def test_a_stranger_gets_nowhere(services: Services, tab: Tab) -> None:
    stranger = Tab("made-up-token", "/conversations")
    for name, handler in our_handlers().items():
        if name in OPEN_TO_ALL or handler.is_background:
            continue
        arguments = [None] * (len(inspect.signature(handler.fn).parameters) - 1)
        events = await stranger.call(handler.state, handler.fn.__name__, *arguments)
        assert redirected_to(events) == "/login?next=/conversations", name
    assert stranger.state(Agents).agents == []


async def test_the_first_person_is_led_to_the_first_run(services: Services) -> None:
    nobody = Tab()
    assert redirected_to(await nobody.call(Agents, "load")) == "/setup"
    assert redirected_to(await nobody.call(Entrance, "at_sign_in")) == "/setup"
    assert await nobody.call(Entrance, "at_setup") == []


async def test_a_signed_in_member_needs_no_gate(tab: Tab) -> None:
    assert redirected_to(await tab.call(Entrance, "at_sign_in")) == "/"
    assert redirected_to(await tab.call(Entrance, "at_setup")) == "/"
    assert redirected_to(await Tab().call(Entrance, "at_setup")) == "/login"


async def test_an_ended_session_leads_back_to_where_one_was(services: Services, tab: Tab, who: Principal) -> None:
    await tab.call(Agents, "load")
    assert tab.state(Session).me.workspace == "Koval Dental"
    await services.accounts.sign_out(who)
    tab.go("/conversations?id=5")
    assert redirected_to(await tab.call(Agents, "load")) == "/login?next=/conversations%3Fid%3D5&expired=1"
    assert tab.state(Session).me.name == ""


async def test_a_late_event_of_a_page_that_was_left_does_not_lose_the_way_back(tab: Tab) -> None:
    stranger = Tab("gone", "/conversations/?next=/conversations/%3Fid%3D5")
    assert redirected_to(await stranger.call(Agents, "load")) == "/login?next=/conversations/%3Fid%3D5"


async def test_what_goes_wrong_is_said_in_words_that_have_a_translation(tab: Tab) -> None:
    await tab.call(Agents, "switch", "00000000-0000-0000-0000-000000000000", True)
    assert tab.notice == ("error", "error.not_found")


async def test_a_surprise_is_logged_and_told_without_its_text(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the inside of the program")

    monkeypatch.setattr(Agents, "_refresh", fail)
    await tab.call(Agents, "load")
    assert tab.notice == ("error", "error.error")
    assert "inside" not in str(tab.state(Session).notice)
    assert "the inside of the program" in caplog.text


async def test_arguments_of_the_wrong_kind_break_nothing(tab: Tab) -> None:
    nonsense: tuple[object, ...] = ([], {"a": 1}, None, 10**30, "\x00")
    for arguments in nonsense:
        await tab.call(AgentPage, "restore", arguments)
        assert tab.notice[0] == "error"


@pytest.mark.parametrize(
    ("header", "token"),
    [("", ""), ("a=b", ""), ("a=b; patchcord_session=x1", "x1"), ("__Host-patchcord_session=x2; patchcord_session=x1", "x2"),
     ("][;;=", "")],
)  # fmt: skip
def test_the_cookie_of_the_handshake(header: str, token: str) -> None:
    assert session_token(header) == token
