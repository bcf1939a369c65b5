"""Fields of a customer system as forms outside a flow show them: rows of a field chosen from the account and what it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from builder_ui.i18n import text
from builder_ui.session import services
from graph_runtime.contract.crm import ENTITIES
from graph_runtime.contract.errors import AccessDenied, ConnectorError, NotFound

if TYPE_CHECKING:
    from graph_runtime.contract.crm import Entity
    from graph_runtime.services.principal import Principal
    from graph_runtime.services.remote_options import RemoteOption

LEAST_ROWS: Final = 3


@dataclass(frozen=True)
class CrmFieldItem:
    """One field of the account, by the name that people know it by."""

    id: str
    label: str


@dataclass(frozen=True)
class CrmRow:
    """One field and what it becomes; `choices`: labels of what the field itself offers."""

    name: str = ""
    value: str = ""
    choices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CrmForm:
    """What the account offers, and the rows. `problem`: why its fields are not known, in words; `key` changes with the account."""

    fields: list[CrmFieldItem] = field(default_factory=list)
    rows: list[CrmRow] = field(default_factory=list)
    problem: str = ""
    key: str = ""


class CrmFields:
    """The fields of one kind of record of one account."""

    def __init__(self, options: Sequence[RemoteOption], problem: str, key: str, language: str) -> None:
        self._options = {o.id: o for o in options}
        self._problem = problem
        self._key = key
        self._language = language

    @classmethod
    async def read(cls, who: Principal, agent_id: str, slot: str, entity: str, language: str) -> CrmFields:
        """From the account, or as it was read minutes ago. What keeps them from being read is said in the form."""
        kind: Entity = next((e for e in ENTITIES if e == entity), "contact")
        key = f"{agent_id}/{slot}/{kind}"
        if not slot:
            return cls((), "", key, language)
        try:
            found = await services().remote_options.of(who, agent_id, slot, "crm.fields", kind, language=language)
        except (ConnectorError, NotFound, AccessDenied) as error:
            return cls((), services().catalog.in_language(error.message, language), key, language)
        return cls([o for o in found if o.id != "tags"], "", f"{key}/{len(found)}", language)

    def form(self, pairs: Iterable[tuple[str, str]]) -> CrmForm:
        """Rows for (field, value); at least three, to fill in."""
        rows = [self.row(name, value) for name, value in pairs]
        rows += [CrmRow()] * max(LEAST_ROWS - len(rows), 0)
        offered = [CrmFieldItem(o.id, o.label) for o in self._options.values()]
        gone = [r.name for r in rows if r.name and r.name not in self._options]
        words = "crm_fields.gone" if self._options else "crm_fields.as_it_is"
        offered += [CrmFieldItem(name, text(self._language, words, name=name)) for name in dict.fromkeys(gone)]
        return CrmForm(offered, rows, self._problem, self._key)

    def row(self, name: str, value: str) -> CrmRow:
        """Choices are shown by their labels."""
        choices = self._choices(name)
        return CrmRow(name, dict(choices).get(value, value), [label for _, label in choices])

    def kept(self, name: str, value: str) -> str:
        """What is kept of a value: the number of a choice, which stays when its label changes."""
        wanted = value.strip().casefold()
        return next((number for number, label in self._choices(name) if label.casefold() == wanted), value)

    def named(self, name: str, value: str) -> dict[str, str]:
        """A field as a chain keeps it: also by the words in which it was chosen."""
        option, kept = self._options.get(name), self.kept(name, value)
        shown = self.row(name, kept).value
        return {
            "name": name,
            "value": kept,
            "label": option.label[:200] if option else "",
            "shown": shown if shown != kept else "",
        }

    def _choices(self, name: str) -> tuple[tuple[str, str], ...]:
        option = self._options.get(name)
        if option is None:
            return ()
        if option.kind == "boolean":
            return (("true", text(self._language, "crm_fields.yes")), ("false", text(self._language, "crm_fields.no")))
        return option.options if option.kind == "choice" else ()


def with_row(form: CrmForm, place: int, row: CrmRow) -> CrmForm:
    """Another row at a place."""
    return replace(form, rows=[row if n == place else old for n, old in enumerate(form.rows)])
