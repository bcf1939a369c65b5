"""Offers recognition with a Whisper model on this machine."""

from __future__ import annotations

from typing import Literal

from connectors.faster_whisper.speech import WhisperTranscriber
from connectors.faster_whisper.texts import WORKS
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.forms import setting
from graph_runtime.contract.speech import OfferedTranscriber, TranscriberOffer


class Settings(CredentialSettings):
    """Which model, and whether it may be fetched."""

    model: str = setting(
        "Model", default="base", placeholder="/srv/models/whisper-small",
        help="The path of a folder with a model for faster-whisper, or a name such as tiny, base or small.",
    )  # fmt: skip
    may_download: Literal["no", "yes"] = setting(
        "Allow the download", default="no", options={"no": "No", "yes": "Yes"},
        help="Yes fetches a named model from huggingface.co when it is not on this machine yet.",
    )  # fmt: skip
    processes: int = setting(
        "Processes", default=1, ge=1, le=16, advanced=True,
        help="How many utterances are recognised at the same time; each process holds the model.",
    )  # fmt: skip
    compute_type: Literal["int8", "float32"] = setting(
        "Numbers", default="int8", advanced=True,
        options={"int8": "8-bit: quick", "float32": "32-bit: exact"},
        help="How the model computes.",
    )  # fmt: skip


def transcriber(settings: Settings, model: str) -> WhisperTranscriber:
    """One model; `model` overrides the settings' one. Nothing is loaded before the first utterance."""
    name = model or settings.model
    setup = {"model": name, "may_download": settings.may_download == "yes", "compute_type": settings.compute_type}
    return WhisperTranscriber(name, setup, settings.processes)


async def check(settings: Settings) -> CheckResult:
    """Load the model once."""
    one = transcriber(settings.model_copy(update={"processes": 1}), "")
    try:
        await one.warm_up()
        return CheckResult(ok=True, message=WORKS)
    finally:
        await one.aclose()


CONNECTOR = Connector(
    id="faster_whisper",
    label="Whisper on this machine",
    summary="Recognises speech in many languages with a Whisper model of your own; nothing leaves this machine.",
    settings=Settings,
    kinds=frozenset({"transcriber"}),
    check=check,
    transcriber=TranscriberOffer(
        open=transcriber,
        models=(OfferedTranscriber("", "The model of the connection"),),
        is_offline=True,
        needs_key=False,
    ),
)
