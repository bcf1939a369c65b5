"""What is said of services that cannot be called is there in every language, also when only the English sentence was kept."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from graph_runtime.contract.errors import Refused, Unreachable
from graph_runtime.contract.outside_words import SENTENCES, failure, in_language, sentence

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "host": "crm.example", "port": "25", "status": "404", "seconds": "20", "slot": "crm", "label": "Shop (Kyiv)",
    "hosts": "a.example, b.example", "said": "invalid_client",
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
