"""Knowledge in a real browser: files are brought and read by a worker, an article is written, a question explains itself."""

import asyncio
import os
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.worker.ingest import Ingest
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, context, screens, sign_in

__all__ = ["address", "browser", "context", "screens"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
PICTURES = os.environ.get("PATCHCORD_TEST_PICTURES", "")


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.wait_for_timeout(400)
        await page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


async def test_documents_are_brought_read_and_found(services: Services, tab: Tab, context: BrowserContext) -> None:
    worker = asyncio.create_task(Ingest(services.knowledge_ingest, services.database.listen).run())
    try:
        page = await context.new_page()
        await page.goto("/knowledge")
        await sign_in(page)
        await page.get_by_test_id("add-base").click()
        await picture(page, "empty")
        await page.locator("#base-name").fill("Доставка й повернення")
        await page.get_by_test_id("save-base").click()
        await expect(page.locator("#content h1")).to_have_text("Доставка й повернення")
        await page.get_by_test_id("knowledge-files").set_input_files(
            [
                {
                    "name": "Ціни.csv",
                    "mimeType": "text/csv",
                    "buffer": "місто;ціна\nЛьвів;9 євро\nОдеса;11 євро\n".encode(),
                },
                {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 broken"},
                {"name": "tool.exe", "mimeType": "application/octet-stream", "buffer": b"MZ\0\0\0"},
            ]
        )
        await expect(page.locator(".ps-uploads li[data-state=failed]")).to_contain_text("Такі файли прочитати не можна")
        await expect(page.locator("[data-testid=document][data-state=ready]")).to_have_count(1, timeout=40_000)
        await expect(page.locator("[data-testid=document][data-state=failed]")).to_contain_text("Файл пошкоджено")
        await page.get_by_test_id("add-document").click()
        await page.get_by_role("menuitem", name="Написати статтю").click()
        await page.locator("#article-title").fill("Повернення")
        await page.locator("#article-text").fill(
            "# Повернення\n\nГроші **повертаємо** за три дні.\n\n| a | b |\n|---|---|\n| 1 | 2 |"
        )
        await expect(page.locator(".ps-markdown strong")).to_have_text("повертаємо")
        await picture(page, "article")
        await page.get_by_test_id("save-document").click()
        await expect(page.locator("[data-testid=document][data-state=ready]")).to_have_count(2, timeout=20_000)
        assert await serious(page) == []
        await picture(page, "documents")
        await page.get_by_role("tab", name="Перевірити запитання").click()
        await page.locator("#try-query").fill("доставка Адеса")
        await page.locator("#try-threshold").fill("0.2")
        await page.get_by_test_id("try").click()
        await expect(page.get_by_test_id("found").first).to_contain_text("11 євро")
        await expect(page.locator("mark").first).to_have_text("Одеса")
        assert await serious(page) == []
        await picture(page, "try")
        if PICTURES:
            await page.get_by_role("tab", name="Налаштування").click()
            await picture(page, "settings")
            await page.get_by_role("tab", name="Документи").click()
            await page.locator(".ps-title-button").first.click()
            await picture(page, "passages")
            await page.keyboard.press("Escape")
            await page.set_viewport_size({"width": 400, "height": 860})
            await picture(page, "documents-400")
            await page.get_by_role("tab", name="Перевірити запитання").click()
            await picture(page, "try-400")
            await page.emulate_media(color_scheme="dark")
            await page.set_viewport_size({"width": 1280, "height": 860})
            await page.goto("/knowledge")
            await expect(page.locator(".ps-cover")).to_have_count(1)
            await picture(page, "list-dark")
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
