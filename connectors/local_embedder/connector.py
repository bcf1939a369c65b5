"""Offers vectors from a model on this machine: nothing leaves it, and nothing is fetched while somebody waits."""

from __future__ import annotations

import asyncio
from typing import Literal

from connectors.local_embedder.embedding import LocalEmbedder
from connectors.local_embedder.model_folder import NotUsable, models_in
from connectors.local_embedder.texts import NO_MODELS, WORKS
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.embedding import EmbedderOffer
from graph_runtime.contract.errors import Refused
from graph_runtime.contract.forms import setting


class Settings(CredentialSettings):
    """Where the models lie."""

    folder: str = setting(
        "Folder of the models", default="", required=True, max_length=1000, placeholder="/srv/models",
        help="Its whole path on this machine. Each model is a folder in it, with model.onnx and tokenizer.json.",
    )  # fmt: skip
    prefixes: Literal["auto", "e5", "none"] = setting(
        "Words before a text", default="auto", advanced=True,
        options={"auto": "As the model expects", "e5": "Those of E5", "none": "None"},
        help="E5 and some others tell questions and passages by them. Choose only if the name does not say what it is.",
    )  # fmt: skip
    cores: int = setting(
        "Cores", default=1, ge=1, le=64, advanced=True,
        help="How many compute at the same time in each process of Patchcord that searches or reads.",
    )  # fmt: skip


def embedder(settings: Settings, model: str) -> LocalEmbedder:
    """One model of the folder; it is loaded with the first text. Raises: Refused."""
    return LocalEmbedder(settings.folder, model, settings.prefixes, settings.cores)


async def check(settings: Settings) -> CheckResult:
    """Load every model of the folder, one after the other. Raises: Refused for the first that cannot be."""
    try:
        models = await asyncio.to_thread(models_in, settings.folder)
    except NotUsable as error:
        raise Refused(str(error)) from None
    if not models:
        return CheckResult(ok=False, message=NO_MODELS)
    for model in models:
        one = await asyncio.to_thread(embedder, settings, model)
        try:
            await one.embed(["?"], is_query=True)
        finally:
            await one.aclose()
    return CheckResult(ok=True, message=WORKS, models=tuple(models))


CONNECTOR = Connector(
    id="local_embedder",
    label="Vectors on this machine",
    summary="Searches knowledge by meaning with a model of your own; nothing leaves this machine.",
    settings=Settings,
    kinds=frozenset({"embedder"}),
    check=check,
    embedder=EmbedderOffer(
        open=embedder,
        models=(
            ("multilingual-e5-small", "multilingual-e5-small: quick, a hundred languages"),
            ("multilingual-e5-base", "multilingual-e5-base: better, three times as slow"),
        ),
    ),
)
