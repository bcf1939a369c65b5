"""Every template is good enough to keep: it passes the check, reads well in three languages and holds its dialogues."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.forms import walk
from graph_runtime.engine.validate import FlowCheck, Surroundings
from graph_runtime.services.templates import list_templates, localize, template_flows, with_ids
from tests.templates.playing import Template, load, play

ROOT = Path(__file__).resolve().parents[2] / "templates"
LANGUAGES = ("en", "ru", "uk")
FIRST_SIX = {
    "lead_qualification", "faq_with_model", "order_status", "appointment", "satisfaction_survey", "triage_to_person",
}  # fmt: skip
TEMPLATES = [load(folder) for folder in sorted(ROOT.iterdir()) if (folder / "meta.json").exists()]
CARD_WIDTH, HEAD, ROW = 264, 104, 28
ONLY_RUSSIAN, ONLY_UKRAINIAN = set("ыъэёЫЪЭЁ"), set("іїєґІЇЄҐ")


@cache
def catalog() -> Catalog:
    """The installed steps and the demo model."""
    return load_catalog(["nodes", "connectors"])


def every(template: Template) -> list[Flow]:
    """The main flow and the sub-flows."""
    return [template.flow, *template.flows.values()]


def check(template: Template, flow: Flow) -> list[str]:
    """What the flow check says, with a model bound."""
    flows = {f.id: f for f in every(template)} | {flow.id: flow}
    around = Surroundings(flows=flows, bound=frozenset({"llm"}))
    return [f"{p.code} {p.node_id} {p.message()}" for p in FlowCheck(catalog()).check(flow, around)]


each_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.id)


def test_the_first_six_are_there() -> None:
    assert {t.id for t in TEMPLATES} >= FIRST_SIX
    assert len({t.meta["order"] for t in TEMPLATES}) == len(TEMPLATES)


@each_template
def test_it_publishes_without_a_single_remark(template: Template) -> None:
    for flow in every(template):
        assert check(template, flow) == []


@each_template
@pytest.mark.parametrize("language", ["ru", "uk"])
def test_it_can_start_in_another_language(template: Template, language: str) -> None:
    for flow in every(template):
        turned = localize(flow, language)
        assert check(template, turned) == []
        assert turned.edges == flow.edges
        assert set(turned.i18n) == set(LANGUAGES) - {language}
        assert localize(turned, flow.locale) == flow
        wrong = {"ru": ONLY_UKRAINIAN, "uk": ONLY_RUSSIAN}[language]
        named = {n: node.name for n, node in turned.nodes.items()} | {v: x.label for v, x in turned.variables.items()}
        english = {n: node.name for n, node in flow.nodes.items()}
        for place, name in named.items():
            assert not wrong & set(name), (place, name)
            assert name != english.get(place), f"{place} has no name in {language}"


@each_template
def test_every_spoken_text_is_translated(template: Template) -> None:
    for flow in every(template):
        for place, text in spoken(flow).items():
            for language, wrong in (("ru", ONLY_UKRAINIAN), ("uk", ONLY_RUSSIAN)):
                translation = flow.i18n[language].get(place, "")
                assert translation, f"{place} has no {language}"
                assert not wrong & set(translation), (place, translation)
                assert translation.count("{{") == text.count("{{"), place


def spoken(flow: Flow) -> dict[str, str]:
    """Every text that reaches a contact, by its place."""
    found: dict[str, str] = {}
    for node_id, node in flow.nodes.items():
        for value in walk(catalog().nodes[node.type].form(), node.settings):
            texts: list[Any] = value.value if isinstance(value.value, list) else [value.value]
            for i, text in enumerate(texts):
                if value.field.outside and isinstance(text, str) and text.strip():
                    path = f"{value.path}.{i}" if isinstance(value.value, list) else value.path
                    found[f"{node_id}.{path}"] = text
    return found


@each_template
def test_it_is_of_a_good_size_and_laid_out_without_overlaps(template: Template) -> None:
    assert 8 <= sum(len(f.nodes) for f in every(template)) <= 28
    assert 8 <= len(template.flow.nodes) <= 20
    for flow in every(template):
        facts = FlowCheck(catalog()).ports(flow)
        assert set(flow.layout.nodes) == set(flow.nodes)
        boxes = [
            (x, y, x + CARD_WIDTH, y + HEAD + ROW * len(facts[n].ports)) for n, (x, y) in flow.layout.nodes.items()
        ]
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (flow.id, a, b)
        assert all(x % 16 == 0 and y % 16 == 0 for x, y in flow.layout.nodes.values())


@each_template
def test_it_introduces_itself_in_three_languages(template: Template) -> None:
    assert template.meta["id"] == template.id == template.flow.id
    for language in LANGUAGES:
        assert 0 < len(template.meta["name"][language]) <= 40
        assert 20 <= len(template.meta["summary"][language]) <= 160


async def test_the_gallery_shows_all_of_them_in_order() -> None:
    for language in LANGUAGES:
        shown = await list_templates(language, catalog())
        assert [t.id for t in shown] == [t.id for t in sorted(TEMPLATES, key=lambda t: int(t.meta["order"]))]
        assert all(t.preview and t.name and t.summary for t in shown)


@each_template
def test_it_becomes_the_flows_of_an_agent(template: Template) -> None:
    main, subs = template_flows(template.id, "uk")
    ids = {flow_id: f"new_{i}" for i, flow_id in enumerate([main.id, *subs])}
    made = with_ids(main, subs, ids, catalog())
    flows = tuple(made.values())
    called = [n.settings["flow_id"] for f in flows for n in f.nodes.values() if n.type == "run_flow"]
    assert set(called) <= set(made)
    assert main.locale == "uk"


@each_template
def test_it_ends_politely_when_nobody_answers(template: Template) -> None:
    waiting = [n for n, node in template.flow.nodes.items() if catalog().nodes[node.type].waits]
    for node_id in waiting:
        settings = template.flow.nodes[node_id].settings
        assert settings.get("no_reply_after"), f"{node_id} would wait for ever"
    assert "no_reply" in {d["expect_end"] for d in template.dialogues}


CASES = [
    pytest.param(t, d, id=f"{t.id}: {d['name']}") for t in TEMPLATES for d in t.dialogues
]  # fmt: skip


@pytest.mark.parametrize("main", LANGUAGES)
@pytest.mark.parametrize(("template", "dialogue"), CASES)
async def test_a_dialogue(template: Template, dialogue: dict[str, Any], main: str) -> None:
    """Whatever the main language of the agent is, the contact reads their own."""
    played = await play(in_language(template, main), dialogue, catalog())
    assert played.wrong == []


def in_language(template: Template, language: str) -> Template:
    """The template as a person of this language gets it."""
    flows = {i: localize(f, language) for i, f in template.flows.items()}
    return replace(template, flow=localize(template.flow, language), flows=flows)


@each_template
async def test_its_dialogues_visit_every_step_in_every_language(template: Template) -> None:
    assert min(Counter(d["language"] for d in template.dialogues)[language] for language in LANGUAGES) >= 2
    visited: set[str] = set()
    for dialogue in template.dialogues:
        played = await play(template, dialogue, catalog())
        visited |= {step.rpartition(".")[0].rpartition("/")[2] for step in played.path}
    assert {n for flow in every(template) for n in flow.nodes} - visited == set()
