"""A designer makes an update rule in the browser, a client speaks, and the change shows with its sentence and is undone."""

import os
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.storage.update_checks import CheckSweep
from graph_runtime.worker.update_checks import UpdateLooks
from tests.api.conftest import Address
from tests.axe import serious
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, screens  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def test_a_designer_makes_a_rule_and_takes_back_what_it_did(
    services: Services,
    tab: Tab,
    talk: Talk,
    admin: Any,
    browser: Browser,  # noqa: F811
    address: Address,  # noqa: F811
) -> None:
    who = talk.who
    (agent,) = await services.agents.list(who)
    admin.execute("UPDATE member SET language = 'en'")
    await services.contact_segments.put_field(who, "plan", "Plan", "choice", ("Basic", "Pro"))
    context = await browser.new_context(
        base_url=address.http, locale="en", bypass_csp=True, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(15_000)
    token = tab.cookie.rpartition("=")[2]
    await context.add_cookies([{"name": "patchcord_session", "value": token, "url": address.http}])
    page = await context.new_page()
    await page.goto(f"/agents/{agent.id}")
    await page.get_by_role("tab", name="Update rules").click()
    await expect(page.get_by_text("Nothing is noted by itself yet")).to_be_visible()
    await shot(page, "1-empty")
    await page.get_by_test_id("add-rule").click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("#rule-when").fill("which plan they want")
    await dialog.locator("#rule-field").click()
    await page.get_by_role("option", name="Plan").click()
    await dialog.locator("input[name=trial_text]").fill("I would take Pro. Thanks")
    await dialog.get_by_test_id("try-rule").click()
    await expect(dialog.get_by_test_id("rule-trial")).to_contain_text("It would set: Pro")
    await expect(dialog.get_by_test_id("rule-trial")).to_contain_text("“I would take Pro.”")
    # A fixed value is one of the field's own; a yes to a question needs a model or words.
    await dialog.locator("#rule-source").click()
    await page.get_by_role("option", name="a fixed value").click()
    await expect(dialog.get_by_test_id("rule-problems-words")).to_contain_text("Needs a model")
    await dialog.locator("#rule-value").click()
    await page.get_by_role("option", name="Basic").click()
    await dialog.locator("#rule-words").fill("cheap*")
    await dialog.locator("#rule-words").blur()
    await expect(dialog.get_by_test_id("rule-problems-words")).to_have_text("")
    await shot(page, "2-form")
    assert await serious(page) == []
    await dialog.locator("#rule-source").click()
    await page.get_by_role("option", name="what the client said").click()
    await dialog.locator("#rule-words").fill("")
    await dialog.get_by_test_id("save-rule").click()
    await expect(page.get_by_text("When the client says which plan they want")).to_be_visible()
    await services.update_rules.create(who, agent.id, {"field": "email", "when": "their e-mail", "overwrite": "ask"})
    await services.update_rules.create(who, agent.id, {"field": "name", "when": "their full name"})
    await talk.say("Pro, please. Write to marta@example.com")
    await UpdateLooks(CheckSweep(services.database), services.update_checks).once()
    await page.reload()
    await page.get_by_role("tab", name="Update rules").click()
    await expect(page.get_by_test_id("rule-changes")).to_contain_text("Pro, please.")
    await expect(page.get_by_test_id("proposals")).to_contain_text("marta@example.com")
    await shot(page, "3-list")
    assert await serious(page) == []
    await page.get_by_test_id("accept-change").click()
    await expect(page.get_by_text("“E-mail” is set.")).to_be_visible()
    (contact,) = (await services.contacts.listed(who)).contacts
    assert (contact["email"], contact["fields"]["plan"]) == ("marta@example.com", "Pro")
    await services.contacts.update(who, contact["id"], {"email": "other@example.com"})
    changes = page.get_by_test_id("rule-changes").get_by_role("listitem")
    await changes.filter(has_text="E-mail").get_by_test_id("undo-change").click()
    await expect(page.get_by_text("has been changed since (now: other@example.com)")).to_be_visible()
    await page.set_viewport_size({"width": 400, "height": 860})
    await page.emulate_media(color_scheme="dark")
    await page.evaluate("localStorage.setItem('theme', 'dark')")
    await page.goto(f"/contacts/{contact['id']}")
    await expect(page.get_by_text("An update rule set a field").first).to_be_visible()
    await changes.filter(has_text="Plan").get_by_test_id("undo-change").click()
    await expect(page.get_by_text("“Plan” is as it was before.")).to_be_visible()
    await expect(page.get_by_role("combobox", name="Plan")).to_contain_text("—")
    assert (await services.contacts.get(who, contact["id"]))["fields"].get("plan") is None
    await shot(page, "4-narrow-contact")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    admin.execute("UPDATE member SET language = 'uk'")
    await page.close()
    page = await context.new_page()  # a tab remembers its member
    await page.set_viewport_size({"width": 400, "height": 860})
    await page.emulate_media(color_scheme="dark")
    await page.goto(f"/agents/{agent.id}")
    await page.get_by_role("tab", name="Правила оновлення").click()
    await expect(page.get_by_text("Коли клієнт каже, which plan they want").first).to_be_visible()
    await shot(page, "5-narrow-uk")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await page.get_by_test_id("rule-menu").first.click()
    await page.get_by_role("menuitem", name="Змінити правило").click()
    await expect(page.get_by_role("dialog").get_by_text("Що саме, простими словами")).to_be_visible()
    await shot(page, "6-narrow-form")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("rule-menu").first.click()
    await page.get_by_role("menuitem", name="Видалити правило").click()
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("rule-menu")).to_have_count(2)
    await context.close()
