"""An administrator says in the browser which agents a key serves, and another agent's picker does not offer it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, screens  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def test_a_key_is_given_to_some_agents(
    services: Services,
    tab: Tab,
    who: Principal,
    admin: Any,
    browser: Browser,  # noqa: F811
    address: Address,  # noqa: F811
) -> None:
    shop = await services.agents.create(who, name="Магазин в центре города, приём заказов и доставка")
    school = await services.agents.create(who, name="Школа")
    key = await services.credentials.create(who, "openai", "OpenAI", {"key": "sk-canary-0123456789"})
    await services.agents.bind(who, str(school.id), "llm", credential_id=key.id, connector="openai", model="m")
    admin.execute("UPDATE member SET language = 'ru'")
    context = await browser.new_context(
        base_url=address.http,
        locale="ru",
        bypass_csp=True,
        viewport={"width": 1280, "height": 900},
        color_scheme="dark",
    )
    context.set_default_timeout(15_000)
    token = tab.cookie.rpartition("=")[2]
    await context.add_cookies([{"name": "patchcord_session", "value": token, "url": address.http}])
    page = await context.new_page()
    await page.goto("/models")
    await page.get_by_role("button", name="Ещё действия").click()
    await page.get_by_test_id("who-may-use").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("radio", name="Все агенты рабочего пространства")).to_be_checked()
    await dialog.get_by_role("radio", name="Только некоторые агенты").click()
    await dialog.get_by_role("checkbox", name=shop.name).click()
    await shot(page, "form")
    assert await serious(page) == []
    await page.set_viewport_size({"width": 400, "height": 800})
    await shot(page, "form-400")
    await page.set_viewport_size({"width": 1280, "height": 900})
    await dialog.get_by_test_id("save-who-may-use").click()
    await expect(page.get_by_text("Пока используется: Школа.", exact=False)).to_be_visible()
    await expect(dialog).to_be_visible()
    await shot(page, "refused")
    await dialog.get_by_role("checkbox", name=school.name).click()
    await dialog.get_by_test_id("save-who-may-use").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text(f"Только для: {shop.name}, {school.name}")).to_be_visible()
    await shot(page, "list")
    other = await services.agents.create(who, name="Приёмная")
    assert await services.credentials.list(who, for_agent=str(other.id)) == []
    await page.goto("/connections")
    await expect(page.get_by_text("Только для:", exact=False)).to_be_visible()
    await shot(page, "connections")
    await context.close()
