"""What a phone line is set up with, and what that means for its calls."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr, field_validator

from graph_runtime.contract.calls import LineSettings
from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import ChannelOffer
from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.forms import setting


class Settings(CredentialSettings):
    """One line. `voice_*`: a name of the voice that the speech service knows, empty for its own choice."""

    language: Literal["", "en", "ru", "uk"] = setting(
        "Language of calls", default="",
        options={"": "The agent's", "en": "English", "ru": "Russian", "uk": "Ukrainian"},
    )  # fmt: skip
    voice_en: str = setting("Voice for English", default="", max_length=100)
    voice_ru: str = setting("Voice for Russian", default="", max_length=100)
    voice_uk: str = setting("Voice for Ukrainian", default="", max_length=100)
    rate: float = setting("Speed of speech", default=1.0, ge=0.5, le=2.0, help="1 is usual, 1.2 is brisk.")
    text_to_speech: str = setting(
        "Service that speaks", default="", max_length=60, help="Empty: what the installation has."
    )
    speech_to_text: str = setting(
        "Service that listens", default="", max_length=60, help="Empty: what the installation has."
    )
    endpoint_ms: int = setting(
        "Pause that ends a sentence, ms", default=450, ge=150, le=5000,
        help="Shorter answers sooner, longer lets people think.",
    )  # fmt: skip
    no_input_ms: int = setting("Ask again after a silence of, ms", default=6000, ge=500, le=120_000)
    dial_template: str = setting(
        "How a number is dialed", default="PJSIP/{number}@trunk", max_length=150,
        help="The dial string of your Asterisk for transfers, with {number} in it.",
    )  # fmt: skip
    is_recorded: bool = setting("Calls are recorded", default=False)
    secret: SecretStr = setting("Secret", default=SecretStr(""), help="Patchcord makes it and shows it once.")
    previous_secret: SecretStr = setting(
        "Previous secret", default=SecretStr(""), help="Still valid for a day after a change."
    )

    @field_validator("dial_template")
    @classmethod
    def _dials(cls, value: str) -> str:
        rest = value.strip().replace("{number}", "", 1)
        if "{number}" not in value or any(c in rest for c in "{}|,&()$\"' \n\r"):
            raise ValueError("it needs {number} once, and none of , & | ( ) $ or spaces, as in PJSIP/{number}@trunk")
        return value.strip()


def line(settings: Settings) -> LineSettings:
    """As the calls of the line see it."""
    voices = {"en": settings.voice_en, "ru": settings.voice_ru, "uk": settings.voice_uk}
    return LineSettings(
        dial_template=settings.dial_template,
        language=settings.language,
        voices={language: name.strip() for language, name in voices.items() if name.strip()},
        speech_to_text=settings.speech_to_text.strip(),
        text_to_speech=settings.text_to_speech.strip(),
        rate=settings.rate,
        endpoint_ms=settings.endpoint_ms,
        no_input_ms=settings.no_input_ms,
        is_recorded=settings.is_recorded,
    )


OFFER = ChannelOffer(
    capabilities=Capabilities(8000, 12, 200, markup=False, media=False, typing=False, send_class="live"),
    makes_secret=True,
    secret_is_address=True,
    line=line,
)
