"""What is said of services that cannot be called is there in every language, also when only the English sentence was kept."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.contract.errors import Refused, Unreachable
from graph_runtime.contract.outside_words import SENTENCES, failure, from_texts, in_language, sentence

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "host": "crm.example", "port": "25", "status": "404", "seconds": "20", "slot": "crm", "label": "Shop (Kyiv)",
    "hosts": "a.example, b.example", "said": "invalid_client", "items": "data.items", "where": "line 1, column 2",
    "limit": "5000", "why": "unexpected end", "name": "basket", "kind": "KeyError",
}  # fmt: skip
SPEAKERS = ("engine/http.py", "engine/outside_crm.py", "services/bound_connections.py", "services/oauth.py")
"""Where nothing is said to people but what stands in the table."""


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", SENTENCES)
def test_every_sentence_is_found_again_and_has_its_values_in_every_language(code: str) -> None:
    english, *others = SENTENCES[code]
    for other in others:
        assert places(other) == places(english)
        assert other != english
    said = sentence(code, **VALUES)
    assert in_language(said, "en") == said
    for language in ("ru", "uk"):
        assert in_language(said, language) == sentence(code, language, **VALUES)


def test_a_vendors_own_words_are_nobody_elses() -> None:
    assert in_language("The moon is full.", "ru") is None
    assert in_language("", "uk") is None


def test_an_error_carries_its_code_and_its_values() -> None:
    error = failure(Refused, "inside", host="10.0.0.1")
    assert error.message.startswith("10.0.0.1 is an address inside this network")
    assert error.params == {"reason": "inside", "host": "10.0.0.1"}
    assert failure(Unreachable, "paused", seconds=12).params["seconds"] == 12


@pytest.mark.parametrize("file", SPEAKERS)
def test_the_program_says_nothing_that_is_not_in_the_table(file: str) -> None:
    """Errors with a sentence of their own would be English on every page."""
    kinds = {"Refused", "Unreachable", "OutcomeUnknown", "RateLimited", "CredentialRejected", "BadAnswer"}
    tree = ast.parse((ROOT / "graph_runtime" / file).read_text("utf-8"))
    own = [
        call.lineno for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds
        and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]  # fmt: skip
    assert own == []


TEXTS = {
    "“{field}” needs a number, not “{value}”.": {"ru": "В «{field}» нужно число, а не «{value}».", "uk": "uk"},
    "Sale": {"ru": "Бюджет"},
    "The end.": {"uk": "Кінець."},
}


def test_a_connectors_sentence_keeps_its_values_and_names_its_own_fields_in_the_language() -> None:
    assert (
        from_texts(TEXTS, "“Sale” needs a number, not “many {x}”.", "ru") == "В «Бюджет» нужно число, а не «many {x}»."
    )
    assert from_texts(TEXTS, "The end.", "uk") == "Кінець."
    assert from_texts(TEXTS, "The end.", "ru") is None, "nobody translated it"
    assert from_texts(TEXTS, "Something else.", "ru") is None


CATALOG = load_catalog(["connectors"])
FILLED = [(connector.id, text) for connector in CATALOG.connectors.values() for text in connector.texts if places(text)]


@pytest.mark.parametrize(("connector", "text"), FILLED)
def test_what_a_connector_says_with_values_has_them_in_every_language(connector: str, text: str) -> None:
    for translation in CATALOG.connectors[connector].texts[text].values():
        assert places(translation) == places(text)


def test_what_any_connector_said_is_found_again_whichever_it_was() -> None:
    catalog: Catalog = CATALOG
    said = "Telegram refused the message (status 400)."
    assert catalog.in_language(said, "ru") == "Telegram не принял сообщение (статус 400)."
    assert catalog.in_language(said, "en") == said
    assert catalog.in_language("The service answered with status 503.", "uk") == "Сервіс відповів статусом 503."
    assert catalog.in_language("A vendor's own words.", "ru") == "A vendor's own words."


def test_connectors_say_nothing_that_is_not_among_their_texts() -> None:
    """An error with a sentence written in place has no translation; each is a constant that `texts.json` knows."""
    kinds = {"Refused", "Unreachable", "OutcomeUnknown", "RateLimited", "CredentialRejected", "BadAnswer", "Conflict"}
    kinds |= {"ContactUnreachable", "RecipientMoved"}
    own = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in (ROOT / "connectors").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds
        and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]  # fmt: skip
    assert own == []
