"""Who is acting: the cookie of the WebSocket handshake becomes a Principal before any event handler runs."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final, get_type_hints
from urllib.parse import quote

import reflex as rx
import structlog
from reflex_base.event import EventSpec
from reflex_base.registry import RegistrationContext

from builder_ui.i18n import TEXTS, text
from graph_runtime.contract.errors import BuilderError, ConnectorError, InputInvalid, NotSignedIn
from graph_runtime.contract.outside_words import SENTENCES as OUTSIDE

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services
    from graph_runtime.services.principal import Principal

COOKIES: Final = ("__Host-patchcord_session", "patchcord_session")
HANDLER_MARK: Final = "_asks_who_is_acting"

log = structlog.get_logger(__name__)


def services() -> Services:
    """The services of this process, set by the server before the screens are loaded."""
    from graph_runtime.bootstrap import current

    return current()


def app_of_process() -> rx.App:
    """The Reflex application that runs here."""
    return RegistrationContext.get().app


def session_token(cookie_header: str) -> str:
    """The session's token in a Cookie header, or an empty text."""
    try:
        cookies = SimpleCookie(cookie_header)
    except CookieError:
        return ""
    return next((cookies[name].value for name in COOKIES if name in cookies), "")


@dataclass(frozen=True)
class Me:
    """What a page shows of the member who is signed in."""

    name: str = ""
    email: str = ""
    role: str = ""
    workspace: str = ""
    language: str = ""
    theme: str = ""

    @property
    def initial(self) -> str:
        """The letter in the round picture."""
        return self.name[:1].upper()


@dataclass(frozen=True)
class Notice:
    """One sentence shown for a few seconds; `key` and `params` name a text, so every language can show it."""

    id: str = ""
    level: str = "success"
    key: str = ""
    params: dict[str, str] = field(default_factory=dict)


class Session(rx.State):
    """What all pages share: the member, and the newest notice. Pages' states are its substates."""

    me: Me = Me()
    notice: Notice = Notice()

    # Reflex turns every method without an underscore into a handler that the socket can reach.
    def _tell(self, key: str, *, level: str = "success", **params: Any) -> None:
        """Show a notice in the language of the page."""
        self.notice = Notice(uuid.uuid4().hex, level, key, {k: str(v) for k, v in params.items()})

    def _failed(self, code: str) -> str:
        """Why a turn was not finished, as a sentence; the code itself where there is none."""
        key = f"failed.{code}"
        return text(self.me.language or "en", key) if key in TEXTS else code

    def _tell_error(self, error: BuilderError) -> None:
        """Show what went wrong, in words that have a translation; about one field where there are words for it."""
        language = self.me.language or "en"
        said = services().catalog.in_language(error.message, language)
        if error.params.get("reason") in OUTSIDE or (isinstance(error, ConnectorError) and said != error.message):
            self._tell("error.said", level="error", said=said)
            return
        of_field = f"error.{error.code}_{getattr(error, 'field', '') or error.params.get('field', '')}"
        key = of_field if of_field in TEXTS else f"error.{error.code}"
        self._tell(key, level="error", otherwise=error.message, **error.params)


async def acting(state: Session) -> Principal:
    """The member behind this browser tab, read from the database each time.

    Raises: NotSignedIn.
    """
    token = session_token(state.router.headers.cookie)
    if not token:
        raise NotSignedIn("Sign in to go on.")
    return await services().accounts.principal(token)


async def show_member(state: Session, who: Principal) -> None:
    """Fill in what the shell shows of the member."""
    member = await services().accounts.me(who)
    state.me = Me(
        name=member.name,
        email=member.email,
        role=str(member.role),
        workspace=member.workspace,
        language=member.language or "",
        theme=member.theme or "",
    )


