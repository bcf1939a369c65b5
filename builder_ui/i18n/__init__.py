"""The words of the interface in every language: as Vars for the pages, as text for what the server says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import reflex as rx
from reflex_base.utils.imports import ImportVar
from reflex_base.vars import VarData

from builder_ui.sharing import share

Entry: TypeAlias = Mapping[str, str | Mapping[str, str]]

LANGUAGES: Final = ("en", "ru", "uk")
LANGUAGE_NAMES: Final = {"en": "English", "ru": "Русский", "uk": "Українська"}
FILES: Final = (
    "shell",
    "errors",
    "agents",
    "channels",
    "models",
    "conversations",
    "letters",
    "events",
    "contacts",
    "conditions",
    "knowledge",
    "knowledge_exchange",
    "questions",
    "rerank",
    "stores",
    "triggers",
    "update_rules",
    "settings",
    "telegram",
    "chains",
    "inbox",
    "approval",
    "connections",
    "serving",
    "calls",
    "work",
)

_FOLDER = Path(__file__).parent
TEXTS: Final[Mapping[str, Entry]] = {
    key: entry
    for name in FILES
    for key, entry in cast(dict[str, Entry], json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))).items()
}

for _name in FILES:
    share(__name__, f"{_name}.json")
SCRIPT: Final = share(__name__, "i18n.js").importable_path

_IN_LANGUAGE = VarData(
    imports={SCRIPT: [ImportVar(tag="tr"), ImportVar(tag="useLanguage")]},
    hooks={"const pageLanguage = useLanguage();": None},
)


def t(key: str, **params: Any) -> rx.vars.StringVar[str]:
    """The text of a key, in the language of the page. Numbers for plural forms go in as `n`.

    Raises: KeyError when no file has the key, so a page with a forgotten text cannot be built.
    """
    if key not in TEXTS:
        raise KeyError(f"no text for {key!r} in builder_ui/i18n/*.json")
    return _call(rx.Var.create(key), params)


def t_of(key: rx.Var[Any], prefix: str, **params: Any) -> rx.vars.StringVar[str]:
    """The text of a key known only at run time: `prefix` + key; `otherwise` in params is shown when there is none.

    Raises: KeyError when no key at all has this prefix.
    """
    if not any(known.startswith(prefix) for known in TEXTS):
        raise KeyError(f"no text begins with {prefix!r} in builder_ui/i18n/*.json")
    return _call(rx.Var.create(prefix) + key.to(str), params)


def _call(key: Any, params: Mapping[str, Any]) -> rx.vars.StringVar[str]:
    values = rx.Var.create(dict(params)) if params else None
    code = f"tr(pageLanguage, {key!s}{f', {values!s}' if values is not None else ''})"
    data = VarData.merge(
        _IN_LANGUAGE, key._get_all_var_data(), values._get_all_var_data() if values is not None else None
    )
    return rx.Var(_js_expr=code, _var_type=str, _var_data=data).to(str)


def language_of_page() -> rx.vars.StringVar[str]:
    """The code of the language that the page is shown in."""
    return rx.Var(_js_expr="pageLanguage", _var_type=str, _var_data=_IN_LANGUAGE).to(str)


def text(language: str, key: str, **params: Any) -> str:
    """A text for the server's side: page titles, and names given to what is created."""
    entry = TEXTS[key]
    found = entry.get(language) or entry["en"]
    if not isinstance(found, str):
        found = found[plural_form(language, int(params.get("n", 0)))]
    return re.sub(r"\{(\w+)\}", lambda m: str(params.get(m[1], m[0])), found)


def plural_form(language: str, n: int) -> str:
    """The CLDR category of a whole number: one, few, many or other."""
    if language == "en":
        return "one" if n == 1 else "other"
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14):
        return "few"
    return "many"
