"""The few React parts that Reflex cannot express: forms that set cookies, moments in words, copying, notices."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx
from reflex_base.utils.imports import ImportVar
from reflex_base.vars import VarData
from reflex_base.vars.function import FunctionVar

from builder_ui.sharing import share

share(__name__, "theme.css")
ICON: Final = share(__name__, "icon.svg")
_SESSION: Final = share(__name__, "session.jsx").importable_path
_PAGE: Final = share(__name__, "page.jsx").importable_path
_KNOWLEDGE: Final = share(__name__, "knowledge.jsx").importable_path
_INBOX: Final = share(__name__, "inbox.jsx").importable_path
share(__name__, "inbox.css")
_SHOW: Final = share(__name__, "show.jsx").importable_path
_CHAIN: Final = share(__name__, "chain.jsx").importable_path

_ICONS: Final = "lucide-react@1.26.0"  # the version that Reflex's own icons come from


class SignInForm(rx.Component):
    """E-mail and password, posted by the browser; a password never enters the state."""

    library = _SESSION
    tag = "SignInForm"
    lib_dependencies: list[str] = [_ICONS]


class OwnerForm(rx.Component):
    """The first member and the workspace."""

    library = _SESSION
    tag = "OwnerForm"


class LanguageChoice(rx.Component):
    """The language of the page, before anybody has signed in."""

    library = _SESSION
    tag = "LanguageChoice"


class PageSetup(rx.Component):
    """Title, language, theme and notices of a page."""

    library = _PAGE
    tag = "PageSetup"
    lib_dependencies: list[str] = ["@fontsource-variable/inter@5.3.0"]

    title: rx.Var[str]
    member: rx.Var[Any]
    notice: rx.Var[Any]


class ConnectionBanner(rx.Component):
    """Tells that the server cannot be reached, without its address."""

    library = _PAGE
    tag = "ConnectionBanner"

    errors: rx.Var[int]


class BrokenPage(rx.Component):
    """What a person sees when a page cannot be drawn."""

    library = _PAGE
    tag = "BrokenPage"


class When(rx.Component):
    """A moment in the words of the reader's language; the exact one on hover."""

    library = _SHOW
    tag = "When"

    iso: rx.Var[str]
    kind: rx.Var[str]


class MessageFile(rx.Component):
    """A file in a transcript: seen, heard or downloaded; `file` is a `FileItem`."""

    library = _SHOW
    tag = "MessageFile"

    file: rx.Var[Any]


class CopyButton(rx.Component):
    """Copies a text, or the value of the field with the id `source`."""

    library = _SHOW
    tag = "CopyButton"

    text: rx.Var[str]
    source: rx.Var[str]
    label: rx.Var[str]
    compact: rx.Var[bool]


class CodeBlock(rx.Component):
    """Code to copy; {origin} in it becomes the address of this site."""

    library = _SHOW
    tag = "CodeBlock"

    code: rx.Var[str]
    label: rx.Var[str]


class SiteLink(rx.Component):
    """The full address of a page of this site."""

    library = _SHOW
    tag = "SiteLink"

    path: rx.Var[str]


def _kept_id(import_id: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (import_id,)


class CsvChoice(rx.Component):
    """A button that takes a CSV file; `on_kept` gets the id under which the server keeps it."""

    library = _SHOW
    tag = "CsvChoice"

    label: rx.Var[str]
    on_kept: rx.EventHandler[_kept_id]  # type: ignore[type-arg, valid-type]  # how Reflex names the arguments of an event


class InboxBadge(rx.Component):
    """How many conversations wait for a person; in the title too, with a sound for each new one."""

    library = _INBOX
    tag = "InboxBadge"


class ReplyBox(rx.Component):
    """Where a member answers: the draft stays in this browser until `sent` names it, "/" offers ready replies."""

    library = _INBOX
    tag = "ReplyBox"

    talk: rx.Var[str]
    sent: rx.Var[str]
    replies: rx.Var[Any]
    language: rx.Var[str]
    # Reflex reads what an event carries from the annotation; no checker of types can.
    on_send: rx.EventHandler[rx.event.passthrough_event_spec(str, str, str, str)]  # type: ignore[type-arg,valid-type]


class ListKeys(rx.Component):
    """Keys j and k walk through the list with this id, Enter opens, r answers; not while somebody writes."""

    library = _INBOX
    tag = "ListKeys"

    list_id: rx.Var[str]


class StepGrip(rx.Component):
    """Carries a step of a chain to another place; `on_move` gets the step and its new place, counted from 0."""

    library = _CHAIN
    tag = "StepGrip"
    lib_dependencies: list[str] = [_ICONS]

    step: rx.Var[str]
    place: rx.Var[int]
    label: rx.Var[str]

    on_move: rx.EventHandler[rx.event.passthrough_event_spec(str, int)]  # type: ignore[type-arg,valid-type]  # as above


class Waited(rx.Component):
    """How long somebody has been waiting, counted on in the browser."""

    library = _INBOX
    tag = "Waited"

    since: rx.Var[str]
    is_late: rx.Var[bool]


class FollowEnd(rx.Component):
    """A scrolling log that stays at its end; `mark` changes when a line was added."""

    library = _SHOW
    tag = "FollowEnd"

    mark: rx.Var[str]
    label: rx.Var[str]


class DropFiles(rx.Component):
    """A place to drop files for a knowledge base, or to choose them; each shows how far it is and what went wrong."""

    library = _KNOWLEDGE
    tag = "DropFiles"

    base: rx.Var[str]
    category: rx.Var[str]
    article: rx.Var[str]

    on_done: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg, valid-type]  # Reflex reads it


class BringFile(rx.Component):
    """A button that sends a file of knowledge; `on_kept` gets the id of its import."""

    library = _KNOWLEDGE
    tag = "BringFile"

    base: rx.Var[str]
    label: rx.Var[str]

    on_kept: rx.EventHandler[_kept_id]  # type: ignore[type-arg, valid-type]  # as above


class Ticker(rx.Component):
    """Calls `on_tick` again and again while `active`, and not while the page is hidden."""

    library = _KNOWLEDGE
    tag = "Ticker"

    active: rx.Var[bool]
    every: rx.Var[int]

    on_tick: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg, valid-type]  # as above


def sign_out() -> FunctionVar[Any]:
    """An `on_click` that ends the session and shows the sign-in page."""
    return rx.Var(_js_expr="signOut", _var_data=VarData(imports={_SESSION: [ImportVar(tag="signOut")]})).to(FunctionVar)
