"""Language: the conversation goes on in another language; on a call, voice and recognition change at once."""

from __future__ import annotations

from typing import Final, Literal

from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting

_NAMES: Final = {
    "en": ("en", "eng", "english", "английский", "англійська", "по-английски", "англійською"),
    "ru": ("ru", "rus", "russian", "русский", "російська", "по-русски", "російською"),
    "uk": ("uk", "ua", "ukr", "ukrainian", "украинский", "українська", "по-украински", "українською"),
}


class Settings(NodeSettings):
    """The language, or where it is found."""

    language: Literal["en", "ru", "uk", "value"] = setting(
        "Go on in", default="en",
        options={"en": "English", "ru": "Russian", "uk": "Ukrainian", "value": "The language of a value"},
    )  # fmt: skip
    value: str = setting(
        "Value", default="", widget="line_template", required=True, max_length=200, show_when={"language": ["value"]},
        placeholder="{{ contact.language }}",
        help="A code such as uk or uk-UA, or the language's name. With anything else the language stays.",
    )  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """Only a value can be no language."""
    return (Port("next", "Next"), *((Port("else", "Not a language"),) if settings.language == "value" else ()))


NODE = NodeType(
    type="switch_language", category="logic", label="Language", summary="Goes on in another language.",
    settings=Settings, outputs=outputs, story=("language",), step_outputs={"language": "Language of the conversation now"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Switch; what the flow has no translation for is said as it is written."""
    language: str = settings.language
    if language == "value":
        language = language_of(ctx.render(settings.value))
    if language:
        ctx.switch_language(language)
    ctx.output("language", ctx.language)
    return Leave("next" if language else "else")


def language_of(text: str) -> str:
    """The language that a code or a name means; "" for any other text."""
    name = text.strip().casefold().replace("_", "-")
    code = name.partition("-")[0]
    return next((key for key, names in _NAMES.items() if name in names or code == key), "")
