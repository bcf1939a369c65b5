"""Every text exists in every language, with the same names in it, and everything that can be said has a text."""

import ast
import json
import re
from pathlib import Path

import pytest

from builder_ui import i18n
from graph_runtime.contract import errors
from graph_runtime.services.api_keys import SCOPES as KNOWN_SCOPES

FOLDER = Path(i18n.__file__).parent
SCREENS = FOLDER.parent
FORMS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}, "uk": {"one", "few", "many", "other"}}
NAMES = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("key", sorted(i18n.TEXTS))
def test_a_text_exists_in_every_language_with_the_same_names(key: str) -> None:
    entry = i18n.TEXTS[key]
    assert set(entry) == set(i18n.LANGUAGES)
    named = set()
    for language, said in entry.items():
        if isinstance(said, str):
            variants = [said]
        else:
            assert set(said) == FORMS[language], f"{key} lacks a plural form in {language}"
            variants = list(said.values())
        assert all(v.strip() == v and v for v in variants)
        assert "!" not in "".join(variants)
        named.add(frozenset(name for v in variants for name in NAMES.findall(v)))
    assert len(named) == 1, f"the languages of {key} name different values"


def test_no_key_stands_in_two_files() -> None:
    keys = [k for name in i18n.FILES for k in json.loads((FOLDER / f"{name}.json").read_text("utf-8"))]
    assert len(keys) == len(set(keys))


def test_the_browser_loads_every_file() -> None:
    script = (FOLDER / "i18n.js").read_text("utf-8")
    assert set(re.findall(r'(?:from |import\()"\./(\w+)\.json"', script)) == set(i18n.FILES)
    assert {f.stem for f in FOLDER.glob("*.json")} == set(i18n.FILES)


def _said_in_python() -> set[str]:
    """First arguments of `t(…)`, `text(…, key)` and `_tell(…)` in the screens."""
    found = set()
    for file in SCREENS.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = getattr(call.func, "id", getattr(call.func, "attr", "")) if isinstance(call, ast.Call) else ""
            if name in ("t", "_tell") and isinstance(call, ast.Call) and call.args:
                for constant in ast.walk(call.args[0]):
                    if isinstance(constant, ast.Constant) and "." in str(constant.value):
                        found.add(str(constant.value))
    return found


def test_every_text_that_is_asked_for_exists() -> None:
    asked = _said_in_python()
    scripts = "".join(f.read_text("utf-8") for f in (SCREENS / "browser").glob("*.jsx"))
    asked |= set(re.findall(r'tr\(language, "([\w.]+)"', scripts)) | set(re.findall(r'"(error\.\w+)"', scripts))
    assert len(asked) > 200
    assert {key for key in asked if not any(k == key or k.startswith(key) for k in i18n.TEXTS)} == set()


def test_every_error_that_a_page_can_meet_has_a_text() -> None:
    codes = {e.code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.BuilderError)}
    only_inside_a_turn = {
        "flow_error", "turn_error", "connector_error", "node_failed", "step_limit_reached", "lease_lost", "unknown_node",
        "settings_invalid", "edit_invalid", "template_invalid", "bad_answer", "outcome_unknown",
    }  # fmt: skip
    assert {f"error.{c}" for c in codes - only_inside_a_turn} - set(i18n.TEXTS) == set()


def test_every_scope_of_an_api_key_is_explained() -> None:
    assert {f"keys.scope_{s}" for s in KNOWN_SCOPES} <= set(i18n.TEXTS)


@pytest.mark.parametrize(
    ("language", "n", "said"),
    [("en", 1, "1 flow"), ("en", 5, "5 flows"), ("ru", 21, "21 сценарий"), ("ru", 3, "3 сценария"),
     ("ru", 11, "11 сценариев"), ("uk", 2, "2 сценарії"), ("uk", 14, "14 сценаріїв")],
)  # fmt: skip
def test_plural_forms(language: str, n: int, said: str) -> None:
    assert i18n.text(language, "agents.flows_n", n=n) == said


def test_a_forgotten_text_breaks_the_build_of_the_page() -> None:
    with pytest.raises(KeyError, match="nothing_here"):
        i18n.t("agents.nothing_here")
