"""Queues with the people who answer them, and ready replies."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import LANGUAGE_NAMES, LANGUAGES, t
from builder_ui.pages.inbox_setup_state import GOAL_MINUTES, InboxSetup, QueueItem, ReadyReplyItem


def inbox_setup_page() -> rx.Component:
    """Two lists, each with its form."""
    return page(
        rx.link(rx.icon("arrow-left", size=15), t("inbox.title"), href="/inbox", class_name="ps-back", underline="hover"),
        rx.cond(
            InboxSetup.is_loaded,
            rx.cond(
                InboxSetup.is_allowed,
                rx.fragment(_queues(), rx.box(height="36px"), _replies()),
                empty("lock", t("inbox.denied_title"), t("inbox.denied_text")),
            ),
            skeleton(3),
        ),
        _queue_form(),
        _reply_form(),
        title=t("inbox.setup"),
        place="inbox",
        width="narrow",
    )  # fmt: skip


def _queues() -> rx.Component:
    add = rx.button(
        rx.icon("plus", size=16), t("inbox.add_queue"), on_click=InboxSetup.edit_queue(""), data_testid="add-queue"
    )
    return rx.el.section(
        head(t("inbox.queues"), t("inbox.queues_lead"), rx.cond(InboxSetup.may_manage, add)),
        rx.cond(
            InboxSetup.queues.length() > 0,
            rx.el.div(rx.foreach(InboxSetup.queues, _queue), class_name="ps-list", role="list"),
            empty("users", t("inbox.no_queues_title"), t("inbox.no_queues_text")),
        ),
    )


def _queue(queue: rx.Var[QueueItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(queue.name, class_name="ps-truncate", style={"font_weight": 600}),
            rx.el.div(rx.cond(queue.people != "", queue.people, t("inbox.everybody")), class_name="ps-sub ps-truncate"),
            rx.cond(queue.number != "", rx.el.div(t("inbox.calls_go_to", number=queue.number), class_name="ps-sub ps-truncate")),
            style={"min_width": 0},
        ),
        rx.flex(
            rx.cond(queue.waiting > 0, rx.badge(t("inbox.waiting_n", n=queue.waiting), color_scheme="amber", high_contrast=True)),
            rx.cond(
                InboxSetup.may_manage,
                rx.button(t("inbox.change"), variant="soft", size="1", on_click=InboxSetup.edit_queue(queue.id)),
            ),
            spacing="3", align="center",
        ),
        class_name="ps-row ps-row-two", role="listitem", key=queue.id,
    )  # fmt: skip


def _replies() -> rx.Component:
    add = rx.button(
        rx.icon("plus", size=16), t("inbox.add_reply"), on_click=InboxSetup.edit_reply(""), data_testid="add-reply"
    )
    title = rx.heading(t("inbox.ready"), as_="h2", size="5", trim="start")
    return rx.el.section(
        head(title, t("inbox.ready_lead"), add),
        rx.cond(
            InboxSetup.replies.length() > 0,
            rx.el.div(rx.foreach(InboxSetup.replies, _reply), class_name="ps-list", role="list"),
            empty("message-square-text", t("inbox.no_ready_title"), t("inbox.no_ready_text"), level="h3"),
        ),
    )


def _reply(reply: rx.Var[ReadyReplyItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div("/", reply.shortcut, class_name="ps-truncate", style={"font_weight": 600}),
            rx.el.div(reply.shown, class_name="ps-sub ps-truncate"),
            style={"min_width": 0},
        ),
        rx.button(t("inbox.change"), variant="soft", size="1", on_click=InboxSetup.edit_reply(reply.id)),
        class_name="ps-row ps-row-two", role="listitem", key=reply.id,
    )  # fmt: skip


def _form_foot(is_known: rx.Var[bool], on_delete: Any) -> rx.Component:
    return rx.flex(
        rx.cond(is_known, rx.button(t("common.delete"), type="button", variant="soft", color_scheme="red", on_click=on_delete)),
        rx.box(flex="1"),
        rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
        rx.button(t("common.save"), type="submit", data_testid="save"),
        spacing="3", margin_top="20px", wrap="wrap",
    )  # fmt: skip


def _queue_form() -> rx.Component:
    queue = InboxSetup.queue
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(rx.cond(queue.id != "", queue.name, t("inbox.add_queue")), size="4"),
            rx.dialog.description(t("inbox.queue_form"), size="2", color_scheme="gray"),
            rx.form(
                rx.el.div(
                    field(
                        t("inbox.queue_name"),
                        rx.text_field(id="queue-name", name="name", required=True, max_length=100, default_value=queue.name,
                            placeholder=t("inbox.queue_name_example")),
                        field_id="queue-name",
                    ),
                    field(
                        t("inbox.queue_goal"),
                        rx.select.root(
                            rx.select.trigger(id="queue-goal"),
                            rx.select.content(*[rx.select.item(t("inbox.minutes", n=n), value=str(n)) for n in GOAL_MINUTES]),
                            name="goal", default_value=queue.goal,
                        ),
                        field_id="queue-goal", hint=t("inbox.queue_goal_hint"),
                    ),
                    field(
                        t("inbox.queue_number"),
                        rx.text_field(id="queue-number", name="number", max_length=200, default_value=queue.number, placeholder="+49 30 1234567"),
                        field_id="queue-number", hint=t("inbox.queue_number_hint"),
                    ),
                    rx.el.fieldset(
                        rx.el.legend(t("inbox.queue_people"), class_name="ps-label"),
                        rx.foreach(
                            InboxSetup.members,
                            lambda m: rx.el.label(
                                rx.checkbox(name="member:" + m.id, size="2", default_checked=queue.member_ids.contains(m.id), aria_label=m.name),
                                m.name, class_name="ps-check", key=m.id,
                            ),
                        ),
                        rx.el.p(t("inbox.queue_people_hint"), class_name="ps-hint", style={"margin": 0}),
                        class_name="ps-fieldset",
                    ),
                    class_name="ps-form", style={"max_width": "none", "margin_top": "14px"},
                ),
                _form_foot(queue.id != "", InboxSetup.delete_queue),
                on_submit=InboxSetup.save_queue,
            ),
            max_width="480px",
        ),
        open=InboxSetup.is_queue_open,
        on_open_change=InboxSetup.close_queue,
    )  # fmt: skip


def _reply_form() -> rx.Component:
    reply = InboxSetup.reply
    texts = {"en": reply.en, "ru": reply.ru, "uk": reply.uk}
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(rx.cond(reply.id != "", "/" + reply.shortcut, t("inbox.add_reply")), size="4"),
            rx.dialog.description(t("inbox.reply_form"), size="2", color_scheme="gray"),
            rx.form(
                rx.el.div(
                    field(
                        t("inbox.shortcut"),
                        rx.text_field(id="reply-shortcut", name="shortcut", required=True, max_length=41, default_value=reply.shortcut,
                            placeholder=t("inbox.shortcut_example")),
                        field_id="reply-shortcut", hint=t("inbox.shortcut_hint"),
                    ),
                    *[
                        field(
                            rx.Var.create(LANGUAGE_NAMES[code]),
                            rx.text_area(id=f"reply-{code}", name=code, max_length=4000, rows="3", default_value=texts[code]),
                            field_id=f"reply-{code}",
                        )
                        for code in LANGUAGES
                    ],
                    class_name="ps-form", style={"max_width": "none", "margin_top": "14px"},
                ),
                _form_foot(reply.id != "", InboxSetup.delete_reply),
                on_submit=InboxSetup.save_reply,
            ),
            max_width="520px",
        ),
        open=InboxSetup.is_reply_open,
        on_open_change=InboxSetup.close_reply,
    )  # fmt: skip
