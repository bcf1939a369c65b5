"""What a phone line is set up with, and what that means for its calls."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import SecretStr, ValidationInfo, field_validator

from graph_runtime.contract.calls import DayHours, LineSettings
from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.forms import setting
from graph_runtime.contract.local_time import is_time_zone

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")


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
    endpoint_ms: int = setting(
        "Pause that ends a sentence, ms", default=450, ge=150, le=5000,
        help="Shorter answers sooner, longer lets people think.",
    )  # fmt: skip
    thinks_ahead: bool = setting(
        "Models are asked as soon as a caller is probably done", default=True,
        help="After 0.2 s of silence. Answers come up to a quarter of a second sooner; who goes on speaking costs a few tokens more.",
    )  # fmt: skip
    no_input_ms: int = setting("Ask again after a silence of, ms", default=6000, ge=500, le=120_000)
    dial_template: str = setting(
        "How a number is dialed", default="PJSIP/{number}@trunk", max_length=150,
        help="The dial string of your Asterisk for transfers, with {number} in it.",
    )  # fmt: skip
    most_calls: int = setting(
        "Calls at a time", default=50, ge=1, le=2000, help="More are left to the desk of your dialplan."
    )
    hours: str = setting(
        "Hours", default="", max_length=400, help="As in “mon 09:00-18:00, sat 10:00-14:00”. Empty: always."
    )
    time_zone: str = setting("Time zone of the hours", default="UTC", max_length=60)
    desk: str = setting(
        "Where other calls go", default="desk,s,1", max_length=100,
        help="context,extension,priority of your dialplan, such as the queue of your reception.",
    )  # fmt: skip
    manager_address: str = setting(
        "Manager address", default="", max_length=200,
        help="HOST:PORT of Asterisk's manager interface, for calls out and transfers. Empty: the line only takes calls.",
    )  # fmt: skip
    manager_user: str = setting("Manager name", default="patchcord", max_length=60)
    manager_secret: SecretStr = setting("Manager secret", default=SecretStr(""))
    context: str = setting("Patchcord's context in the dialplan", default="patchcord", max_length=60)
    ari_address: str = setting(
        "REST address", default="", max_length=200, placeholder="http://10.0.0.5:8088/ari",
        help="Of Asterisk's REST interface, for transfers through it alone.",
    )  # fmt: skip
    ari_user: str = setting("REST name", default="patchcord", max_length=60)
    ari_password: SecretStr = setting("REST password", default=SecretStr(""))
    moves_by: Literal["dialplan", "manager", "rest"] = setting(
        "Who begins a transfer", default="dialplan",
        options={
            "dialplan": "The dialplan asks (usual)", "manager": "Patchcord, through the manager (AMI)",
            "rest": "Patchcord, through REST (ARI)",
        },
        help="The last two need the newest dialplan; ARI is for calls that an application of your own holds.",
    )  # fmt: skip
    caller_id: str = setting("Number shown to those called", default="", max_length=80)
    hangs_up_on_machines: bool = setting("Hang up on answering machines", default=True)
    substitute: str = setting(
        "When the agent cannot answer, ring", default="", max_length=80, placeholder="100",
        help="A number or extension that takes calls when a model or a voice fails. Empty: the call ends with an apology.",
    )  # fmt: skip
    is_recorded: bool = setting(
        "Calls are recorded", default=False,
        help="Both sides, kept encrypted as long as transcripts. Members who may read a conversation can listen.",
    )  # fmt: skip
    recording_notice: str = setting(
        "What callers are told about it", default="", max_length=300,
        help="Said at the beginning of each recorded call. Empty: “This call is recorded”, in the language of the call.",
    )  # fmt: skip
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

    @field_validator("hours")
    @classmethod
    def _opens(cls, value: str) -> str:
        parts = [part.strip().lower() for part in value.split(",") if part.strip()]
        if not all(_HOURS.fullmatch(part) and not re.search(r"24:(?!00)", part) for part in parts):
            raise ValueError("write hours as in “mon 09:00-18:00, sat 10:00-14:00”")
        return ", ".join(parts)

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if not is_time_zone(value.strip()):
            raise ValueError("there is no such time zone; write it as in Europe/Kyiv")
        return value.strip()

    @field_validator("desk")
    @classmethod
    def _place(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]+,[\w+*#-]+,\w+", value.strip()):
            raise ValueError("write context,extension,priority, as in desk,s,1")
        return value.strip()

    @field_validator("manager_address")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip()
        if value and not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", value):
            raise ValueError("write HOST:PORT, as in 10.0.0.5:5038")
        return value

    @field_validator("ari_address")
    @classmethod
    def _rest_address(cls, value: str) -> str:
        value = value.strip()
        if value and not re.fullmatch(r"https?://(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?(/[\w.-]+)*/?", value):
            raise ValueError("write it as in http://10.0.0.5:8088/ari")
        return value

    @field_validator("moves_by")
    @classmethod
    def _has_a_way(cls, value: str, info: ValidationInfo) -> str:
        if value == "manager" and not info.data.get("manager_address"):
            raise ValueError("fill in the manager's address first")
        if value == "rest" and not info.data.get("ari_address"):
            raise ValueError("fill in the REST address first")
        return value

    @field_validator("manager_user", "ari_user", "context", "caller_id")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("it must be one line of text")
        return value.strip()


def hours_of(text: str) -> tuple[DayHours, ...]:
    """From the setting, which was checked."""
    found = []
    for part in text.split(",") if text else ():
        match = _HOURS.fullmatch(part.strip())
        assert match is not None
        day, *numbers = match.groups()
        first, first_minute, last, last_minute = map(int, numbers)
        found.append(DayHours(_DAYS.index(day), first * 60 + first_minute, last * 60 + last_minute))
    return tuple(found)


def line(settings: Settings) -> LineSettings:
    """As the calls of the line see it."""
    voices = {"en": settings.voice_en, "ru": settings.voice_ru, "uk": settings.voice_uk}
    return LineSettings(
        dial_template=settings.dial_template,
        language=settings.language,
        voices={language: name.strip() for language, name in voices.items() if name.strip()},
        rate=settings.rate,
        endpoint_ms=settings.endpoint_ms,
        no_input_ms=settings.no_input_ms,
        thinks_ahead=settings.thinks_ahead,
        is_recorded=settings.is_recorded,
        most_calls=settings.most_calls,
        hours=hours_of(settings.hours),
        time_zone=settings.time_zone,
        desk=settings.desk,
        can_call=bool(settings.manager_address),
        moves_calls=settings.moves_by != "dialplan",
        caller_id=settings.caller_id,
        hangs_up_on_machines=settings.hangs_up_on_machines,
        recording_notice=settings.recording_notice.strip(),
        substitute=settings.substitute.strip(),
    )
