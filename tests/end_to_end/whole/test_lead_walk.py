"""Somebody who does not program connects a bot and a customer system, draws the way from a question to a deal and to a person,
and publishes; people run through it over the bot and on the web page; a colleague takes over, answers and gives back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.axe import serious_now
from tests.end_to_end.whole.conftest import PICTURES
from tests.end_to_end.whole.designer import Designer, open_dialog
from tests.end_to_end.whole.stack import wait_until
from tests.end_to_end.whole.test_designer_and_client import Client
from tests.end_to_end.whole.test_looks import speaks
from tests.fakes.kommo import CLIENT, Kommo, kommo
from tests.fakes.telegram import Bot, TelegramFake, telegram

__all__ = ["speaks"]
pytestmark = pytest.mark.timeout(240, func_only=True)
ROOT = Path(os.environ.get("PATCHCORD_PICTURES") or PICTURES / "lead")
SHOP = "Shop on Kommo"
QUESTIONS = ["Your number?", "Your name?", "One moment."]
BACK = "Back with you: Friday it is"
LOOKS = (("en", "light", 1280), ("ru", "dark", 1280), ("ru", "dark", 400))


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


@pytest.fixture
def bots() -> Iterator[TelegramFake]:
    with telegram() as running:
        yield running


@pytest.fixture
def operator(designer: Designer, owner: Path, new_context: Callable[..., BrowserContext]) -> Page:
    """A colleague's tab with the inbox, where nobody waits yet."""
    page = new_context(storage_state=json.loads(owner.read_text()), viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{designer.url}/inbox")
    expect(page.locator(".ps-empty")).to_be_visible()
    return page


def test_from_an_empty_canvas_to_a_deal_and_a_person(
    designer: Designer, client: Page, operator: Page, fake: Kommo, bots: TelegramFake, speaks: Callable[[str, str], None]
) -> None:  # fmt: skip
    ROOT.mkdir(parents=True, exist_ok=True)
    fake.add("leads", name="Wedding in June", price=900, pipeline_id=1, status_id=11)
    fake.add("contacts", name="Marta", phone="+380 67 000-11-22", email="marta@example.com")
    grant(designer, fake)
    designer.create_agent("Florist")
    steps = draw(designer)
    designer.publish("With deals")
    public, canvas = designer.state("s.agent.public_id"), designer.page.url
    bots.bot("Flowers")  # the other walk through this installation connects the first
    bot = bots.bot("Florist")
    connect(designer, bot)

    write(bot, "+380501112233", "Olena")
    take_over(operator, "+380501112233")
    wait_until(lambda: "Anna speaking" in bot.texts(), 20, "the person's words reach the client")
    bot.write("Friday, please")
    give_back(operator, "Friday, please")
    wait_until(lambda: bot.texts()[-1] == BACK, 20, "the agent goes on")
    assert bot.texts() == [*QUESTIONS, "Anna speaking", BACK]

    visitor = Client(client)
    client.goto(f"{designer.url}/chat/{public}")
    for question, answer in zip(QUESTIONS, ("+380671112233", "Taras"), strict=False):
        visitor.hears(question)
        visitor.says(answer)
    visitor.hears("One moment.")
    take_over(operator, "+380671112233")
    visitor.hears("Anna speaking")
    visitor.says("Friday, please")
    give_back(operator, "Friday, please")
    visitor.hears(BACK)

    deals = [lead for lead in fake.records["leads"].values() if lead["name"].startswith("Bouquet")]
    assert [(d["name"], d["status_id"]) for d in deals] == [("Bouquet for Olena", 12), ("Bouquet for Taras", 12)]
    assert len(fake.calls("POST", "/api/v4/leads")) == 2
    assert [n["params"]["text"] for n in fake.notes] == ["Wrote to us: Olena", "Wrote to us: Taras"]
    assert {n["entity_id"] for n in fake.notes} == {d["id"] for d in deals}
    looks(designer, canvas, steps, speaks)


def grant(me: Designer, fake: Kommo) -> None:
    """OAuth in the browser: the form, the account's own page, and back."""
    page = me.page
    page.goto(f"{me.url}/connections")
    open_dialog(page, "add-link", "#link-base_url")
    page.locator("#link-label").fill(SHOP)
    page.locator("#link-base_url").fill(fake.url)
    page.locator("#link-way_in").select_option("oauth")
    page.locator("#link-client_id").fill(CLIENT["client_id"])
    page.locator("#link-client_secret").fill(CLIENT["client_secret"])
    page.get_by_text("More options").click()
    page.locator("#link-authorize_url").fill(f"{fake.url}/oauth")
    page.locator("#link-allow_private_host").check()
    picture(page, "oauth-form")
    page.get_by_test_id("save-link").click()
    row = page.get_by_role("listitem").filter(has_text=SHOP)
    row.get_by_test_id("connect-link").click()
    expect(page.get_by_role("heading", name="Allow int-1 to use the account?")).to_be_visible()
    assert "code_challenge_method=S256" in page.url
    assert "state=" in page.url
    page.locator("#allow").click()
    expect(row.get_by_text("Works", exact=True)).to_be_visible()
    # The account is told our address by itself.
    expect(row.get_by_test_id("link-hears")).to_contain_text("Changes made there are heard")
    assert "code=" not in page.url
    assert CLIENT["client_secret"] not in page.content()
    picture(page, "oauth-granted")


def draw(me: Designer) -> dict[str, str]:
    """Ask, validate, find, create, set the stage, leave a note, hand over, say what came of it.

    The ids of the steps whose forms are looked at, by what they do.
    """
    page = me.page
    phone = me.add_after("n_start", "next", "ask")
    me.write("text", "Your number?")
    me.field("kind").locator("select").select_option(label="A phone number")
    me.keep_in_new_variable("save_to", "Phone")
    check = me.after(phone, "Validate")
    me.field("variable").locator("select").select_option(label="Phone")
    page.get_by_test_id("add-rules").click()
    me.field("rules").locator("select").first.select_option(label="Is a phone number")
    me.leave_by("failed", "Ask")
    find = me.after(check, "Find in CRM")
    me.field("connection").locator("select").select_option(label=SHOP)
    me.choose_data("value", "Phone")
    look_at_marta(me)
    name = me.after(find, "Ask")
    me.rename("Ask the name")
    me.write("text", "Your name?")
    me.keep_in_new_variable("save_to", "Name")
    me.select(find)
    me.leave_by("not_found", "Ask the name")
    me.see_everything()
    me.select(name)
    deal = me.after(name, "Update CRM")
    me.rename("Make a deal")
    # The same account as in the step before, without asking.
    expect(me.field("connection").locator("option:checked")).to_have_text(SHOP)
    me.choose_data("value", "Phone")
    me.write_field(0, "Name")
    me.write("values.0.value", "Bouquet for ")
    me.add_data("values.0.value", "Name")
    me.write_field(1, "Stage")
    me.field("values.1.value").locator("select").select_option(label="New")
    stage = me.after(deal, "Update CRM")
    me.rename("Move the deal")
    by_number(me)
    me.write_field(0, "Stage")
    value = me.field("values.0.value").locator("select")
    expect(value.locator("option")).to_have_text(
        ["Choose a value", "New", "Offer sent", "Won", "Text or data of the conversation"]
    )
    value.select_option(label="Offer sent")
    picture(page, "crm-stage")
    note = me.after(stage, "Update CRM")
    me.rename("Leave a note")
    by_number(me)
    me.write("note", "Wrote to us: ")
    me.add_data("note", "Name")
    hand = me.after(note, "Hand to a person")
    me.write("text", "One moment.")
    me.write("summary", "Wants a bouquet: ")
    me.add_data("summary", "Phone")
    said = me.after(hand, "Message")
    assert me.state(f"s.doc.edges['{hand}.returned']") == said
    me.write("text", "Back with you: ")
    me.add_data("text", "Note of the colleague")
    end = me.after(said, "End")
    me.tidy()
    close_the_rest(me)
    me.wait_saved()
    settings = me.state(f"s.doc.nodes['{stage}'].settings")
    assert settings["values"] == [{"field": "stage", "value": "1:12"}]
    assert me.state(f"s.doc.nodes['{end}'].type") == "end"
    assert serious_in_panel(page) == []
    return {"find": find, "deal": deal, "stage": stage, "note": note, "hand": hand}


def look_at_marta(me: Designer) -> None:
    """A real record is shown, and a click keeps one of its values."""
    page = me.page
    look = page.get_by_test_id("crm-look")
    look.get_by_test_id("look-show").click()
    expect(look.get_by_test_id("look-record")).to_contain_text("Marta")
    expect(look).to_contain_text("marta@example.com")
    look.locator("[data-field=name]").click()
    look.get_by_test_id("look-keep").locator("select").select_option(label="+ New variable…")
    page.get_by_test_id("new-variable-name").fill("Known as")
    page.get_by_test_id("new-variable-make").click()
    expect(look.locator(".pp-tree-kept")).to_have_text("kept in Known as")
    look.get_by_test_id("look-value").fill("+380999999999")
    look.get_by_test_id("look-show").click()
    expect(look).to_contain_text("There is no such record.")
    look.get_by_test_id("look-value").fill("067 0001122")
    look.get_by_test_id("look-show").click()
    expect(look.get_by_test_id("look-record")).to_contain_text("Marta")
    look.scroll_into_view_if_needed()
    picture(page, "crm-find")


def by_number(me: Designer) -> None:
    """The deal that the step before made."""
    me.field("by").locator("select").select_option(label="Its number")
    me.choose_data("value", "Number", "Make a deal")


def close_the_rest(me: Designer) -> None:
    """Exits that lead nowhere are mended from the list, until nothing keeps it from being published."""
    page = me.page
    page.get_by_test_id("check-button").click()
    me.wait_saved()  # what is wrong is known once it is saved
    rows = page.get_by_test_id("problems").get_by_role("listitem")
    fixable = rows.filter(has=page.get_by_role("button", name="Add an End"))
    while fixable.count():
        said = fixable.first.inner_text()
        fixable.first.get_by_role("button", name="Add an End").click()
        expect(rows.filter(has_text=said)).to_have_count(0)
    expect(page.get_by_test_id("check-button")).to_have_attribute("data-level", "ok")
    picture(page, "problems")
    page.keyboard.press("Escape")


def connect(me: Designer, bot: Bot) -> None:
    """The bot's token is pasted."""
    page = me.page
    page.goto(f"{me.url}/agents/{me.agent_id}")
    open_dialog(page, "add-telegram", "#bot-token")
    page.fill("#bot-token", bot.token)
    page.get_by_text("A Bot API server of your own").click()
    page.fill("#bot-server", bot.fake.url)
    page.get_by_role("checkbox", name="inside our own network").check()
    page.get_by_test_id("connect-telegram").click()
    expect(page.get_by_test_id("telegram-bot")).to_contain_text("Florist")


def write(bot: Bot, *answers: str) -> None:
    """What a client does in the messenger."""
    for place, text in enumerate(("/start", *answers)):
        bot.write(text)
        wait_until(lambda place=place: len(bot.texts()) > place, 20, f"an answer to {text}")  # type: ignore[misc]
    assert bot.texts() == QUESTIONS


def take_over(page: Page, phone: str) -> None:
    """The conversation that waits is opened, read, taken and answered."""
    page.get_by_role("radio", name="Waiting").click()
    talk = page.locator("#inbox-list .ps-talk")
    expect(talk).to_have_count(1)
    talk.click()
    expect(page.locator(".ps-inbox-side")).to_contain_text(f"Wants a bouquet: {phone}")
    page.get_by_test_id("accept").click()
    page.get_by_test_id("reply").fill("Anna speaking")
    page.get_by_test_id("send").click()
    expect(page.locator(".ps-bubble").filter(has_text="Anna speaking")).to_be_visible()


def give_back(page: Page, last: str) -> None:
    """Only after the client's last words were seen."""
    expect(page.locator(".ps-bubble").last).to_have_text(last)
    picture(page, f"inbox-{last[:6]}")
    page.get_by_test_id("give-back").click()
    page.get_by_role("dialog").locator("textarea").fill("Friday it is")
    page.get_by_test_id("give-back-do").click()
    expect(page.get_by_test_id("reply")).to_have_count(0)


def serious_in_panel(page: Page) -> list[str]:
    """The canvas itself is judged in tests/editor; here it is the side panel."""
    return [fault for fault in serious_now(page) if "pp-" in fault or "pc-inspector" in fault]


def looks(me: Designer, canvas: str, steps: dict[str, str], speaks: Callable[[str, str], None]) -> None:
    """All this in other languages, themes and widths: nothing sticks out, nothing is hard to read."""
    for language, theme, width in LOOKS:
        speaks(language, theme)
        page = me.page = me.page.context.new_page()  # a tab that knows nothing of the language before
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        look = f"{language}-{theme}-{width}"
        page.goto(f"{me.url}/connections")
        expect(page.locator("main").get_by_text(SHOP)).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", language)
        judge(page, f"connections-{look}", width)
        open_dialog(page, "add-link", "#link-base_url")
        page.locator("#link-way_in").select_option("oauth")
        expect(page.locator("#link-client_id")).to_be_visible()
        judge(page, f"oauth-{look}", width)
        if width < 1100:  # the editor only shows there
            continue
        page.goto(canvas)
        me.wait_for_canvas()
        for name, step in steps.items():
            me.see_everything()
            me.select(step)
            if name in ("find", "deal"):
                page.get_by_test_id("look-show").click()
                expect(page.get_by_test_id("look-record")).to_be_visible()
                page.get_by_test_id("look-record").scroll_into_view_if_needed()
                picture(page, f"look-{name}-{look}")
                page.get_by_test_id("inspector").locator(".pp-scroll").evaluate("box => { box.scrollTop = 0; }")
            picture(page, f"step-{name}-{look}")
            assert serious_in_panel(page) == [], (name, look)


def judge(page: Page, name: str, width: int) -> None:
    """Accessible, and not wider than the window."""
    picture(page, name)
    assert serious_now(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def picture(page: Page, name: str) -> None:
    page.screenshot(path=ROOT / f"{name}.png")
