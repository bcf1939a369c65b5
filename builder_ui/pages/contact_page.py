"""One contact: who they are, what they allow, what happened and what will happen by itself."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card, confirm, empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import LANGUAGE_NAMES, t, t_of
from builder_ui.pages.chain_words import ICONS as CHAIN_ICONS
from builder_ui.pages.chain_words import reason as why
from builder_ui.pages.contact_page_state import ConsentItem, ContactPage, FieldItem, MomentItem
from builder_ui.pages.contact_rules_state import ContactRules
from builder_ui.pages.contacts import buttons, channel_name, dialog
from builder_ui.pages.update_changes import changes, proposals
from graph_runtime.services.contact_values import FIELD_TYPES

ICONS = (
    ("conversation", "messages-square"),
    ("conversation_ended", "check"),
    ("call", "phone"),
    ("delivery", "mail-warning"),
    ("timer", "clock"),
    ("opted_out", "bell-off"),
    ("came_back", "bell"),
    ("merged", "merge"),
    ("imported", "upload"),
    ("tagged", "tag"),
    ("exported", "download"),
    ("rule_applied", "clipboard-pen"),
    ("rule_proposed", "clipboard-pen"),
    ("rule_noted", "clipboard-pen"),
    ("rule_undone", "undo-2"),
    ("trigger_fired", "zap"),
    ("chain_next", "calendar-clock"),
    ("chain_enrolled", "list-plus"),
    ("chain_finished", "list-checks"),
    ("chain_stopped", "list-x"),
    ("chain_skipped", "redo-2"),
    ("chain_failed", "circle-alert"),
    *((f"chain_done_{kind}", icon) for kind, (icon, _) in CHAIN_ICONS.items()),
)


def contact_page() -> rx.Component:
    """Facts at the left, what they allow and the timeline at the right."""
    return page(
        rx.link(
            rx.icon("arrow-left", size=15),
            t("contacts.title"),
            href="/contacts",
            class_name="ps-back",
            underline="hover",
            size="2",
        ),
        rx.cond(
            ContactPage.is_loaded,
            rx.cond(
                ContactPage.is_missing,
                empty(
                    "user-x",
                    t("contacts.missing_title"),
                    t("contacts.missing_text"),
                    rx.link(t("contacts.title"), href="/contacts"),
                ),
                rx.fragment(
                    head(_name(), _lead(), _menu()),
                    rx.el.div(
                        rx.el.div(
                            proposals(ContactRules, with_contact=False),
                            _facts(),
                            _rules(),
                            _timeline(),
                            style={"display": "grid", "gap": "16px"},
                        ),
                        rx.el.div(_allowed(), _places(), style={"display": "grid", "gap": "16px"}),
                        class_name="ps-person",
                    ),
                ),
            ),
            skeleton(6),
        ),
        _merge_dialog(),
        _field_dialog(),
        confirm(
            is_open=ContactPage.is_erasing,
            title=t("contacts.erase_title"),
            text=rx.el.p(t("contacts.erase_text"), style={"margin": 0}),
            do=t("contacts.erase"),
            on_do=ContactPage.erase,
            on_close=ContactPage.ask_erase,
        ),
        title=t("contacts.one"),
        place="contacts",
    )


def _name() -> rx.Var[str]:
    p = ContactPage.person
    return rx.cond(
        p.name != "", p.name, rx.cond(p.phone != "", p.phone, rx.cond(p.email != "", p.email, t("talks.somebody")))
    ).to(str)


def _lead() -> rx.Var[str]:
    return t("contacts.clock", zone=ContactPage.person.zone)


def _menu() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.button(rx.icon("ellipsis", size=16), t("contacts.more"), variant="soft", data_testid="more")
        ),
        rx.dropdown_menu.content(
            rx.cond(
                ContactPage.may_edit,
                rx.dropdown_menu.item(
                    rx.icon("merge", size=15), t("contacts.merge"), on_select=ContactPage.ask_merge(True)
                ),
            ),
            rx.cond(
                ContactPage.may_manage,
                rx.fragment(
                    rx.dropdown_menu.item(
                        rx.el.a(
                            rx.icon("download", size=15),
                            t("contacts.save_zip"),
                            href=f"/api/builder/contacts/{ContactPage.person.id}/data.zip",
                            download=True,
                            style={
                                "display": "flex",
                                "gap": "8px",
                                "align_items": "center",
                                "color": "inherit",
                                "text_decoration": "none",
                            },
                        )
                    ),
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(
                        rx.icon("trash-2", size=15),
                        t("contacts.erase"),
                        color="red",
                        on_select=ContactPage.ask_erase(True),
                    ),
                ),
            ),
        ),
    )


def _text(name: str, value: rx.Var[str], label: rx.Var[str], **more: object) -> rx.Component:
    return field(label, rx.text_field(name=name, id=f"f-{name}", default_value=value, **more), field_id=f"f-{name}")


def _facts() -> rx.Component:
    p = ContactPage.person
    return card(
        t("contacts.about"),
        rx.form(
            rx.el.div(
                _text("name", p.name, t("contacts.name")),
                _text("phone", p.phone, t("contacts.phone"), type="tel"),
                _text("email", p.email, t("contacts.email")),
                _text("tags", p.tags, t("contacts.tags"), placeholder=t("contacts.tags_hint")),
                field(
                    t("contacts.language"),
                    rx.select.root(
                        rx.select.trigger(id="f-language", aria_label=t("contacts.language")),
                        rx.select.content(
                            rx.select.item(t("contacts.unknown"), value="none"),
                            *[rx.select.item(name, value=key) for key, name in LANGUAGE_NAMES.items()],
                        ),
                        name="language",
                        default_value=p.language,
                    ),
                    field_id="f-language",
                ),
                _text("time_zone", p.time_zone, t("contacts.time_zone"), placeholder=p.zone),
                _text("country", p.country, t("contacts.country"), placeholder="UA"),
                rx.foreach(ContactPage.own, _own),
                class_name="ps-person-facts",
            ),
            rx.flex(
                rx.cond(
                    ContactPage.may_edit,
                    rx.button(
                        rx.icon("plus", size=15),
                        t("contacts.add_field"),
                        variant="ghost",
                        type="button",
                        on_click=ContactPage.ask_field(True),
                    ),
                ),
                rx.button(t("common.save"), type="submit", data_testid="save"),
                justify="between",
                align="center",
                margin_top="18px",
            ),
            on_submit=ContactPage.save,
            key=p.id + p.name + p.phone + p.email + p.tags + p.language + p.country + p.time_zone + p.own,
        ),
    )


def _own(item: rx.Var[FieldItem]) -> rx.Component:
    name = "own:" + item.key
    values = rx.select.content(
        rx.select.item("—", value=" "), rx.foreach(item.options, lambda o: rx.select.item(o, value=o))
    )
    control = rx.match(
        item.type,
        (
            "choice",
            rx.select.root(
                rx.select.trigger(aria_label=item.label),
                values,
                name=name,
                default_value=rx.cond(item.value != "", item.value, " "),
            ),
        ),
        ("date", rx.text_field(name=name, default_value=item.value, type="date", aria_label=item.label)),
        ("number", rx.text_field(name=name, default_value=item.value, input_mode="decimal", aria_label=item.label)),
        (
            "yes_no",
            rx.select.root(
                rx.select.trigger(aria_label=item.label),
                rx.select.content(
                    rx.select.item("—", value=" "),
                    rx.select.item(t("contacts.yes"), value="yes"),
                    rx.select.item(t("contacts.no"), value="no"),
                ),
                name=name,
                default_value=rx.cond(item.value != "", item.value, " "),
            ),
        ),
        rx.text_field(name=name, default_value=item.value, aria_label=item.label),
    )
    return rx.el.div(rx.el.label(item.label), control, class_name="ps-field", key=item.key)


def _allowed() -> rx.Component:
    def consent(item: rx.Var[ConsentItem]) -> rx.Component:
        return rx.el.div(
            rx.el.div(item.purpose, rx.el.div(When.create(iso=item.at), class_name="ps-sub")),
            rx.switch(
                checked=item.is_given,
                on_change=lambda yes: ContactPage.set_consent(item.purpose, yes),
                aria_label=item.purpose,
            ),
            class_name="ps-row ps-row-two",
            key=item.purpose,
        )

    is_out = ContactPage.person.opted_out_at != ""
    return card(
        t("contacts.allowed"),
        rx.el.label(
            rx.switch(
                checked=~is_out,
                on_change=lambda yes: ContactPage.set_out(~yes),
                aria_label=t("contacts.may_write"),
                data_testid="may-write",
            ),
            rx.el.span(
                rx.cond(is_out, t("contacts.is_out"), t("contacts.may_write")),
                rx.cond(
                    is_out, rx.el.span(" · ", When.create(iso=ContactPage.person.opted_out_at), class_name="ps-sub")
                ),
            ),
            class_name="ps-check",
        ),
        rx.cond(
            ContactPage.consents.length() > 0,
            rx.el.div(rx.foreach(ContactPage.consents, consent), class_name="ps-list", style={"margin_top": "12px"}),
        ),
        rx.form(
            rx.flex(
                rx.text_field(
                    name="purpose", placeholder=t("contacts.purpose"), aria_label=t("contacts.purpose"), flex="1"
                ),
                rx.button(t("contacts.note"), variant="soft", type="submit"),
                spacing="2",
                margin_top="12px",
            ),
            on_submit=ContactPage.add_consent,
            reset_on_submit=True,
        ),
        hint=t("contacts.allowed_hint"),
    )


def _places() -> rx.Component:
    return card(
        t("contacts.places"),
        rx.cond(
            ContactPage.identities.length() > 0,
            rx.el.div(
                rx.foreach(
                    ContactPage.identities,
                    lambda i: rx.el.div(
                        rx.el.div(
                            channel_name(i.channel),
                            rx.cond(i.label != "", rx.el.span(" · ", i.label, class_name="ps-sub")),
                            rx.cond(
                                i.unreachable_since != "",
                                rx.el.div(
                                    rx.badge(t("contacts.unreachable"), color_scheme="red", high_contrast=True),
                                    " ",
                                    When.create(iso=i.unreachable_since),
                                    class_name="ps-sub",
                                ),
                            ),
                        ),
                        rx.el.span(i.name, class_name="ps-mono ps-sub ps-truncate"),
                        class_name="ps-row ps-row-two",
                    ),
                ),
                class_name="ps-list",
            ),
            rx.el.p(t("contacts.places_none"), class_name="ps-hint"),
        ),
    )


def _rules() -> rx.Component:
    return rx.cond(
        ContactRules.changes.length() > 0,
        card(
            t("update_rules.contact_title"),
            changes(ContactRules, with_contact=False),
            hint=t("update_rules.contact_hint"),
        ),
    )


def _timeline() -> rx.Component:
    return card(
        t("contacts.timeline"),
        rx.cond(
            ContactPage.coming.length() > 0,
            rx.fragment(
                rx.el.h3(t("contacts.coming"), class_name="ps-sub"),
                rx.el.ul(
                    rx.foreach(ContactPage.coming, _moment), class_name="ps-moments", style={"margin_bottom": "18px"}
                ),
                rx.el.h3(t("contacts.past"), class_name="ps-sub"),
            ),
        ),
        rx.cond(
            ContactPage.past.length() > 0,
            rx.el.ul(rx.foreach(ContactPage.past, _moment), class_name="ps-moments"),
            rx.el.p(t("contacts.past_none"), class_name="ps-hint"),
        ),
        rx.cond(
            ContactPage.before != "",
            rx.button(t("common.show_more"), variant="soft", margin_top="14px", on_click=ContactPage.show_more),
        ),
    )


def _moment(item: rx.Var[MomentItem]) -> rx.Component:
    words = t_of(item.kind, "contacts.kind_", otherwise=item.kind)
    icons = [(kind, rx.icon(icon, size=15)) for kind, icon in ICONS]
    return rx.el.li(
        rx.el.span(
            rx.match(item.kind, *icons, rx.icon("pencil", size=15)),
            style={"color": "var(--gray-10)", "padding_top": "2px"},
            custom_attrs={"aria-hidden": "true"},
        ),
        rx.el.div(
            rx.el.div(
                rx.cond(item.path != "", rx.link(words, href=item.path, underline="hover"), rx.el.span(words)),
                rx.cond(item.channel != "", rx.el.span(" · ", channel_name(item.channel))),
                rx.cond(item.actor != "", rx.el.span(" · ", t_of(item.actor, "contacts.by_", otherwise=item.actor))),
                " · ",
                When.create(iso=item.at),
            ),
            rx.cond(
                item.text != "",
                rx.el.div(
                    item.text,
                    rx.cond(item.reason != "", rx.fragment(": ", why(item.reason))),
                    class_name="ps-sub ps-truncate",
                ),
            ),
            style={"min_width": 0},
        ),
        class_name="ps-moment",
        key=item.id,
    )


def _field_dialog() -> rx.Component:
    return dialog(
        ContactPage.is_defining,
        ContactPage.ask_field,
        t("contacts.add_field"),
        rx.form(
            field(
                t("contacts.field_label"),
                rx.text_field(name="label", id="field-label", required=True),
                field_id="field-label",
            ),
            field(
                t("contacts.field_key"),
                rx.text_field(name="key", id="field-key", placeholder="contract_end"),
                field_id="field-key",
                hint=t("contacts.field_key_hint"),
            ),
            field(
                t("contacts.field_type"),
                rx.select.root(
                    rx.select.trigger(id="field-type", aria_label=t("contacts.field_type")),
                    rx.select.content(*[rx.select.item(t(f"contacts.type_{k}"), value=k) for k in FIELD_TYPES]),
                    name="type",
                    default_value="text",
                ),
                field_id="field-type",
            ),
            field(
                t("contacts.field_options"),
                rx.text_field(name="options", id="field-options"),
                field_id="field-options",
                hint=t("contacts.field_options_hint"),
            ),
            buttons(t("contacts.add_do")),
            on_submit=ContactPage.define_field,
        ),
    )


def _merge_dialog() -> rx.Component:
    other = ContactPage.merge_with
    return dialog(
        ContactPage.is_merging,
        ContactPage.ask_merge,
        t("contacts.merge_title"),
        rx.el.p(t("contacts.merge_text"), class_name="ps-hint"),
        rx.text_field(
            placeholder=t("contacts.search"),
            aria_label=t("contacts.search"),
            on_change=ContactPage.find.debounce(250),
            data_testid="find",
        ),
        rx.el.div(
            rx.foreach(
                ContactPage.found,
                lambda c: rx.button(c.name, variant="ghost", color_scheme="gray", on_click=ContactPage.choose(c.id)),
            ),
            style={"display": "grid", "gap": "6px", "margin": "12px 4px", "justify_items": "start"},
        ),
        rx.cond(
            other.id != "",
            rx.el.div(
                rx.el.p(
                    t(
                        "contacts.merge_moves",
                        name=other.name,
                        conversations=other.conversations,
                        places=other.identities,
                    )
                ),
                rx.cond(
                    other.lost != "",
                    rx.el.p(t("contacts.merge_lost", values=other.lost), style={"color": "var(--amber-11)"}),
                ),
                rx.button(t("contacts.merge_do"), color_scheme="red", on_click=ContactPage.merge, data_testid="merge"),
                role="status",
            ),
        ),
        width="520px",
    )
