"""The promises every connector keeps; a new folder is tested by being there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydantic import SecretStr

from connectors._langchain import answer, checking, errors
from connectors._speech import errors as speech_errors
from connectors._vectors import texts as vector_texts
from connectors.asterisk import words as asterisk_words
from connectors.faster_whisper import texts as whisper_texts
from connectors.google_speech import connector as google_speech
from connectors.http_key import connector as http_key
from connectors.kommo import errors as kommo_errors
from connectors.kommo import fields as kommo_fields
from connectors.local_embedder import texts as local_embedder_texts
from connectors.oauth_app import connector as oauth_app
from connectors.offline_speech import texts as offline_texts
from connectors.reranker import connector as reranker
from connectors.rest_crm import client as rest_crm
from connectors.telegram import words as telegram_words
from connectors.webhook import words as webhook_words
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.forms import form_fields
from tests.connectors import channel_promises

CATALOG = load_catalog(["connectors"])
CONNECTORS = list(CATALOG.connectors.values())
LANGUAGES = ("ru", "uk")
SECRET_NAMES = re.compile(r"key|secret|token|password", re.IGNORECASE)
# Never needed by a settings form or `check`; loading them costs seconds and tens of MB.
HEAVY = (
    "langchain",
    "langchain_core",
    "openai",
    "anthropic",
    "google.genai",
    "httpx",
    "httpx2",
    "genai_prices",
    "grpc",
    "google.cloud",
    "google.auth",
    "faster_whisper",
    "ctranslate2",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "soxr",
    "pocketsphinx",
    "espeakng_loader",
)

each = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.id)


def folder(connector: Connector) -> Path:
    """Where it lives."""
    assert connector.folder is not None
    return connector.folder


def shown_texts(connector: Connector) -> set[str]:
    """Every text of a connector that people read."""
    out = {connector.label, connector.summary, *(m.label for m in connector.models)}
    for field in form_fields(connector.settings):
        out |= {field.label, field.help, *(label for _, label in field.options)}
    if "chat_model" in connector.kinds and connector.needs_credential:
        out |= {*errors.SENTENCES, checking.WORKS, checking.NO_MODELS, answer.EMPTY, answer.CUT_BY_LIMIT}
    out |= _OWN_TEXTS.get(connector.id, set())
    if connector.vector_store is not None:
        out |= _sentences(vector_texts)
    if connector.transcriber is not None:
        out |= {model.label for model in connector.transcriber.models}
    if connector.synthesizer is not None:
        out |= {voice.label for voice in connector.synthesizer.voices}
    if connector.transcriber is not None:
        own = _OWN_SPEECH_TEXTS.get(connector.id, ())
        out |= {*own, *(_sentences(speech_errors) if connector.id != "openai" else _SHARED_BY_OPENAI)}
    return out - {""}


def _sentences(module: Any) -> set[str]:
    return {v for k, v in vars(module).items() if k.isupper() and isinstance(v, str)}


_OWN_TEXTS = {
    "http_key": _sentences(http_key), "oauth_app": _sentences(oauth_app),
    "kommo": _sentences(kommo_errors) | kommo_fields.OWN_LABELS, "rest_crm": _sentences(rest_crm),
    "reranker": _sentences(reranker), "telegram": _sentences(telegram_words), "webhook": _sentences(webhook_words),
    "asterisk": _sentences(asterisk_words), "local_embedder": _sentences(local_embedder_texts),
}  # fmt: skip
_SHARED_BY_OPENAI = {speech_errors.SLOW, speech_errors.CUT, speech_errors.BEHIND, speech_errors.TOO_LONG}
_OWN_SPEECH_TEXTS = {
    "offline_speech": _sentences(offline_texts),
    "faster_whisper": _sentences(whisper_texts),
    "google_speech": {google_speech.WORKS},
}


def test_there_are_the_four_of_the_first_release() -> None:
    assert {"openai", "anthropic", "google_gemini", "demo_model"} <= set(CATALOG.connectors)


@each
def test_the_folder_is_complete_and_bears_the_id(connector: Connector) -> None:
    files = {p.name for p in folder(connector).iterdir()}
    assert {"connector.py", "icon.svg", "texts.json", "help.md", "help.ru.md", "help.uk.md"} <= files
    assert connector.id == folder(connector).name
    assert re.fullmatch(r"[a-z][a-z0-9_]*", connector.id)


@each
def test_labels_and_sentences_read_well(connector: Connector) -> None:
    assert connector.label
    assert connector.summary.endswith(".")
    assert len(connector.summary) <= 120
    for field in form_fields(connector.settings):
        assert field.label
        assert field.label[0].isupper()
        assert not field.label.endswith(".")
        assert not field.help or field.help.endswith(".")


@each
def test_secrets_are_secret(connector: Connector) -> None:
    for name in connector.settings.model_fields:
        if SECRET_NAMES.search(name):
            assert name in connector.settings.secret_fields(), f"{name} must be a SecretStr"
    given: dict[str, Any] = {name: SecretStr("canary-1") for name in connector.settings.secret_fields()}
    settings = connector.settings(**given)
    assert "canary-1" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@each
def test_the_address_of_the_vendor_is_a_setting(connector: Connector) -> None:
    if not connector.needs_credential or not connector.settings.secret_fields():
        pytest.skip("speaks to nobody")
    base_url = connector.settings.model_fields["base_url"]
    assert str(base_url.default).startswith("https://")


@each
def test_everything_shown_is_translated(connector: Connector) -> None:
    texts = json.loads((folder(connector) / "texts.json").read_text("utf-8"))
    for text in shown_texts(connector):
        assert set(texts.get(text, ())) == set(LANGUAGES), f"not translated: {text!r}"
        assert all(texts[text][language].strip() for language in LANGUAGES)
    unused = set(texts) - shown_texts(connector)
    if connector.id != "demo_model":  # its only extra text is what `check` answers
        assert not unused, f"translated, but shown nowhere: {unused}"
    names = {voice.label for voice in connector.synthesizer.voices} if connector.synthesizer else set()
    same = {t for t in texts if texts[t]["ru"] == texts[t]["uk"] == t}
    assert all(t in (connector.label, "Responses", "Chat completions", "Whisper", *names) for t in same), (
        f"left in English: {same}"
    )


@each
@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_the_help_begins_with_the_label_and_has_steps(connector: Connector, language: str) -> None:
    name = "help.md" if language == "en" else f"help.{language}.md"
    text = (folder(connector) / name).read_text("utf-8")
    label = connector.label if language == "en" else connector.texts[connector.label][language]
    assert text.splitlines()[0] == f"# {label}"
    assert text.count("\n## ") >= 2
    if connector.needs_credential:
        steps = re.findall(r"^(\d)\. ", text, re.MULTILINE)
        assert steps[:4] == ["1", "2", "3", "4"], "how to get a key, step by step"
        assert "https://" in text


@each
def test_the_icon_is_small_and_harmless(connector: Connector) -> None:
    raw = (folder(connector) / "icon.svg").read_bytes()
    assert len(raw) <= 4096
    root = ET.fromstring(raw)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "foreignObject", "image", "use", "style", "a", "text"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not any(name.lower().startswith("on") or "href" in name for name in attributes)
    assert b"currentColor" in raw, "it follows the theme"


@each
def test_it_offers_what_its_kind_promises(connector: Connector) -> None:
    if "chat_model" in connector.kinds:
        assert connector.chat_model is not None
        assert connector.check is not None
        assert connector.models
        assert connector.warm_up is not None
        given: dict[str, Any] = {name: SecretStr("k") for name in connector.settings.secret_fields()}
        model = connector.chat_model(connector.settings(**given), connector.models[0].name)
        assert model.provider
        assert model.name == connector.models[0].name


def test_importing_connectors_loads_no_vendor_library() -> None:
    code = (
        "import sys; from graph_runtime.contract.catalog import load_catalog; load_catalog(['connectors']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_connectors_import_the_contract_and_nothing_else_of_the_product() -> None:
    for file in Path(__import__("connectors").__path__[0]).rglob("*.py"):
        for found in re.findall(r"^\s*(?:from|import) (graph_runtime[\w.]*)", file.read_text("utf-8"), re.MULTILINE):
            assert found.startswith("graph_runtime.contract"), f"{file.name} imports {found}"


CHANNELS = [c for c in CONNECTORS if c.channel is not None and c.channel.send is not None]
each_channel = pytest.mark.parametrize("connector", CHANNELS, ids=lambda c: c.id)


def test_there_are_channels() -> None:
    assert {"webhook", "telegram"} <= {c.id for c in CHANNELS}


@each_channel
def test_recorded_webhooks_become_messages(connector: Connector) -> None:
    channel_promises.recorded_webhooks_become_messages(connector)


@each_channel
def test_a_wrong_signature_is_refused(connector: Connector) -> None:
    channel_promises.a_wrong_signature_is_refused(connector)


@each_channel
@pytest.mark.parametrize("kind", channel_promises.KINDS)
async def test_every_kind_of_message_goes_out(connector: Connector, kind: str) -> None:
    await channel_promises.every_kind_goes_out(connector, channel_promises.KINDS[kind])


@each_channel
async def test_faults_have_their_names(connector: Connector) -> None:
    await channel_promises.faults_have_their_names(connector)
