"""How an agent answers people, whatever its flows say: what a person approves first, and how long a human would take."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.forms import NodeSettings, setting

StepApproval = Literal["agent", "always", "never"]
Approves = Literal["nothing", "model", "all"]
OnTimeout = Literal["send", "discard", "hand_off"]
LONGEST_DELAY_SECONDS: Final = 60.0


class MayBeApproved(NodeSettings):
    """Base of the settings of steps whose words may have to be approved, whatever the agent does otherwise."""

    common_texts: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "Somebody approves it before it is sent": {
            "ru": "Перед отправкой одобряет человек", "uk": "Перед надсиланням схвалює людина",
        },
        "As the agent is set": {"ru": "Как настроено у агента", "uk": "Як налаштовано в агента"},
        "Always": {"ru": "Всегда", "uk": "Завжди"},
        "Never": {"ru": "Никогда", "uk": "Ніколи"},
        "It then waits in the Inbox, under “To approve”. On a call it is said at once.": {
            "ru": "Тогда сообщение ждёт во «Входящих» на вкладке «Одобрить». В звонке оно звучит сразу.",
            "uk": "Тоді повідомлення чекає у «Вхідних» на вкладці «Схвалити». У дзвінку воно звучить одразу.",
        },
    }  # fmt: skip

    approval: StepApproval = setting(
        "Somebody approves it before it is sent", default="agent", advanced=True,
        options={"agent": "As the agent is set", "always": "Always", "never": "Never"},
        help="It then waits in the Inbox, under “To approve”. On a call it is said at once.",
    )  # fmt: skip


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Approval(_Rules):
    """What a member approves before it is sent. `wait_minutes` None: it waits until somebody does; else `on_timeout`
    decides. `queue_id`: whose it is, "" everybody's. `instead`: offered as what to say in place of a refused message."""

    approves: Approves = "nothing"
    wait_minutes: int | None = Field(default=None, ge=1, le=1440)
    on_timeout: OnTimeout = "hand_off"
    queue_id: str = Field(default="", max_length=60)
    instead: str = Field(default="", max_length=2000)


class Delay(_Rules):
    """How long an answer takes, as if a person typed it: between `least` and `most` seconds, and `per_character`
    milliseconds for each character; together at most `limit` seconds."""

    is_on: bool = False
    least: float = Field(default=1.0, ge=0, le=30)
    most: float = Field(default=3.0, ge=0, le=30)
    per_character: float = Field(default=30.0, ge=0, le=500)
    limit: float = Field(default=12.0, ge=0, le=LONGEST_DELAY_SECONDS)

    def seconds(self, text: str, key: str) -> float:
        """The same for the same `key`: a turn that is repeated waits as long again."""
        if not self.is_on or not text:
            return 0.0
        least, most = min(self.least, self.most), max(self.least, self.most)
        share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
        return float(min(least + (most - least) * share + len(text) * self.per_character / 1000, self.limit))


class Answering(_Rules):
    """Settings of an agent that count from the next message on, without publishing."""

    approval: Approval = Approval()
    delay: Delay = Delay()

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Answering:
        """As it is stored; nothing is stored for an agent that answers at once by itself."""
        return cls.model_validate(stored) if stored else NOTHING

    def must_approve(self, *, step: StepApproval, is_model_text: bool, channel: str) -> bool:
        """Whether what a step says waits for a person. `is_model_text`: the step says what a model wrote.

        A caller cannot be kept waiting: nothing is approved on a phone call.
        """
        if channel == PHONE or step == "never":
            return False
        return (
            step == "always" or self.approval.approves == "all" or (self.approval.approves == "model" and is_model_text)
        )


NOTHING: Final = Answering()
