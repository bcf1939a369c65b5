"""The Inbox: what waits for people, the conversation with its reply box, and what is known beside it."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import FollowEnd, ListKeys, ReplyBox, Waited, When
from builder_ui.components.parts import confirm, empty, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.answer_sources import source_dialog
from builder_ui.pages.conversations import line_of
from builder_ui.pages.inbox_approval import approval_box
from builder_ui.pages.inbox_state import EVERY_QUEUE, OUTCOMES, FactItem, Inbox, NoteItem, TalkItem
from graph_runtime.services.hand_offs import VIEWS

LIST_ID = "inbox-list"


def inbox_page() -> rx.Component:
    """Three panes; on a narrow screen the list, then the conversation."""
    setup = rx.link(
        rx.button(rx.icon("settings-2", size=15), t("inbox.setup"), variant="soft", color_scheme="gray", tab_index=-1),
        href="/inbox/queues",
    )
    return page(
        rx.box(
            head(t("inbox.title"), t("inbox.lead"), _presence(), setup),
            rx.cond(
                Inbox.is_loaded,
                rx.cond(Inbox.is_allowed, _panes(), empty("lock", t("inbox.denied_title"), t("inbox.denied_text"))),
                skeleton(6),
            ),
            _return_dialog(),
            source_dialog(),
            confirm(
                is_open=Inbox.is_ending, title=t("talks.end_title"), text=rx.el.p(t("talks.end_text"), style={"margin": 0}),
                do=t("talks.end"), on_do=Inbox.end, on_close=Inbox.ask_end,
            ),
            ListKeys.create(list_id=LIST_ID),
            on_unmount=Inbox.leave,
            class_name="ps-inbox-page",
            custom_attrs={"data-open": rx.cond(Inbox.chosen.id != "", "true", "false")},
        ),
        title=t("inbox.title"),
        place="inbox",
        width="full",
    )  # fmt: skip


def _presence() -> rx.Component:
    return rx.cond(
        Inbox.is_allowed,
        rx.el.label(
            rx.switch(checked=Inbox.is_online, on_change=Inbox.set_online, size="1", aria_label=t("inbox.online")),
            t("inbox.online"),
            class_name="ps-check",
            title=t("inbox.online_hint"),
        ),
    )


def _panes() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            rx.segmented_control.root(
                *[rx.segmented_control.item(t(f"inbox.view_{view}"), value=view) for view in VIEWS],
                value=Inbox.view, on_change=Inbox.choose_view, class_name="ps-inbox-views", aria_label=t("inbox.view"),
            ),
            search_box(t("inbox.search"), Inbox.search, Inbox.find),
            rx.cond(
                Inbox.queues.length() > 0,
                rx.select.root(
                    rx.select.trigger(aria_label=t("inbox.queue")),
                    rx.select.content(
                        rx.select.item(t("inbox.every_queue"), value=EVERY_QUEUE),
                        rx.foreach(Inbox.queues, lambda q: rx.select.item(q.name, value=q.id)),
                    ),
                    value=Inbox.queue, on_change=Inbox.choose_queue,
                ),
            ),
            class_name="ps-tools",
        ),
        rx.cond(
            (Inbox.rows.length() > 0) | (Inbox.chosen.id != ""),
            rx.el.div(_list(), _conversation(), _side(), class_name="ps-inbox", data_open=Inbox.chosen.id != ""),
            _nothing(),
        ),
    )  # fmt: skip


def _nothing() -> rx.Component:
    return rx.cond(
        (Inbox.search != "") | (Inbox.queue != EVERY_QUEUE),
        empty("search-x", t("talks.nothing_title"), t("talks.nothing_text")),
        rx.match(
            Inbox.view,
            ("approve", empty("check-check", t("approval.none_title"), t("approval.none_text"))),
            ("mine", empty("inbox", t("inbox.none_mine_title"), t("inbox.none_mine_text"))),
            ("all", empty("messages-square", t("talks.empty_title"), t("talks.empty_text"))),
            empty("coffee", t("inbox.none_waiting_title"), t("inbox.none_waiting_text")),
        ),
    )


def _list() -> rx.Component:
    return rx.el.section(
        rx.cond(
            Inbox.rows.length() > 0,
            rx.el.div(rx.foreach(Inbox.rows, _row), class_name="ps-list", role="list", id=LIST_ID),
            rx.el.p(t("inbox.list_empty"), class_name="ps-hint"),
        ),
        rx.cond(
            Inbox.has_more,
            rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=Inbox.show_more),
        ),
        class_name="ps-talks",
        aria_label=t("inbox.title"),
    )


def _name(talk: rx.Var[TalkItem]) -> rx.Var[str]:
    return rx.cond(talk.who != "", talk.who, t("talks.somebody")).to(str)


def _row(talk: rx.Var[TalkItem]) -> rx.Component:
    return rx.el.div(
        rx.el.button(
            _name(talk),
            type="button",
            class_name="ps-talk ps-truncate",
            on_click=Inbox.open(talk.id),
            custom_attrs={"aria-current": rx.cond(Inbox.chosen.id == talk.id, "true", "false")},
        ),
        rx.cond(
            talk.since != "",
            Waited.create(since=talk.since, is_late=talk.is_late),
            rx.cond(
                talk.unread > 0,
                rx.badge(talk.unread, color_scheme="iris", variant="solid", class_name="ps-num", aria_label=t("inbox.unread")),
                rx.el.div(When.create(iso=talk.updated_at), class_name="ps-sub"),
            ),
        ),
        rx.el.div(
            rx.cond((talk.state == "waiting") & (talk.summary != ""), talk.summary, rx.cond(talk.preview != "", talk.preview, t("talks.no_words"))),
            class_name="ps-cell ps-truncate", style={"grid_column": "1 / -1"},
        ),
        rx.flex(
            rx.match(
                talk.priority,
                ("urgent", rx.badge(t("inbox.priority_urgent"), color_scheme="red", high_contrast=True, size="1")),
                ("high", rx.badge(t("inbox.priority_high"), color_scheme="amber", high_contrast=True, size="1")),
                rx.fragment(),
            ),
            rx.cond(talk.queue != "", rx.el.span(talk.queue, class_name="ps-truncate")),
            rx.el.span(t_of(talk.channel, "talks.channel_", otherwise=talk.channel)),
            rx.cond(talk.to_approve, rx.badge(t("approval.to_approve"), color_scheme="iris", high_contrast=True, size="1")),
            rx.cond(talk.state == "other", rx.el.span(talk.holder, class_name="ps-truncate")),
            rx.cond(talk.state == "agent", rx.el.span(t("inbox.agent_has"))),
            class_name="ps-sub", style={"grid_column": "1 / -1", "min_width": 0}, spacing="2", align="center",
        ),
        class_name="ps-row", data_link="true", data_chosen=Inbox.chosen.id == talk.id, data_unread=talk.unread > 0,
        role="listitem", key=talk.id,
    )  # fmt: skip


def _conversation() -> rx.Component:
    return rx.el.section(
        rx.cond(
            Inbox.chosen.id != "",
            rx.fragment(_head(), _messages(), rx.cond(Inbox.held.id != "", approval_box()), _foot()),
            rx.center(rx.el.p(t("inbox.choose"), class_name="ps-hint"), height="100%"),
        ),
        class_name="ps-transcript",
        aria_label=t("talks.transcript"),
    )


def _head() -> rx.Component:
    talk = Inbox.chosen
    return rx.el.header(
        rx.icon_button(
            rx.icon("arrow-left", size=18), variant="ghost", color_scheme="gray", aria_label=t("common.back"),
            class_name="ps-only-narrow", on_click=Inbox.close,
        ),
        rx.el.div(
            rx.heading(_name(talk), as_="h2", size="3", class_name="ps-truncate"),
            rx.el.div(talk.agent, " · ", t_of(talk.channel, "talks.channel_", otherwise=talk.channel), class_name="ps-sub"),
            class_name="ps-transcript-words",
        ),
        rx.cond(
            talk.state == "mine",
            rx.el.div(
                rx.cond(
                    talk.may_return,
                    rx.button(t("inbox.give_back"), variant="soft", size="2", on_click=Inbox.ask_return(True), data_testid="give-back"),
                ),
                _more(),
                class_name="ps-inbox-actions",
            ),
        ),
        class_name="ps-transcript-head",
    )  # fmt: skip


def _more() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(rx.icon("ellipsis", size=17), variant="soft", color_scheme="gray", aria_label=t("inbox.more"))
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(rx.icon("undo-2", size=15), t("inbox.release"), on_select=Inbox.release),
            rx.cond(
                Inbox.colleagues.length() > 0,
                rx.dropdown_menu.sub(
                    rx.dropdown_menu.sub_trigger(t("inbox.assign")),
                    rx.dropdown_menu.sub_content(
                        rx.foreach(Inbox.colleagues, lambda one: rx.dropdown_menu.item(one.name, on_select=Inbox.assign(one.id)))
                    ),
                ),
            ),
            rx.dropdown_menu.separator(),
            rx.dropdown_menu.item(rx.icon("circle-x", size=15), t("talks.end"), color="red", on_select=Inbox.ask_end(True)),
            align="end",
        ),
    )  # fmt: skip


def _messages() -> rx.Component:
    return FollowEnd.create(
        rx.el.div(rx.foreach(Inbox.messages, line_of), class_name="ps-chat"),
        mark=Inbox.chosen.id + Inbox.messages.length().to_string() + Inbox.held.id + Inbox.deciding,
        label=t("talks.transcript"),
    )


def _lock(words: rx.Var[str], *actions: rx.Component) -> rx.Component:
    return rx.el.div(rx.el.span(words), *actions, class_name="ps-lock", role="status")


def _foot() -> rx.Component:
    take = rx.button(t("inbox.accept"), on_click=Inbox.accept, data_testid="accept")
    take_over = rx.button(t("talks.take"), variant="soft", on_click=Inbox.accept, data_testid="take-over")
    return rx.cond(
        Inbox.chosen.status == "ended",
        _lock(t("talks.over")),
        rx.match(
            Inbox.chosen.state,
            (
                "mine",
                ReplyBox.create(
                    talk=Inbox.chosen.id, sent=Inbox.sent, replies=Inbox.ready, language=Inbox.chosen.language,
                    on_send=Inbox.send,
                ),
            ),
            ("waiting", _lock(t("inbox.waits"), take)),
            ("other", _lock(t("inbox.other_has", who=Inbox.chosen.holder))),
            _lock(t("inbox.agent_answers"), take_over),
        ),
    )  # fmt: skip


def _side() -> rx.Component:
    return rx.cond(
        Inbox.chosen.id != "",
        rx.el.aside(
            rx.cond(Inbox.chosen.summary != "", _part(t("inbox.summary"), rx.el.p(Inbox.chosen.summary))),
            _part(
                t("inbox.contact"),
                rx.cond(Inbox.facts.length() > 0, _facts(Inbox.facts), rx.el.p(t("inbox.contact_unknown"), class_name="ps-hint")),
            ),
            rx.cond(Inbox.variables.length() > 0, _part(t("inbox.variables"), _facts(Inbox.variables))),
            _part(
                t("inbox.notes"),
                rx.foreach(Inbox.notes, _note),
                rx.form(
                    rx.text_area(
                        name="note", placeholder=t("inbox.note_placeholder"), aria_label=t("inbox.note_placeholder"),
                        max_length=4000, rows="2", size="1",
                    ),
                    rx.button(t("inbox.add_note"), type="submit", size="1", variant="soft", margin_top="6px"),
                    on_submit=Inbox.add_note, reset_on_submit=True, style={"margin_top": "8px"},
                ),
            ),
            class_name="ps-inbox-side",
            aria_label=t("inbox.beside"),
        ),
    )  # fmt: skip


def _part(title: rx.Var[str], *content: rx.Component) -> rx.Component:
    return rx.el.section(rx.el.h3(title), *content)


def _facts(items: rx.Var[list[FactItem]]) -> rx.Component:
    return rx.el.dl(
        rx.foreach(items, lambda f: rx.el.div(rx.el.dt(f.name, class_name="ps-truncate"), rx.el.dd(f.value))),
        class_name="ps-facts",
    )


def _note(note: rx.Var[NoteItem]) -> rx.Component:
    return rx.el.div(
        note.text, rx.el.span(note.by, " · ", When.create(iso=note.created_at), class_name="ps-sub"),
        class_name="ps-note", key=note.id,
    )  # fmt: skip


def _return_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("inbox.give_back"), size="4"),
            rx.dialog.description(t("inbox.give_back_text"), size="2", color_scheme="gray"),
            rx.form(
                rx.el.div(
                    rx.el.label(t("inbox.outcome"), class_name="ps-label", html_for="outcome"),
                    rx.select.root(
                        rx.select.trigger(id="outcome"),
                        rx.select.content(*[rx.select.item(t(f"inbox.outcome_{o}"), value=o) for o in OUTCOMES]),
                        name="outcome", default_value=OUTCOMES[0],
                    ),
                    rx.el.label(t("inbox.return_note"), class_name="ps-label", html_for="return-note"),
                    rx.text_area(id="return-note", name="note", max_length=4000, rows="3"),
                    class_name="ps-field",
                    style={"margin_top": "14px"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("inbox.give_back"), type="submit", data_testid="give-back-do"),
                    spacing="3", justify="end", margin_top="18px",
                ),
                on_submit=Inbox.give_back,
            ),
            max_width="460px",
        ),
        open=Inbox.is_returning,
        on_open_change=Inbox.ask_return,
    )  # fmt: skip
