"""What the flow check found, as data: a stable code, a place, a sentence in three languages and, if possible, a fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

from graph_runtime.contract.edits import EDITS, Edit

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Fix:
    """Ordinary edits that solve the problem; `label` per language."""

    label: Mapping[str, str]
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `node_id` is "" for the whole flow; `field` is a dotted path, `port` an exit."""

    code: str
    level: Level
    node_id: str = ""
    field: str = ""
    port: str = ""
    params: Mapping[str, Any] = dataclass_field(default_factory=dict)
    fix: Fix | None = None

    def message(self, language: str = "en") -> str:
        """The sentence a person reads."""
        return fill(MESSAGES[self.code][language], self.params, language)

    def to_json(self) -> dict[str, Any]:
        """As sent to the canvas."""
        return {
            "code": self.code,
            "level": self.level,
            "node_id": self.node_id,
            "field": self.field,
            "port": self.port,
            "message": {language: self.message(language) for language in ("en", "ru", "uk")},
            "params": {k: v.get("en") if isinstance(v, Mapping) else v for k, v in self.params.items()},
            "fix": None
            if self.fix is None
            else {"label": dict(self.fix.label), "edits": EDITS.dump_python(list(self.fix.edits), mode="json")},
        }


def fill(template: str, params: Mapping[str, Any], language: str) -> str:
    """Put values into a sentence; a value that is a mapping is itself translated."""
    for key, value in params.items():
        words = value.get(language, value.get("en", "")) if isinstance(value, Mapping) else value
        template = template.replace("{" + key + "}", str(words))
    return template


