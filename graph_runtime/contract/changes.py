"""What changed between two documents, in words a person reads before publishing; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow, Node, split_port
from graph_runtime.contract.forms import walk
from graph_runtime.contract.problems import fill

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "first": {
        "en": "First version: {count} steps",
        "ru": "Первая версия, шагов: {count}",
        "uk": "Перша версія, кроків: {count}",
    },
    "renamed": {
        "en": "The flow is now called “{name}”",
        "ru": "Сценарий теперь называется «{name}»",
        "uk": "Сценарій тепер називається «{name}»",
    },
    "language": {
        "en": "Main language: {name}",
        "ru": "Основной язык: {name}",
        "uk": "Основна мова: {name}",
    },
    "step_added": {"en": "New step “{name}”", "ru": "Новый шаг «{name}»", "uk": "Новий крок «{name}»"},
    "step_removed": {"en": "Step “{name}” removed", "ru": "Шаг «{name}» удалён", "uk": "Крок «{name}» видалено"},
    "step_replaced": {
        "en": "Step “{name}” became a different kind of step",
        "ru": "Шаг «{name}» стал шагом другого типа",
        "uk": "Крок «{name}» став кроком іншого типу",
    },
    "step_renamed": {
        "en": "Step “{old}” is now called “{name}”",
        "ru": "Шаг «{old}» теперь называется «{name}»",
        "uk": "Крок «{old}» тепер називається «{name}»",
    },
    "step_off": {"en": "Step “{name}” switched off", "ru": "Шаг «{name}» выключен", "uk": "Крок «{name}» вимкнено"},
    "step_on": {"en": "Step “{name}” switched on", "ru": "Шаг «{name}» включён", "uk": "Крок «{name}» увімкнено"},
    "setting": {
        "en": "“{name}”: “{field}” changed",
        "ru": "«{name}»: изменено поле «{field}»",
        "uk": "«{name}»: змінено поле «{field}»",
    },
    "wire_added": {
        "en": "New wire: “{name}” → “{target}”",
        "ru": "Новая линия: «{name}» → «{target}»",
        "uk": "Нова лінія: «{name}» → «{target}»",
    },
    "wire_removed": {
        "en": "Wire removed: “{name}” → “{target}”",
        "ru": "Линия удалена: «{name}» → «{target}»",
        "uk": "Лінію видалено: «{name}» → «{target}»",
    },
    "wire_moved": {
        "en": "“{name}” now leads to “{target}”",
        "ru": "«{name}» теперь ведёт к «{target}»",
        "uk": "«{name}» тепер веде до «{target}»",
    },
    "start": {
        "en": "Conversations now begin at “{name}”",
        "ru": "Диалоги теперь начинаются с шага «{name}»",
        "uk": "Діалоги тепер починаються з кроку «{name}»",
    },
    "variable_added": {
        "en": "New variable “{name}”",
        "ru": "Новая переменная «{name}»",
        "uk": "Нова змінна «{name}»",
    },
    "variable_removed": {
        "en": "Variable “{name}” removed",
        "ru": "Переменная «{name}» удалена",
        "uk": "Змінну «{name}» видалено",
    },
    "variable_changed": {
        "en": "Variable “{name}” changed",
        "ru": "Переменная «{name}» изменена",
        "uk": "Змінну «{name}» змінено",
    },
    "texts": {
        "en": "Translations changed ({language}): {count}",
        "ru": "Изменено переводов ({language}): {count}",
        "uk": "Змінено перекладів ({language}): {count}",
    },
    "pace": {
        "en": "How several messages in a row are answered changed",
        "ru": "Изменено, как агент отвечает на несколько сообщений подряд",
        "uk": "Змінено, як агент відповідає на кілька повідомлень поспіль",
    },
    "connections": {
        "en": "Connections of the flow changed",
        "ru": "Изменены подключения сценария",
        "uk": "Змінено підключення сценарію",
    },
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `node_id` is "" for the flow itself, `old` and `new` are short texts when the change has them."""

    kind: str
    node_id: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    old: str = ""
    new: str = ""

    def message(self, language: str = "en") -> str:
        """The sentence a person reads."""
        return fill(MESSAGES[self.kind][language], self.params, language)

    def to_json(self) -> dict[str, Any]:
        """As sent to the publish panel."""
        return {
            "kind": self.kind,
            "node_id": self.node_id,
            "message": {language: self.message(language) for language in ("en", "ru", "uk")},
            "old": self.old,
            "new": self.new,
        }


