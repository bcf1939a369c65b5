"""Contacts: the list with filters and segments, marking and tagging, files in and out."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CsvChoice, ListKeys, When
from builder_ui.components.parts import empty, field, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.contacts_state import ALL, SKIP, Column, ContactItem, ContactList
from builder_ui.pages.segment_form import segment_buttons, segment_dialog

LIST_ID = "contact-list"
LIST_COLUMNS = "28px minmax(0, 1.4fr) minmax(0, 1.2fr) minmax(0, 1fr) 110px"


def contacts_page() -> rx.Component:
    """The list of people."""
    actions = rx.flex(
        rx.cond(
            ContactList.may_edit,
            rx.fragment(
                rx.link(
                    rx.button(rx.icon("download", size=16), t("contacts.save_csv"), variant="soft", tab_index=-1),
                    href=ContactList.csv_path,
                    download=True,
                ),
                rx.button(
                    rx.icon("upload", size=16),
                    t("contacts.import"),
                    variant="soft",
                    on_click=ContactList.ask_import(True),
                    data_testid="import",
                ),
            ),
        ),
        rx.button(
            rx.icon("plus", size=16), t("contacts.add"), on_click=ContactList.ask_new(True), data_testid="add-contact"
        ),
        spacing="2",
        wrap="wrap",
    )
    return page(
        head(t("contacts.title"), t("contacts.lead"), actions),
        _progress(),
        rx.cond(
            ContactList.is_loaded,
            rx.fragment(
                rx.cond((ContactList.total > 0) | ContactList.is_narrowed, _tools()),
                rx.cond(ContactList.rows.length() > 0, _list(), _nothing()),
            ),
            skeleton(8),
        ),
        _new_dialog(),
        _tag_dialog(),
        segment_dialog(dialog, buttons),
        _import_dialog(),
        title=t("contacts.title"),
        place="contacts",
    )


def _choice(
    what: str, value: rx.Var[str], label: rx.Var[str], everything: rx.Var[str], *items: rx.Component
) -> rx.Component:
    return rx.select.root(
        rx.select.trigger(aria_label=label),
        rx.select.content(rx.select.item(everything, value=ALL), *items),
        value=value,
        on_change=lambda chosen: ContactList.choose(what, chosen),
    )


def channel_name(kind: rx.Var[str]) -> rx.Var[str]:
    """The kind of a channel in words."""
    return t_of(kind, "talks.channel_", otherwise=kind)


def _tools() -> rx.Component:
    return rx.el.div(
        search_box(t("contacts.search"), ContactList.search, ContactList.find),
        _choice(
            "segment",
            ContactList.segment,
            t("contacts.filter_segment"),
            t("contacts.all_segments"),
            rx.foreach(ContactList.segments, lambda s: rx.select.item(s.name, value=s.id)),
        ),
        _choice(
            "tag",
            ContactList.tag,
            t("contacts.filter_tag"),
            t("contacts.all_tags"),
            rx.foreach(ContactList.tags, lambda tag: rx.select.item(tag, value=tag)),
        ),
        _choice(
            "channel",
            ContactList.channel,
            t("contacts.filter_channel"),
            t("contacts.all_channels"),
            rx.foreach(ContactList.channels, lambda kind: rx.select.item(channel_name(kind), value=kind)),
        ),
        _choice(
            "out",
            ContactList.out,
            t("contacts.filter_out"),
            t("contacts.all_out"),
            rx.select.item(t("contacts.out_no"), value="no"),
            rx.select.item(t("contacts.out_yes"), value="yes"),
        ),
        rx.cond(
            ContactList.may_edit,
            rx.fragment(
                segment_buttons(),
                rx.cond(
                    ContactList.segment != ALL,
                    rx.button(
                        t("contacts.delete_segment"),
                        variant="ghost",
                        color_scheme="gray",
                        on_click=ContactList.delete_segment,
                    ),
                ),
            ),
        ),
        class_name="ps-tools",
    )


def _list() -> rx.Component:
    return rx.fragment(
        rx.flex(
            rx.el.span(t("contacts.count", n=ContactList.total), class_name="ps-sub ps-num"),
            rx.cond(
                ContactList.marked.length() > 0,
                rx.flex(
                    rx.el.span(t("contacts.marked", n=ContactList.marked.length()), class_name="ps-sub ps-num"),
                    rx.button(
                        rx.icon("tag", size=14),
                        t("contacts.tag"),
                        size="1",
                        on_click=ContactList.ask_tags(True),
                        data_testid="tag",
                    ),
                    rx.button(
                        t("contacts.unmark"),
                        size="1",
                        variant="soft",
                        color_scheme="gray",
                        on_click=ContactList.mark(ALL, False),
                    ),
                    spacing="2",
                    align="center",
                ),
            ),
            justify="between",
            align="center",
            min_height="32px",
        ),
        rx.el.div(
            rx.el.div(
                rx.checkbox(
                    checked=ContactList.marked.length() >= ContactList.rows.length(),
                    on_change=lambda yes: ContactList.mark(ALL, yes),
                    aria_label=t("contacts.mark_all"),
                ),
                rx.el.span(t("contacts.name")),
                rx.el.span(t("contacts.reach")),
                rx.el.span(t("contacts.tags"), class_name="ps-wide"),
                rx.el.span(t("contacts.seen"), class_name="ps-wide"),
                class_name="ps-row ps-row-head ps-contact-row",
            ),
            rx.el.div(rx.foreach(ContactList.rows, _row), role="list", id=LIST_ID),
            ListKeys.create(list_id=LIST_ID),
            class_name="ps-list",
        ),
        rx.cond(
            ContactList.has_more,
            rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=ContactList.show_more),
        ),
    )


def _row(item: rx.Var[ContactItem]) -> rx.Component:
    name = rx.cond(
        item.name != "",
        item.name,
        rx.cond(item.phone != "", item.phone, rx.cond(item.email != "", item.email, t("talks.somebody"))),
    )
    return rx.el.div(
        rx.el.div(
            rx.checkbox(
                checked=item.is_marked,
                on_change=lambda yes: ContactList.mark(item.id, yes),
                aria_label=t("contacts.mark", name=name),
            ),
            class_name="ps-above",
        ),
        rx.el.div(
            rx.link(name, href=f"/contacts/{item.id}", class_name="ps-cover ps-truncate", underline="none"),
            rx.cond(
                item.is_out,
                rx.badge(
                    rx.icon("bell-off", size=12, custom_attrs={"aria-hidden": "true"}),
                    t("contacts.out_yes"),
                    color_scheme="amber",
                    high_contrast=True,
                ),
            ),
            style={"display": "flex", "gap": "8px", "align_items": "center", "min_width": 0},
        ),
        rx.el.div(
            rx.el.div(rx.cond(item.phone != "", item.phone, item.email), class_name="ps-truncate ps-num"),
            rx.el.div(
                rx.foreach(item.channels, lambda kind: rx.el.span(channel_name(kind), " ")),
                class_name="ps-sub ps-truncate",
            ),
            class_name="ps-cell",
        ),
        rx.el.div(
            rx.foreach(item.tags, lambda tag: rx.badge(tag, color_scheme="gray")), class_name="ps-wide ps-tag-cell"
        ),
        rx.el.div(When.create(iso=item.seen_at), class_name="ps-sub ps-wide"),
        class_name="ps-row ps-contact-row",
        data_link="true",
        role="listitem",
        key=item.id,
    )


def _nothing() -> rx.Component:
    return rx.cond(
        ContactList.is_narrowed,
        empty("search-x", t("contacts.nothing_title"), t("contacts.nothing_text")),
        empty(
            "contact",
            t("contacts.empty_title"),
            t("contacts.empty_text"),
            rx.button(rx.icon("plus", size=16), t("contacts.add"), on_click=ContactList.ask_new(True)),
            rx.cond(
                ContactList.may_edit,
                rx.button(t("contacts.import"), variant="soft", on_click=ContactList.ask_import(True)),
            ),
        ),
    )


def dialog(
    is_open: rx.Var[bool], on_close: object, title: rx.Var[str], *content: rx.Component, width: str = "480px"
) -> rx.Component:
    """A form over the page."""
    return rx.dialog.root(
        rx.dialog.content(rx.dialog.title(title, size="4"), *content, max_width=width, aria_describedby=None),
        open=is_open,
        on_open_change=on_close,
    )


def buttons(do: rx.Var[str]) -> rx.Component:
    """Cancel, and do it."""
    return rx.flex(
        rx.dialog.close(rx.button(t("common.cancel"), variant="soft", color_scheme="gray", type="button")),
        rx.button(do, type="submit", data_testid="do"),
        spacing="3",
        justify="end",
        margin_top="20px",
    )


def _input(name: str, **more: object) -> rx.Component:
    return rx.el.div(rx.text_field(name=name, id=f"new-{name}", **more))


def _new_dialog() -> rx.Component:
    return dialog(
        ContactList.is_adding,
        ContactList.ask_new,
        t("contacts.add"),
        rx.form(
            *[field(t(f"contacts.{k}"), _input(k), field_id=f"new-{k}") for k in ("name", "phone", "email")],
            buttons(t("contacts.add_do")),
            on_submit=ContactList.add,
        ),
    )


def _tag_dialog() -> rx.Component:
    return dialog(
        ContactList.is_tagging,
        ContactList.ask_tags,
        t("contacts.tag_title", n=ContactList.marked.length()),
        rx.form(
            *[field(t(f"contacts.tag_{k}"), _input(k), field_id=f"new-{k}") for k in ("add", "remove")],
            rx.el.p(t("contacts.tag_hint"), class_name="ps-hint"),
            buttons(t("contacts.tag")),
            on_submit=ContactList.put_tags,
        ),
    )


def _import_dialog() -> rx.Component:
    def column(c: rx.Var[Column]) -> rx.Component:
        return rx.el.div(
            rx.el.div(
                rx.el.strong(c.name), rx.el.div(c.sample, class_name="ps-sub ps-truncate"), style={"min_width": 0}
            ),
            rx.select.root(
                rx.select.trigger(aria_label=c.name),
                rx.select.content(
                    rx.select.item(t("contacts.import_skip"), value=SKIP),
                    rx.foreach(
                        ContactList.keys,
                        lambda k: rx.select.item(t_of(k.id, "contacts.", otherwise=k.name), value=k.id),
                    ),
                ),
                name="column" + c.place.to_string(),
                default_value=c.key,
            ),
            class_name="ps-row ps-row-two",
            key=c.place,
        )

    return dialog(
        ContactList.is_import_open,
        ContactList.ask_import,
        t("contacts.import_title"),
        rx.cond(
            ContactList.draft != "",
            rx.form(
                rx.el.p(t("contacts.import_columns", n=ContactList.importing.total), class_name="ps-hint"),
                rx.el.div(
                    rx.foreach(ContactList.columns, column),
                    class_name="ps-list",
                    style={"max_height": "50vh", "overflow": "auto"},
                ),
                rx.cond(
                    ContactList.chains.length() > 0,
                    field(
                        t("contacts.import_chain"),
                        rx.select.root(
                            rx.select.trigger(id="import-chain", aria_label=t("contacts.import_chain"), width="100%"),
                            rx.select.content(
                                rx.select.item(t("contacts.import_no_chain"), value=ALL),
                                rx.foreach(ContactList.chains, lambda c: rx.select.item(c.name, value=c.id)),
                            ),
                            name="chain",
                            default_value=ALL,
                        ),
                        field_id="import-chain",
                    ),
                ),
                buttons(t("contacts.import_do")),
                on_submit=ContactList.begin_import,
            ),
            rx.cond(
                ContactList.importing.id != "",
                rx.fragment(
                    _bar(),
                    rx.cond(
                        ContactList.problems.length() > 0,
                        rx.el.div(
                            rx.foreach(
                                ContactList.problems,
                                lambda p: rx.el.div(
                                    t("contacts.import_row", row=p.row), " ", p.message, class_name="ps-row"
                                ),
                            ),
                            class_name="ps-list",
                            style={"max_height": "40vh", "overflow": "auto", "margin_top": "12px"},
                        ),
                    ),
                    rx.flex(
                        rx.dialog.close(rx.button(t("contacts.close"), variant="soft")),
                        justify="end",
                        margin_top="16px",
                    ),
                ),
                rx.fragment(
                    rx.el.p(t("contacts.import_text"), class_name="ps-hint"),
                    CsvChoice.create(label=t("contacts.import_choose"), on_kept=ContactList.kept),
                ),
            ),
        ),
        width="620px",
    )


def _bar() -> rx.Component:
    work = ContactList.importing
    return rx.el.div(
        rx.cond(
            work.state == "waiting",
            rx.fragment(
                rx.el.p(t("contacts.import_going", done=work.position, total=work.total), class_name="ps-num"),
                rx.progress(value=work.percent, aria_label=t("contacts.import_title")),
                rx.button(
                    t("contacts.import_stop"),
                    size="1",
                    variant="soft",
                    color_scheme="gray",
                    on_click=ContactList.cancel_import,
                    margin_top="8px",
                ),
            ),
            rx.el.p(
                rx.cond(
                    work.state == "failed",
                    work.error,
                    rx.fragment(
                        t("contacts.import_done", created=work.created, updated=work.updated, broken=work.broken),
                        rx.cond(work.enrolled > 0, rx.fragment(" ", t("contacts.import_enrolled", n=work.enrolled))),
                    ),
                ),
                role="status",
            ),
        ),
        data_testid="import-progress",
    )


def _progress() -> rx.Component:
    return rx.cond(
        (ContactList.importing.id != "") & ~ContactList.is_import_open & (ContactList.importing.state == "waiting"),
        rx.el.section(_bar(), class_name="ps-card", style={"margin_bottom": "16px"}),
    )