MESSAGES: Mapping[str, Mapping[str, str]] = {
    "F001": {
        "en": "The exit “{port}” leads nowhere: the conversation would stop here. Connect it to a step or to an End.",
        "ru": "Выход «{port}» никуда не ведёт: разговор здесь оборвётся. Соедините его с шагом или с завершением.",
        "uk": "Вихід «{port}» нікуди не веде: розмова тут обірветься. З’єднайте його з кроком або із завершенням.",
    },
    "F002": {
        "en": "Nobody can get to this step. Connect a wire to it or delete it.",
        "ru": "До этого шага никто не дойдёт. Подведите к нему линию или удалите его.",
        "uk": "До цього кроку ніхто не дійде. Підведіть до нього лінію або видаліть його.",
    },
    "F003": {
        "en": "“{label}”: {reason}",
        "ru": "«{label}»: {reason}",
        "uk": "«{label}»: {reason}",
    },
    "F004": {
        "en": "“{label}” is not set up: the built-in demo model (not an AI) will answer. Choose a model for it.",
        "ru": "«{label}» не настроено: ответит встроенная демо-модель (это не ИИ). Выберите модель.",
        "uk": "«{label}» не налаштовано: відповість вбудована демо-модель (це не ШІ). Виберіть модель.",
    },
    "F005": {
        "en": "These steps can repeat for ever without waiting for the client: {steps}. Put a question or a delay between.",
        "ru": "Эти шаги могут повторяться бесконечно, не дожидаясь клиента: {steps}. Вставьте между ними вопрос или паузу.",
        "uk": "Ці кроки можуть повторюватися без кінця, не чекаючи на клієнта: {steps}. Вставте між ними запитання або паузу.",
    },
    "F006": {
        "en": "On the path via “{port}” of “{step}”, “{variable}” is still empty here. Ask for it first or add a default.",
        "ru": "На пути через «{port}» шага «{step}» переменная «{variable}» здесь ещё пуста. Сначала спросите её или задайте значение по умолчанию.",
        "uk": "На шляху через «{port}» кроку «{step}» змінна «{variable}» тут ще порожня. Спершу запитайте її або задайте значення за замовчуванням.",
    },
    "F007": {
        "en": "{channel} shows {limit} buttons, this has {count}: it will become a numbered list.",
        "ru": "{channel} показывает {limit} кнопок, здесь их {count}: получится нумерованный список.",
        "uk": "{channel} показує {limit} кнопок, тут їх {count}: вийде нумерований список.",
    },
    "F009": {
        "en": "On a phone call this step may keep the caller in silence for about 4 seconds. Let a word bridge the wait.",
        "ru": "На звонке этот шаг может оставить собеседника в тишине примерно на 4 секунды. Заполните ожидание словами.",
        "uk": "Під час дзвінка цей крок може лишити співрозмовника в тиші приблизно на 4 секунди. Заповніть очікування словами.",
    },
    "F011": {
        "en": "A secret is typed into “{label}”. Remove it here and save it under Models & keys instead.",
        "ru": "В поле «{label}» введён секрет. Удалите его и сохраните в разделе «Модели и ключи».",
        "uk": "У поле «{label}» введено секрет. Видаліть його і збережіть у розділі «Моделі та ключі».",
    },
    "F012": {
        "en": "{language} text is missing for {count} messages, the first one here. The main language will be used.",
        "ru": "Нет перевода ({language}) для сообщений: {count}, первое здесь. Будет показан текст на основном языке.",
        "uk": "Немає перекладу ({language}) для повідомлень: {count}, перше тут. Буде показано текст основною мовою.",
    },
    "F013": {
        "en": "This step was made by an older version and was brought up to date. Please look at it: {notes}",
        "ru": "Шаг создан в старой версии и обновлён. Проверьте его: {notes}",
        "uk": "Крок створено у старій версії й оновлено. Перевірте його: {notes}",
    },
    "F016": {
        "en": "A wire is broken: {reason}. Remove it or connect it again.",
        "ru": "Оборванная линия: {reason}. Удалите её или соедините заново.",
        "uk": "Обірвана лінія: {reason}. Видаліть її або з’єднайте знову.",
    },
    "F017": {
        "en": "“{label}” refers to “{ref}”, which does not exist. Choose an existing variable or create it.",
        "ru": "«{label}» ссылается на «{ref}», но такого значения нет. Выберите существующую переменную или создайте её.",
        "uk": "«{label}» посилається на «{ref}», але такого значення немає. Виберіть наявну змінну або створіть її.",
    },
    "F019": {
        "en": "Sub-flows call each other in a circle: {flows}. Take one of the calls out.",
        "ru": "Вложенные сценарии вызывают друг друга по кругу: {flows}. Уберите один из вызовов.",
        "uk": "Вкладені сценарії викликають один одного по колу: {flows}. Приберіть один із викликів.",
    },
    "F020": {
        "en": "The step type “{type}” is not installed. Install its package or replace the step.",
        "ru": "Тип шага «{type}» не установлен. Установите его пакет или замените шаг.",
        "uk": "Тип кроку «{type}» не встановлено. Встановіть його пакет або замініть крок.",
    },
    "F021": {
        "en": "The text in “{label}” cannot be read: {reason}. Check the double braces.",
        "ru": "Текст в поле «{label}» не читается: {reason}. Проверьте двойные скобки.",
        "uk": "Текст у полі «{label}» не читається: {reason}. Перевірте подвійні дужки.",
    },
    "F022": {
        "en": "The flow has no start. Add a Start step, so that a conversation knows where to begin.",
        "ru": "У сценария нет начала. Добавьте шаг «Старт», чтобы разговор знал, откуда начать.",
        "uk": "У сценарію немає початку. Додайте крок «Старт», щоб розмова знала, звідки почати.",
    },
    "F023": {
        "en": "The sub-flow of this step was deleted or is not chosen. Choose another one.",
        "ru": "Вложенный сценарий этого шага удалён или не выбран. Выберите другой.",
        "uk": "Вкладений сценарій цього кроку видалено або не вибрано. Виберіть інший.",
    },
    "F024": {
        "en": "A caller cannot hold the line that long: at most two minutes. Shorten the wait, or let the step be passed over on calls.",
        "ru": "Столько на линии не ждут: не больше двух минут. Сократите ожидание или пропускайте этот шаг в звонках.",
        "uk": "Стільки на лінії не чекають: не більше двох хвилин. Скоротіть чекання або минайте цей крок у дзвінках.",
    },
    "F025": {
        "en": "Nothing is chosen behind “{label}” yet: this step cannot do its work. Choose a connection in the step.",
        "ru": "За «{label}» ещё ничего не выбрано: шаг не сможет сделать своё дело. Выберите подключение в шаге.",
        "uk": "За «{label}» ще нічого не вибрано: крок не зможе зробити свою справу. Виберіть підключення у кроці.",
    },
    "F031": {
        "en": "On phone calls nobody approves what is said: a caller hears it at once. In chats it waits in the Inbox.",
        "ru": "В звонках никто не одобряет сказанное: абонент слышит его сразу. В чатах оно ждёт во «Входящих».",
        "uk": "У дзвінках ніхто не схвалює сказане: абонент чує його одразу. У чатах воно чекає у «Вхідних».",
    },
    "F034": {
        "en": "The CRM has no field “{field}” any more. Read the list again in the step, and choose another one.",
        "ru": "В CRM больше нет поля «{field}». Обновите список в шаге и выберите другое.",
        "uk": "У CRM більше немає поля «{field}». Оновіть список у кроці й виберіть інше.",
    },
    "F035": {
        "en": "“{value}” does not fit the field “{field}” of the CRM. Write a value of its kind, or one of its choices.",
        "ru": "«{value}» не подходит полю «{field}» в CRM. Укажите значение его типа или один из его вариантов.",
        "uk": "«{value}» не пасує полю «{field}» у CRM. Укажіть значення його типу або один з його варіантів.",
    },
}

REASONS: Mapping[str, Mapping[str, str]] = {
    "empty": {"en": "please fill this in", "ru": "заполните это поле", "uk": "заповніть це поле"},
    "type": {
        "en": "this value does not fit here ({detail})",
        "ru": "это значение сюда не подходит ({detail})",
        "uk": "це значення сюди не підходить ({detail})",
    },
    "no_source": {
        "en": "the step it came from is gone",
        "ru": "шага, из которого она вела, больше нет",
        "uk": "кроку, з якого вона вела, більше немає",
    },
    "no_port": {
        "en": "the exit “{port}” no longer exists",
        "ru": "выхода «{port}» больше нет",
        "uk": "виходу «{port}» більше немає",
    },
    "no_target": {
        "en": "the step it leads to is gone",
        "ru": "шага, к которому она ведёт, больше нет",
        "uk": "кроку, до якого вона веде, більше немає",
    },
}