def describe(old: Flow | None, new: Flow, catalog: Catalog) -> tuple[Change, ...]:
    """Every change that matters to the conversation; moving steps on the canvas is none."""
    if old is None:
        return (Change("first", params={"count": len(new.nodes)}),)
    return (
        *_flow(old, new),
        *_steps(old, new, catalog),
        *_wires(old, new, catalog),
        *_variables(old, new),
        *_texts(old, new),
    )


def step_name(node_id: str, node: Node | None, catalog: Catalog) -> Mapping[str, str]:
    """What a step is called in each language: its own name, else its type's."""
    if node is None:
        return {"en": node_id}
    kind = catalog.nodes.get(node.type)
    if node.name or kind is None:
        return {"en": node.name or node.type}
    return {"en": kind.label} | {lang: kind.texts.get(kind.label, {}).get(lang, kind.label) for lang in ("ru", "uk")}


def _flow(old: Flow, new: Flow) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("renamed", params={"name": new.name}, old=old.name, new=new.name)
    if old.locale != new.locale:
        yield Change("language", params={"name": new.locale}, old=old.locale, new=new.locale)
    if old.connections != new.connections:
        yield Change("connections")
    if old.pace != new.pace:
        yield Change("pace")


def _steps(old: Flow, new: Flow, catalog: Catalog) -> Iterator[Change]:
    for node_id, node in new.nodes.items():
        before = old.nodes.get(node_id)
        name = step_name(node_id, node, catalog)
        if before is None:
            yield Change("step_added", node_id, {"name": name})
        elif before != node:
            yield from _step(node_id, before, node, catalog)
    for node_id, node in old.nodes.items():
        if node_id not in new.nodes:
            yield Change("step_removed", node_id, {"name": step_name(node_id, node, catalog)})


def _step(node_id: str, before: Node, node: Node, catalog: Catalog) -> Iterator[Change]:
    name = step_name(node_id, node, catalog)
    if before.type != node.type:
        yield Change("step_replaced", node_id, {"name": name})
        return
    if before.name != node.name:
        yield Change("step_renamed", node_id, {"old": step_name(node_id, before, catalog), "name": name})
    if before.enabled != node.enabled:
        yield Change("step_on" if node.enabled else "step_off", node_id, {"name": name})
    kind = catalog.nodes.get(node.type)
    labels = {f.key: f.label for f in kind.form()} if kind else {}
    texts = kind.texts if kind else {}
    widgets = {v.field.key: v.field.widget for v in walk(kind.form(), node.settings)} if kind else {}
    for key in sorted({*before.settings, *node.settings}):
        was, now = before.settings.get(key), node.settings.get(key)
        if was == now or widgets.get(key) == "id":
            continue
        label = labels.get(key, key)
        words = {"en": label} | {lang: texts.get(label, {}).get(lang, label) for lang in ("ru", "uk")}
        yield Change("setting", node_id, {"name": name, "field": words}, _short(was), _short(now))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _wires(old: Flow, new: Flow, catalog: Catalog) -> Iterator[Change]:
    def names(flow: Flow, port: str, target: str) -> dict[str, Any]:
        source = split_port(port)[0]
        return {
            "name": step_name(source, flow.nodes.get(source), catalog),
            "target": step_name(target, flow.nodes.get(target), catalog),
        }

    for port, target in new.edges.items():
        before = old.edges.get(port)
        if before is None:
            yield Change("wire_added", split_port(port)[0], names(new, port, target))
        elif before != target:
            yield Change("wire_moved", split_port(port)[0], names(new, port, target))
    for port, target in old.edges.items():
        # Wires of a removed step go with it; the step's own line says enough.
        if port not in new.edges and split_port(port)[0] in new.nodes and target in new.nodes:
            yield Change("wire_removed", split_port(port)[0], names(old, port, target))
    for trigger, node_id in new.entry.items():
        if old.entry.get(trigger) != node_id:
            yield Change("start", node_id, {"name": step_name(node_id, new.nodes.get(node_id), catalog)})


def _variables(old: Flow, new: Flow) -> Iterator[Change]:
    for name in sorted({*old.variables, *new.variables}):
        was, now = old.variables.get(name), new.variables.get(name)
        if was == now:
            continue
        kind = "variable_added" if was is None else "variable_removed" if now is None else "variable_changed"
        shown = now or was
        yield Change(kind, params={"name": (shown.label if shown else "") or name})


def _texts(old: Flow, new: Flow) -> Iterator[Change]:
    for language in sorted({*old.i18n, *new.i18n}):
        was, now = old.i18n.get(language, {}), new.i18n.get(language, {})
        changed = {key for key in {*was, *now} if was.get(key) != now.get(key)}
        if changed:
            yield Change("texts", params={"language": language, "count": len(changed)})
