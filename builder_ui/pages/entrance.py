"""The gate: the first run, signing in, and addresses that lead nowhere."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import OwnerForm, PageSetup, SignInForm
from builder_ui.components.parts import empty
from builder_ui.components.shell import brand, gate
from builder_ui.i18n import t
from builder_ui.session import Session, acting, open_to_all, services
from graph_runtime.contract.errors import NotSignedIn


class Entrance(Session):
    """Sends people to the right door: the first run happens once, and a signed-in member needs no sign-in page."""

    @open_to_all
    async def at_sign_in(self) -> Any:
        """The sign-in page was opened."""
        if await services().accounts.needs_owner():
            return rx.redirect("/setup", replace=True)
        return await self._home_if_signed_in()

    @open_to_all
    async def at_setup(self) -> Any:
        """The first-run page was opened."""
        if not await services().accounts.needs_owner():
            return await self._home_if_signed_in() or rx.redirect("/login", replace=True)
        return None

    async def _home_if_signed_in(self) -> Any:
        try:
            await acting(self)
        except NotSignedIn:
            return None
        return rx.redirect("/", replace=True)


def login_page() -> rx.Component:
    """Sign in."""
    return gate(SignInForm.create(), title=t("login.title"), lead=t("login.lead"))


def setup_page() -> rx.Component:
    """The first person creates the workspace."""
    return gate(OwnerForm.create(), title=t("setup.title"), lead=t("setup.lead"))


def missing_page() -> rx.Component:
    """An address that leads nowhere."""
    return rx.fragment(
        PageSetup.create(title=t("missing.title")),
        rx.el.div(
            rx.el.header(brand(), class_name="ps-gate-top"),
            rx.el.main(
                empty(
                    "unplug",
                    t("missing.title"),
                    t("missing.text"),
                    rx.link(rx.button(t("missing.home"), tab_index=-1), href="/"),
                    level="h1",
                ),
                style={
                    "padding": "12vh 16px",
                    "width": "min(640px, 100%)",
                    "box_sizing": "border-box",
                    "margin": "0 auto",
                },
            ),
            class_name="ps-gate",
        ),
    )
