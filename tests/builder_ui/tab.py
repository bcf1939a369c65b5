"""A browser tab without a browser: a tree of states, a cookie, an address."""

from __future__ import annotations

from typing import Any, TypeVar

import reflex as rx
from reflex.istate.data import RouterData

from builder_ui.session import Session

S = TypeVar("S", bound=Session)


class Tab:
    """What Reflex keeps per tab; handlers are called as the socket calls them, with arguments of anybody's choice."""

    def __init__(self, token: str = "", path: str = "/") -> None:
        self.root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg]
        self.go(path, token)

    def go(self, path: str, token: str | None = None) -> None:
        """Open another address, with another cookie when one is given."""
        if token is not None:
            self.cookie = f"theme=dark; patchcord_session={token}" if token else ""
        self.root.router = RouterData.from_router_data(
            {"headers": {"cookie": self.cookie}, "pathname": path, "asPath": path, "token": "tab"}
        )

    def state(self, kind: type[S]) -> S:
        """The tab's state of a kind."""
        found = self.root.get_substate(kind.get_full_name().split("."))
        assert isinstance(found, kind)
        return found

    async def call(self, kind: type[S], name: str, *args: Any) -> list[Any]:
        """Run a handler to its end; the events it sent to the browser."""
        handler = kind.event_handlers[name]
        outcome = handler.fn(self.state(kind), *args)
        if hasattr(outcome, "__aiter__"):
            return [event async for event in outcome if event is not None]
        event = await outcome
        return [] if event is None else [event]

    @property
    def notice(self) -> tuple[str, str]:
        """Level and text key of the newest notice."""
        shown = self.state(Session).notice
        return shown.level, shown.key


def redirected_to(events: list[Any]) -> str:
    """The address that the only event leads to."""
    (event,) = events
    assert event.handler.fn.__qualname__ == "_redirect"
    return str(next(value._var_value for key, value in event.args if str(key) == "path"))