async def way_in(state: Session) -> EventSpec:
    """Where somebody who is not signed in goes: to the first-run page, or to sign in and then back here."""
    if await services().accounts.needs_owner():
        return rx.redirect("/setup")
    url = state.router.url
    if "next" in url.query_parameters:
        # A second event of a page that is being left names the old path with the query of the sign-in page.
        return rx.redirect(f"/login?{url.query}")
    here = url.path + (f"?{url.query}" if url.query else "")
    was_signed_in = "&expired=1" if state.me.email else ""
    state.me = Me()
    return rx.redirect("/login" if here == "/" and not was_signed_in else f"/login?next={quote(here)}{was_signed_in}")


def handler(function: Callable[..., Any] | None = None, *, background: bool = False, **options: Any) -> Any:
    """Make a method `(self, who, …)` an event handler `(…)` that finds out who is acting before it runs.

    A handler without this decorator fails the inventory test. A member who is not signed in is sent to sign in; a
    BuilderError becomes a notice; anything else is logged and becomes the general notice.
    """

    def decorate(inner: Callable[..., Any]) -> Any:
        run = _in_background(inner) if background else _in_turn(inner)
        functools.update_wrapper(run, inner)
        signature = inspect.signature(inner)
        parameters = [p for name, p in signature.parameters.items() if name != "who"]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {k: v for k, v in _hints(inner).items() if k in {p.name for p in parameters}}
        del run.__wrapped__  # type: ignore[attr-defined]
        setattr(run, HANDLER_MARK, True)
        return rx.event(run, background=background, **options)

    return decorate if function is None else decorate(function)


def open_to_all(function: Callable[..., Any]) -> Any:
    """Make a method an event handler for people who are not signed in; it may not touch anybody's data."""
    setattr(function, HANDLER_MARK, True)
    return rx.event(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    names = dict.fromkeys(("Principal", "Services"), Any)
    return get_type_hints(function, localns=names)


def _in_turn(inner: Callable[..., Any]) -> Callable[..., Any]:
    """For ordinary handlers, which hold the lock of the state while they run."""

    async def run(self: Session, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            who = await acting(self)
            if not self.me.email:
                await show_member(self, who)
            outcome = inner(self, who, *args, **kwargs)
            if inspect.isasyncgen(outcome):
                async for event in outcome:
                    yield event
            else:
                yield await outcome
        except NotSignedIn:
            yield await way_in(self)
        except Exception as error:
            _tell_failure(self, inner, error)
            yield

    return run


def _in_background(inner: Callable[..., Any]) -> Callable[..., Any]:
    """For long work, which takes the lock only while it changes the state."""

    async def run(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            outcome = inner(self, await acting(self), *args, **kwargs)
            if inspect.isasyncgen(outcome):
                async for event in outcome:
                    yield event
            else:
                yield await outcome
        except NotSignedIn:
            async with self:
                where = await way_in(self)
            yield where
        except Exception as error:
            async with self:
                _tell_failure(self, inner, error)

    return run


def _tell_failure(state: Session, inner: Callable[..., Any], error: Exception) -> None:
    if isinstance(error, BuilderError):
        state._tell_error(error)  # noqa: SLF001 (a public method would be a handler)
        return
    log.error("handler failed", exc_info=error, handler=inner.__qualname__)
    state._tell("error.error", level="error")  # noqa: SLF001 (a public method would be a handler)


def remove_setters() -> int:
    """Reflex gives every state a handler that sets any of its variables from the browser; take them all away."""
    handlers = RegistrationContext.ensure_context().event_handlers
    setters = [name for name in handlers if name.endswith(".setvar")]
    for name in setters:
        del handlers[name]
    return len(setters)


def text_of(form: dict[str, Any], field_name: str, *, required: bool = False, limit: int = 200) -> str:
    """A trimmed text of a form that came from the browser.

    Raises: InputInvalid.
    """
    value = str(form.get(field_name) or "").strip()
    if required and not value:
        raise InputInvalid("Please fill this in.", field=field_name)
    if len(value) > limit:
        raise InputInvalid(f"At most {limit} characters fit here.", field=field_name)
    return value
