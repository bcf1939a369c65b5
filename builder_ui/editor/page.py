"""The editor page: the flow editor fills the window; the flow is named by the address."""

from __future__ import annotations

import reflex as rx

from builder_ui.canvas.canvas import flow_editor

ROUTE = "/agents/[agent_id]/flow/[flow_id]"


def flow_page(language: rx.Var[str] | str = "") -> rx.Component:
    """The page of one flow; an empty language means the member's own."""
    return flow_editor(language=language, theme=rx.color_mode)
