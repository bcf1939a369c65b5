"""Every Reflex event handler, which any browser can call with any arguments: guarded, and useless to strangers."""

import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from graph_runtime import bootstrap
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Member
from tests.api.test_route_inventory import cookie_of, rows_of

pytest.importorskip("builder_ui.app", exc_type=ImportError)

import reflex as rx
from reflex_base.registry import RegistrationContext

from builder_ui import session

REFLEX_OWN = {
    "hydrate",
    "hydrate_and_load",
    "set_is_hydrated",
    "handle_frontend_exception",
    "on_load_internal",
    "update_vars_internal",
}
"""Reflex's own handlers; they reach no service."""
OPEN_TO_ALL = {"at_sign_in", "at_setup"}
FORGETS_ONLY = {"leave"}
"""Open to all because it only stops watching; it must reach no service either."""


def handlers() -> Iterator[tuple[str, str, Any]]:
    """Full name, last name and function of every handler that a browser can name."""
    for name, registered in RegistrationContext.ensure_context().event_handlers.items():
        yield name, name.rpartition(".")[2], registered.handler


def ours() -> list[Any]:
    return [h for name, last, h in handlers() if last not in REFLEX_OWN and "builder_ui" in name]


def test_every_handler_asks_who_is_acting() -> None:
    unguarded = [
        name
        for name, last, handler in handlers()
        if last not in REFLEX_OWN and not getattr(handler.fn, session.HANDLER_MARK, False)
    ]
    assert unguarded == []
    assert len(ours()) > 20


def test_no_variable_can_be_set_from_a_browser() -> None:
    assert [name for name, last, _ in handlers() if last.startswith("setvar")] == []


class Refused(Exception):
    """A handler reached a service that it had no right to reach."""


class NoServices:
    """Only what signing in needs."""

    def __init__(self, services: Services) -> None:
        self.accounts = services.accounts

    def __getattr__(self, name: str) -> Any:
        raise Refused(name)


async def fire(handler: Any, cookie: str, value: str) -> list[Any]:
    """Call a handler as an event from a browser with this cookie would, every argument being `value` where it fits."""
    root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg]
    state = root.get_substate(handler.state_full_name.split("."))
    headers = {"cookie": cookie, "origin": "http://127.0.0.1", "host": "127.0.0.1"}
    root.router = rx.istate.data.RouterData.from_router_data({"headers": headers, "pathname": "/", "query": {}})
    hints = get_type_hints(handler.fn, localns={"Principal": Any, "Services": Any})
    names = [n for n, p in list(inspect.signature(handler.fn).parameters.items())[1:] if p.default is p.empty]
    arguments = [_argument(hints.get(n), value) for n in names]
    outcome = handler.fn(state, *arguments)
    if inspect.isasyncgen(outcome):
        return [event async for event in outcome] + [root.dict()]
    return [await outcome if inspect.isawaitable(outcome) else outcome, root.dict()]


def _argument(kind: Any, value: str) -> Any:
    if kind is bool:
        return True
    if kind is int:
        return 1
    if kind is dict or str(kind).startswith("dict"):
        return dict.fromkeys(("id", "agent_id", "flow_id", "name", "label", "connector", "password"), value)
    if kind is list or str(kind).startswith("list"):
        return [value]
    return value


@pytest.fixture
def without_services(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "current", lambda: NoServices(services))


async def test_nobody_reaches_a_service_through_a_handler(ann: Member, without_services: None) -> None:
    for handler in ours():
        if handler.fn.__name__ in OPEN_TO_ALL or getattr(handler, "is_background", False):
            continue
        events = await fire(handler, "", "x")
        if handler.fn.__name__ in FORGETS_ONLY:
            assert events[0] is None, handler.fn.__qualname__
            continue
        assert "login" in str(events[0]) or "setup" in str(events[0]), handler.fn.__qualname__


async def test_a_stranger_changes_and_sees_nothing(
    ann: Member, agent: Any, services: Services, admin: Any, other_workspace: Principal
) -> None:
    cookie = await cookie_of(services, other_workspace)
    conversation = await services.conversations.start(ann.who, agent_id=agent.id, dedupe_key="one")
    async with services.conversations.watch(ann.who, conversation) as events:
        async for event in events:
            if event["type"] == "message":
                break
    before = rows_of(admin, ann.who)
    for handler in ours():
        if getattr(handler, "is_background", False):
            continue
        for value in (agent.id, agent.main_flow_id, conversation):
            seen = str(await fire(handler, cookie, value))
            assert "Reception" not in seen, handler.fn.__qualname__
            assert "ann@example.org" not in seen, handler.fn.__qualname__
    assert rows_of(admin, ann.who) == before
