"""Knowledge as its person meets it: files dropped on the page, a question tried, an agent asked in the web chat, an honest no,
the question in the list, an article, and the next visitor is answered."""

import asyncio
import base64
import json
import os
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.worker.imports import Importer
from graph_runtime.worker.ingest import Ingest
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, context, screens, sign_in
from tests.fakes import tiny_embedder
from tests.knowledge.files_to_bring import every_file

__all__ = ["address", "browser", "context", "screens"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
PICTURES = os.environ.get("PATCHCORD_TEST_PICTURES", "")
DROP = """(files) => {
    const carried = new DataTransfer();
    for (const [name, content] of Object.entries(files))
        carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
    for (const type of ["dragover", "drop"])
        document.querySelector(".ps-drop").dispatchEvent(new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


async def picture(page: Page, name: str) -> None:
    """With PATCHCORD_TEST_PICTURES: the page wide, narrow and in the dark."""
    if not PICTURES:
        return
    for suffix, width, scheme in (("", 1280, "light"), ("-dark", 1280, "dark"), ("-400", 400, "light")):
        await page.set_viewport_size({"width": width, "height": 860})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.wait_for_timeout(400)
        await page.screenshot(path=str(Path(PICTURES) / f"{name}{suffix}.png"), full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 860})
    await page.emulate_media(color_scheme="light")


async def _a_store_is_chosen(page: Page, services: Services, who: Principal) -> None:
    """And is left again; there is nothing to copy, so no server is needed."""
    values = {"base_url": "http://127.0.0.1:9", "key": "k-1", "allow_private_host": True}
    await services.credentials.create(who, "qdrant", "Сховище", values)
    await page.reload()
    await expect(page.locator("form:has(#set-store)")).to_contain_text("Сховище заповнюється у фоні")
    await page.locator("#set-store").click()
    await page.get_by_role("option", name="Сховище").click()
    await page.get_by_test_id("check-store").click()
    await expect(page.get_by_text("«Сховище» не працює").first).to_be_visible()
    await page.get_by_test_id("save-store").click()
    await expect(page.get_by_test_id("copies")).to_contain_text("Сховище")
    await expect(page.get_by_test_id("fill-again")).to_be_visible()
    assert await serious(page) == []
    await picture(page, "store")
    await page.locator("#set-store").click()
    await page.get_by_role("option", name="PostgreSQL").click()
    await page.get_by_test_id("save-store").click()
    await expect(page.get_by_test_id("fill-again")).to_have_count(0)


async def ask(context: BrowserContext, at: str, *texts: str) -> Page:
    """A visitor opens the chat, writes, and is answered each time."""
    guest = await context.new_page()
    await guest.goto(at)
    await expect(guest.locator("#log .row.agent").first).to_be_visible()
    for text in texts:
        before = await guest.locator("#log .row.agent").count()
        await guest.locator("textarea").fill(text)
        await guest.locator("textarea").press("Enter")
        await expect(guest.locator("#log .row.agent").nth(before)).to_be_visible()
        await expect(guest.locator("#now .typing")).to_be_hidden()
    return guest


async def test_a_person_brings_documents_and_closes_the_loop(
    services: Services, tab: Tab, who: Principal, context: BrowserContext
) -> None:  # fmt: skip
    agent = await services.agents.create(who, name="Крамниця", template="answers_with_sources", language="uk")
    draft = await services.drafts.open(who, agent.main_flow_id)
    await services.publishing.publish(who, agent.main_flow_id, revision=draft.revision)
    chat = f"/chat/{(await services.agents.get(who, agent.id)).public_id}"
    worker = asyncio.gather(
        Ingest(services.knowledge_ingest, services.database.listen).run(),
        Importer(services.knowledge_exchange, seconds=0.2).run(),
    )
    try:
        page = await context.new_page()
        await page.goto("/knowledge")
        await sign_in(page)
        await page.get_by_test_id("add-base").click()
        await page.locator("#base-name").fill("Квіткова крамниця")
        await page.get_by_test_id("save-base").click()
        await expect(page.locator("#content h1")).to_have_text("Квіткова крамниця")
        base = page.url.rpartition("/")[2]
        await services.knowledge_bases.update(who, base, name="Квіткова крамниця", description="", is_public=True)

        files = every_file() | {"tool.exe": b"MZ\0\0\0"}
        await page.evaluate(DROP, {name: base64.b64encode(content).decode() for name, content in files.items()})
        await expect(page.locator(".ps-uploads li")).to_have_count(11)
        await expect(page.locator(".ps-uploads li[data-state=failed]")).to_have_count(2)
        await expect(page.locator(".ps-uploads")).to_contain_text("Такі файли прочитати не можна")
        await expect(page.locator("[data-testid=document]:has([role=progressbar])").first).to_be_visible()
        await expect(page.locator("[data-testid=document][data-state=ready]")).to_have_count(8, timeout=40_000)
        await expect(page.locator("[data-testid=document][data-state=failed]")).to_have_count(1)
        await expect(page.locator("[data-testid=document][data-state=failed]")).to_contain_text("без тексту")
        assert await serious(page) == []
        await picture(page, "documents")
        await services.credentials.create(who, "reranker", "Наш", {"key": "k-1"})
        await page.get_by_role("tab", name="Налаштування").click()
        await expect(page.locator("form:has(#set-reranker)")).to_contain_text("Скільки це коштує")
        await expect(page.locator("#set-reranker")).to_contain_text("Вимкнено")
        await page.locator("#set-reranker").click()
        await page.get_by_role("option", name="Наш").click()
        await page.get_by_test_id("save-reranker").click()
        await expect(page.locator("#set-reranker")).to_contain_text("Наш")
        await _a_store_is_chosen(page, services, who)
        assert await serious(page) == []
        await picture(page, "settings")
        await services.knowledge_bases.set_reranker(who, base, "")

        await page.get_by_role("tab", name="Перевірити запитання").click()
        await page.locator("#try-query").fill("ціна троядни")
        await page.get_by_test_id("try").click()
        await expect(page.get_by_test_id("found").first).to_contain_text("40 євро")
        await expect(page.locator("mark").first).to_be_visible()
        assert await serious(page) == []
        await picture(page, "try")
        for question, found in (("tulip bouqet price", "20 euros"), ("как подрезать стебли", "наискосок")):
            await page.locator("#try-query").fill(question)
            await page.get_by_test_id("try").click()
            await expect(page.get_by_test_id("found").first).to_contain_text(found)

        guest = await ask(context, chat, "Скільки коштує доставка містом?")
        await expect(guest.locator(".source")).to_have_text(["1Доставка"])
        await guest.locator(".source").click()
        await expect(guest.locator(".passage blockquote")).to_contain_text("коштує 5 євро")
        await guest.locator("[data-rate=yes]").click()
        await expect(guest.locator("[data-rate=yes]")).to_have_attribute("aria-pressed", "true")
        assert await serious(guest) == []
        await picture(guest, "chat")
        await expect_answer(await another(context), chat, "How much is a bouquet of tulips?", "20 euros")
        await expect_answer(await another(context), chat, "Как часто подрезать стебли?", "каждые два дня")
        guest = await ask(await another(context), chat, "Чи страхуєте ви папуг?")
        await expect(guest.locator("#log .row.agent").last).to_contain_text("Я не знаю")
        await expect(guest.locator(".source")).to_have_count(0)

        await page.reload()
        await page.get_by_role("tab", name="Документи").click()
        await expect(page.locator("[data-testid=document]", has_text="Доставка")).to_contain_text("в 1 відповіді")
        await page.get_by_role("tab", name="Без відповіді").click()
        await expect(page.get_by_test_id("question")).to_have_count(1)
        await expect(page.get_by_test_id("question")).to_contain_text("Чи страхуєте ви папуг?")
        assert await serious(page) == []
        await picture(page, "questions")
        await page.get_by_test_id("write-article").click()
        await expect(page.locator("#article-title")).to_have_value("Чи страхуєте ви папуг?")
        await page.locator("#article-text").fill("Так, страхуємо папуг **за 12 євро** на рік.")
        await expect(page.locator(".ps-markdown strong")).to_have_text("за 12 євро")
        await picture(page, "article")
        await page.get_by_test_id("save-document").click()
        await expect(page.get_by_test_id("question")).to_have_count(0)
        await page.get_by_role("tab", name="Документи").click()
        await expect(page.locator("[data-testid=document][data-state=ready]")).to_have_count(9, timeout=20_000)
        guest = await ask(await another(context), chat, "страхування папуг")
        await expect(guest.locator("#log")).to_contain_text("12 євро")
        await expect(guest.locator(".source")).to_have_count(1)

        await page.goto("/conversations")
        await page.locator(".ps-split .ps-talk").nth(2).click()  # the third newest asked about stems
        await page.get_by_test_id("answer-source").first.click()
        await expect(page.get_by_test_id("source-passage").first).to_contain_text("наискосок")
        assert await serious(page) == []
        await picture(page, "transcript")
        await page.get_by_role("link", name="Відкрити в базі знань").click()
        await expect(page.get_by_test_id("document").first).to_be_visible()  # the talk and its own dialog have gone
        await expect(page.get_by_role("dialog")).to_contain_text("наискосок")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.goto(f"/knowledge/{base}")
        await travels(page, base)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_a_base_gets_vectors_of_a_model_on_this_machine(
    services: Services, tab: Tab, who: Principal, context: BrowserContext, tmp_path: Path
) -> None:
    """A key is added by its form, and the base gets vectors of its model; then it is searched by words again."""
    models = tmp_path / "models"
    base = (await services.knowledge_bases.create(who, "Крамниця")).id
    await services.knowledge_documents.add_article(who, base, "Доставка", "Доставка коштує 5 євро.")
    worker = asyncio.create_task(Ingest(services.knowledge_ingest, services.database.listen).run())
    try:
        tiny_embedder.make(models / "multilingual-e5-tiny", {"доставка": (1.0, 0, 0), "ціна": (0, 1.0, 0)})
        page = await context.new_page()
        await page.goto("/models")
        await sign_in(page)
        await page.get_by_test_id("add-key").click()
        await page.get_by_role("radio", name="Вектори на цьому комп’ютері").click()
        await page.locator("#key-folder").fill(str(models / "nowhere"))
        await page.get_by_text("Додатково").click()
        await page.locator("#key-prefixes").select_option("e5")
        assert await serious(page) == []
        await picture(page, "model-form")
        await page.get_by_test_id("save-key").click()
        await expect(page.get_by_text("Такої теки на цьому комп’ютері немає").first).to_be_visible()
        await page.get_by_test_id("add-key").click()
        await page.get_by_role("radio", name="Вектори на цьому комп’ютері").click()
        await page.locator("#key-label").fill("Тут")
        await page.locator("#key-folder").fill(str(models))
        await page.get_by_test_id("save-key").click()
        await expect(page.get_by_text("«Тут» працює").first).to_be_visible()
        await page.goto(f"/knowledge/{base}")
        await page.get_by_role("tab", name="Налаштування").click()
        await page.locator("#set-embedder").click()
        await page.get_by_role("option", name="Тут").click()
        await expect(page.locator("#embedder-models option").first).to_have_attribute("value", "multilingual-e5-tiny")
        await page.locator("#set-model").fill("multilingual-e5-tiny")
        form = page.locator("form:has(#set-embedder)")
        await form.get_by_role("button", name="Зберегти").click()
        async with asyncio.timeout(20):
            while await models_of(services, who, base) != {"local_embedder/multilingual-e5-tiny"}:  # noqa: ASYNC110  # a row tells nobody
                await asyncio.sleep(0.1)
        await page.get_by_role("tab", name="Документи").click()
        await expect(page.locator("[data-testid=document][data-state=ready]")).to_have_count(1)
        await page.get_by_role("tab", name="Налаштування").click()
        await page.locator("#set-embedder").click()
        await page.get_by_role("option").first.click()
        await form.get_by_role("button", name="Зберегти").click()
        async with asyncio.timeout(20):
            while (await services.knowledge_bases.get(who, base)).embedder:  # noqa: ASYNC110  # nor this one
                await asyncio.sleep(0.1)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def models_of(services: Services, who: Principal, base: str) -> set[str]:
    """Which models made the vectors of a base; "" stands for none."""
    async with services.database.workspace(who.workspace_id) as connection:
        cursor = await connection.execute(
            "SELECT DISTINCT coalesce(embedding_model, '') AS model FROM knowledge_passage WHERE knowledge_base_id = %s",
            (base,),
        )
        return {row["model"].partition("@")[0] async for row in cursor}


async def expect_answer(guest: BrowserContext, chat: str, question: str, answer: str) -> None:
    """A visitor is answered from a source that opens: the passage, and the page of its document."""
    page = await ask(guest, chat, question)
    await expect(page.locator("#log")).to_contain_text(answer)
    await page.locator(".source").first.click()
    await expect(page.locator(".passage blockquote")).to_contain_text(answer)
    at = await page.locator(".passage a").get_attribute("href")
    assert at is not None
    await page.goto("/" + at.split("/", 3)[3])
    await expect(page.locator("main")).to_contain_text(answer)
    await guest.close()


async def travels(page: Page, base: str) -> None:
    """An article gets a file and a relation; a table of pairs comes in with a report; the base goes out whole."""
    await page.locator("[data-testid=document]", has_text="папуг").locator(".ps-title-button").click()
    await page.get_by_role("dialog").get_by_role("searchbox").fill("Достав")
    await page.get_by_test_id("relate").first.click()
    await expect(page.get_by_test_id("beside")).to_have_count(1)
    drop = "document.querySelector('[role=dialog] .ps-drop')"
    file = {"names.txt": base64.b64encode("Імена папуг: Кеша, Рома.".encode()).decode()}
    await page.evaluate(DROP.replace('document.querySelector(".ps-drop")', drop), file)
    await expect(page.get_by_test_id("beside")).to_have_count(2)
    assert await serious(page) == []
    await picture(page, "beside")
    await page.keyboard.press("Escape")

    await page.get_by_test_id("travel").click()
    await page.get_by_test_id("bring-in").click()
    table = (
        "запитання;відповідь;категорія\nЄ листівки?;Так, з 2 євро.;Подарунки\nЄ кульки?;;\nЄ коробки?;Так.;Подарунки\n"
    )
    await page.get_by_test_id("knowledge-import").set_input_files(
        {"name": "pairs.csv", "mimeType": "text/csv", "buffer": table.encode()}
    )
    await expect(page.get_by_test_id("bring-in-progress")).to_have_attribute("data-state", "done")
    await expect(page.get_by_test_id("bring-in-progress")).to_contain_text("Нових: 2")
    await expect(page.get_by_test_id("bring-in-problem")).to_have_count(1)
    assert await serious(page) == []
    await picture(page, "import")
    await page.keyboard.press("Escape")
    await expect(page.locator(".ps-category", has_text="Подарунки")).to_contain_text("2")
    await page.get_by_test_id("travel").click()
    await picture(page, "export")
    async with page.expect_download() as started:
        await page.get_by_role("menuitem", name="Зберегти все").click()
    inside = zipfile.ZipFile(await (await started.value).path())
    assert len(json.loads(inside.read("knowledge.json"))["documents"]) == 13
    assert sum(name.startswith("files/") for name in inside.namelist()) == 10


async def another(context: BrowserContext) -> BrowserContext:
    """A browser of somebody else, with the same server."""
    assert context.browser is not None
    here = context.pages[0].url.split("/", 3)
    made = await context.browser.new_context(base_url="/".join(here[:3]), locale="uk", bypass_csp=True)
    made.set_default_timeout(15_000)
    return made
