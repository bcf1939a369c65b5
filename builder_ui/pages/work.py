"""The page of work: what waits to be done, by kind, with what can be stopped and tried again."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import Ticker, When
from builder_ui.components.parts import empty, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.work_state import Work, WorkItem

ICONS = {
    "chat": "messages-square", "voice": "phone", "outbox": "send", "bulk": "megaphone", "integrations": "webhook",
    "timers": "calendar-clock", "ingest": "file-input", "copies": "copy",
}  # fmt: skip
COLORS = {"idle": "gray", "busy": "green", "late": "red", "paused": "amber"}


def work_page() -> rx.Component:
    """The page."""
    return page(
        head(t("work.title"), t("work.lead")),
        rx.cond(
            Work.is_denied,
            empty("lock", t("work.denied_title"), t("work.denied_text")),
            rx.cond(Work.is_loaded, _loaded(), skeleton(7)),
        ),
        Ticker.create(active=Work.is_loaded & ~Work.is_denied, every=2000, on_tick=Work.tick),
        title=t("work.title"),
        place="work",
    )


def _loaded() -> rx.Component:
    return rx.fragment(
        rx.cond(
            Work.is_stale,
            _callout("cloud-off", "red", t("work.stale")),
            rx.cond(
                Work.workers == 0,
                _callout("circle-alert", "red", t("work.no_workers")),
                rx.el.p(
                    t("work.workers_n", n=Work.workers), " · ", t_of(Work.wakes, "work.wakes_"), class_name="ps-sub ps-num",
                    style={"margin": "0 0 14px"},
                ),
            ),
        ),
        rx.el.div(rx.foreach(Work.lines, _line), class_name="ps-list", role="list", data_testid="work-lines"),
    )  # fmt: skip


def _callout(icon: str, color: str, text: rx.Var[str]) -> rx.Component:
    return rx.callout.root(
        rx.callout.icon(rx.icon(icon, size=16)), rx.callout.text(text), color_scheme=color, size="1", role="alert",
        margin_bottom="14px",
    )  # fmt: skip


def _line(one: rx.Var[WorkItem]) -> rx.Component:
    *others, (last, last_icon) = ICONS.items()
    sign = rx.match(one.line, *[(k, rx.icon(i, size=18)) for k, i in others], rx.icon(last_icon, size=18))
    return rx.el.div(
        rx.el.span(sign, class_name="ps-tile", custom_attrs={"aria-hidden": "true", "data-key": last}),
        rx.el.div(
            rx.flex(
                rx.el.b(t_of(one.line, "work.line_")),
                rx.badge(
                    t_of(one.health, "work.health_"), high_contrast=True,
                    color_scheme=rx.match(one.health, *list(COLORS.items()), "gray"),
                ),
                spacing="2", align="center", wrap="wrap",
            ),
            rx.el.div(
                rx.cond(
                    one.paused_at != "",
                    rx.fragment(t("work.paused_since"), " ", When.create(iso=one.paused_at)),
                    t_of(one.line, "work.about_"),
                ),
                class_name="ps-sub",
            ),
            style={"min_width": 0},
        ),
        rx.el.dl(
            _figure("waiting", one.waiting),
            rx.el.div(
                rx.el.dt(t("work.oldest")), rx.el.dd(rx.cond(one.oldest_at != "", When.create(iso=one.oldest_at), "–"))
            ),
            _figure("lately", one.lately),
            _figure("failed", one.failed, color=rx.cond(one.failed > 0, "var(--red-11)", "inherit")),
            class_name="ps-work-figures ps-num",
        ),
        rx.cond(
            Work.may_manage,
            rx.flex(
                rx.cond(
                    one.failed > 0,
                    rx.button(
                        rx.icon("rotate-cw", size=14), t("work.retry"), size="1", variant="soft", on_click=Work.retry(one.line),
                        data_testid="retry-" + one.line,
                    ),
                ),
                rx.cond(
                    one.can_pause,
                    rx.cond(
                        one.paused_at != "",
                        rx.button(
                            rx.icon("play", size=14), t("work.resume"), size="1", on_click=Work.set_going(one.line, True),
                            data_testid="resume-" + one.line,
                        ),
                        rx.button(
                            rx.icon("pause", size=14), t("work.pause"), size="1", variant="soft", color_scheme="gray",
                            on_click=Work.set_going(one.line, False), data_testid="pause-" + one.line,
                        ),
                    ),
                ),
                spacing="2", wrap="wrap", justify="end", class_name="ps-work-acts",
            ),
        ),
        class_name="ps-row ps-work", role="listitem", key=one.line,
    )  # fmt: skip


def _figure(name: str, value: rx.Var[int], **style: rx.Var[str]) -> rx.Component:
    return rx.el.div(rx.el.dt(t(f"work.{name}")), rx.el.dd(value, style=dict(style)))
