"""Vectors on this machine: the real libraries in a real process, with a model whose vectors are known by heart."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.local_embedder import texts, unrelated
from connectors.local_embedder.connector import Settings, check, embedder
from connectors.local_embedder.embedding import LocalEmbedder
from connectors.local_embedder.model_folder import read
from graph_runtime.contract.errors import BadAnswer, Refused, Unreachable
from tests.fakes import tiny_embedder

pytestmark = pytest.mark.asyncio
COLORS = {"red": (1.0, 0, 0), "scarlet": (1.0, 0, 0), "blue": (0, 1.0, 0), "query": (0, 0.5, 0), "passage": (0.5, 0, 0)}
OTHERS = dict.fromkeys((":", "grey"), (0.0, 0.0, 0.0))
MEANINGS = COLORS | OTHERS
Open = Callable[..., LocalEmbedder]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    made: list[LocalEmbedder] = []

    def open_(model: str, **settings: Any) -> LocalEmbedder:
        made.append(embedder(Settings(folder=str(tmp_path), **settings), model))
        return made[-1]

    yield open_
    for one in made:
        await one.aclose()


def unit(*numbers: float) -> list[Any]:
    length = math.sqrt(sum(n * n for n in numbers))
    return [pytest.approx(n / length, abs=1e-6) for n in numbers]


def said(**pooling: bool) -> dict[str, object]:
    return {"config.json": {}, "1_Pooling/config.json": pooling}


async def test_the_mean_is_of_the_tokens_and_not_of_what_fills_shorter_texts(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    one = opened("tiny")
    # [CLS] is (0, 0, 1); the tokenizer of the folder fills up to 48 tokens, which must not be seen
    alone = await one.embed(["red"])
    assert alone == [unit(1, 0, 1)]
    beside = await one.embed(["red", "blue red scarlet grey", "Red"])
    assert beside == [unit(1, 0, 1), unit(2, 1, 1), unit(1, 0, 1)]
    assert await one.embed([]) == []


@pytest.mark.parametrize(
    ("files", "is_whole", "expected"),
    [
        (said(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False), False, (0, 0, 1)),
        (said(pooling_mode_cls_token=False, pooling_mode_mean_tokens=True), False, (2, 0, 1)),
        (said(pooling_mode_cls_token=True), True, (2, 0, 1)),
    ],
    ids=["first token", "mean", "the graph's own"],
)
async def test_how_tokens_become_one_vector_is_read_from_the_folder(
    tmp_path: Path, opened: Open, files: dict[str, object], is_whole: bool, expected: tuple[float, ...]
) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS, files=files, is_whole=is_whole)
    assert await opened("tiny").embed(["red scarlet"]) == [unit(*expected)]


@dataclass(frozen=True)
class Told:
    """A model's name and files, how it is set up, and what “red” becomes as a question and as a passage."""

    name: str
    question: tuple[float, ...]
    passage: tuple[float, ...]
    files: dict[str, object] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


AS_E5, PLAIN = ((1, 0.5, 1), (1.5, 0, 1)), ((1, 0, 1), (1, 0, 1))


@pytest.mark.parametrize(
    "told",
    [
        Told("multilingual-e5-small", *AS_E5),
        Told("multilingual-e5-small", *PLAIN, settings={"prefixes": "none"}),
        Told("mine", *AS_E5, files={"config.json": {"_name_or_path": "intfloat/multilingual-e5-base"}}),
        Told("mine", *AS_E5, settings={"prefixes": "e5"}),
        Told(
            "mine", (1, 1, 1), (1, 0, 1), files={"config_sentence_transformers.json": {"prompts": {"query": "blue "}}}
        ),
        Told("the-e55-model", *PLAIN),
    ],
)
async def test_questions_and_passages_are_told_apart_where_the_model_expects_it(
    tmp_path: Path, opened: Open, told: Told
) -> None:
    tiny_embedder.make(tmp_path / told.name, MEANINGS, files=told.files)
    one = opened(told.name, **told.settings)
    assert await one.embed(["red"], is_query=True) == [unit(*told.question)]
    assert await one.embed(["red"]) == [unit(*told.passage)]


async def test_a_long_text_is_cut_where_the_model_ends(tmp_path: Path, opened: Open) -> None:
    files = {"sentence_bert_config.json": {"max_seq_length": 8}}
    tiny_embedder.make(tmp_path / "tiny", MEANINGS, files=files)
    assert await opened("tiny").embed(["red " * 6 + "blue " * 500]) == [unit(6, 0, 1)]


async def test_many_texts_come_back_in_their_order(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    asked = ["red " * (n % 7) + "blue " * (n % 5) for n in range(41)]
    made = await opened("tiny").embed(asked)
    assert made == [unit(n % 7, n % 5, 1) for n in range(41)]


async def test_a_question_passes_the_passages_that_wait(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    one = opened("tiny")
    await one.embed(["red"], is_query=True)
    order: list[str] = []

    async def noted(name: str, texts_: list[str], *, is_query: bool) -> None:
        await one.embed(texts_, is_query=is_query)
        order.append(name)

    passages = asyncio.create_task(noted("passages", ["grey " * 60] * 400, is_query=False))
    await asyncio.sleep(0)  # it has begun, and holds the place of passages
    assert one._passages.locked()
    await noted("question", ["red"], is_query=True)
    await passages
    assert order == ["question", "passages"]


async def test_it_says_how_alike_it_finds_what_has_nothing_in_common(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "english", OTHERS | {"the": (0, 1.0, 0)})
    one = opened("english")
    assert one.unrelated("Where?") == 0.0, "not loaded yet"
    await one.embed(["red"])
    # It knows one English word, and nothing of texts in Cyrillic letters: all of them are the same to it.
    assert one.unrelated("Что это? How?") == 0.95, "at most, so that something remains"
    asked, said = (
        [direction(t) for t in texts_ if t.isascii()] for texts_ in (unrelated.QUESTIONS, unrelated.PASSAGES)
    )
    cosines = [q[0] * p[0] + q[1] * p[1] for q in asked for p in said]
    assert len(cosines) == 16
    assert one.unrelated("Where and что?") == pytest.approx(sum(cosines) / 16, abs=1e-5)
    assert one.unrelated("123") == one.unrelated("Where?")


def direction(text: str) -> tuple[float, float]:
    """As that model sees it: how often “the” stands in it, beside the first token."""
    count = re.findall(r"\w+", text.lower()).count("the")
    length = math.hypot(count, 1)
    return count / length, 1 / length


async def test_other_files_are_another_model(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    before = opened("tiny")
    assert before.name.startswith("local_embedder/tiny@")
    assert opened("tiny").name == before.name
    assert opened("tiny", prefixes="e5").name != before.name, "vectors of other texts"
    tiny_embedder.make(tmp_path / "tiny", MEANINGS | {"red": (0, 0, 1.0)})
    assert opened("tiny").name != before.name
    with pytest.raises(Refused) as failed:
        await before.embed(["red"])
    assert failed.value.message == texts.CHANGED


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda place: (place / "onnx/model.onnx").unlink(), texts.NO_ONNX),
        (lambda place: (place / "tokenizer.json").unlink(), texts.NO_TOKENIZER),
        (lambda place: (place / "config.json").write_text("{"), texts.DAMAGED),
        (lambda place: (place / "tokenizer.json").write_text("{}"), texts.DAMAGED),
        (lambda place: (place / "onnx/model.onnx").write_bytes(b"not a graph"), texts.DAMAGED),
        (lambda place: (place / "modules.json").write_text('[{"type": "x.models.Dense", "path": "2_Dense"}]'),
         texts.HAS_LAYERS_BESIDE),
    ],
)  # fmt: skip
async def test_what_is_missing_or_broken_is_said_with_what_to_do(
    tmp_path: Path, spoil: Callable[[Path], object], expected: str
) -> None:
    spoil(tiny_embedder.make(tmp_path / "tiny", MEANINGS))
    with pytest.raises(Refused) as failed:
        await check(Settings(folder=str(tmp_path)))
    assert failed.value.message == expected


async def test_a_vector_that_is_no_number_is_not_taken(tmp_path: Path) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS | {"?": (math.nan, 0, 0)})
    with pytest.raises(Refused) as failed:
        await check(Settings(folder=str(tmp_path)))
    assert failed.value.message == texts.DAMAGED


async def test_a_folder_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    for folder in ("", "models", str(tmp_path / "nowhere")):
        with pytest.raises(Refused) as failed:
            await check(Settings(folder=folder))
        assert failed.value.message == texts.NO_FOLDER
    found = await check(Settings(folder=str(tmp_path)))
    assert (found.ok, found.message) == (False, texts.NO_MODELS)


async def test_the_check_loads_every_model_and_names_it(tmp_path: Path) -> None:
    for name in ("one", "two", ".arriving"):
        tiny_embedder.make(tmp_path / name, MEANINGS)
    (tmp_path / "notes").mkdir()
    found = await check(Settings(folder=str(tmp_path)))
    assert (found.ok, found.message, found.models) == (True, texts.WORKS, ("one", "two"))
    (tmp_path / "two/onnx/model.onnx").write_bytes(b"cut")
    with pytest.raises(Refused):
        await check(Settings(folder=str(tmp_path)))


async def test_the_folder_may_be_the_model_itself(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path, MEANINGS, onnx="model.onnx")
    assert (await check(Settings(folder=str(tmp_path)))).models == (tmp_path.name,)
    assert await opened(tmp_path.name).embed(["red"]) == [unit(1, 0, 1)]


@pytest.mark.parametrize("model", ["../outside", "/etc", "..", ".", "", "inside/onnx", "tiny/", "gone"])
async def test_a_name_of_a_model_leads_nowhere_else(tmp_path: Path, model: str) -> None:
    tiny_embedder.make(tmp_path / "outside", MEANINGS)
    tiny_embedder.make(tmp_path / "folder/inside", MEANINGS)
    tiny_embedder.make(tmp_path / "folder/tiny", MEANINGS)
    with pytest.raises(Refused) as failed:
        embedder(Settings(folder=str(tmp_path / "folder")), model)
    assert failed.value.message == texts.NO_SUCH_MODEL


async def test_a_process_that_dies_is_started_again(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    one = opened("tiny")
    await one.embed(["red"])
    pid = one._helper.pid
    assert pid is not None
    asked = asyncio.create_task(one.embed(["grey " * 60] * 400))
    await asyncio.sleep(0)  # it has begun, and holds the place of passages
    assert one._passages.locked()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BadAnswer) as failed:
        await asked
    assert failed.value.message == texts.CRASHED
    assert await one.embed(["red"]) == [unit(1, 0, 1)]
    assert one._helper.pid != pid


async def test_loading_goes_on_when_the_one_who_asked_has_gone(tmp_path: Path, opened: Open) -> None:
    """A question waits four seconds; a model that needs longer would otherwise be begun anew with each."""
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    one = opened("tiny")
    asked = asyncio.create_task(one.embed(["red"], is_query=True))
    await asyncio.sleep(0)
    starting = one._helper._starting
    assert starting is not None
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await starting
    assert one._helper.pid is not None
    assert await one.embed(["red"]) == [unit(1, 0, 1)]


async def test_whoever_waits_for_a_model_that_is_closed_is_told_and_not_cancelled(tmp_path: Path, opened: Open) -> None:
    tiny_embedder.make(tmp_path / "tiny", MEANINGS)
    one = opened("tiny")
    asked = asyncio.create_task(one.embed(["red"]))
    await asyncio.sleep(0)
    assert one._helper._starting is not None
    await one.aclose()
    with pytest.raises(Unreachable):
        await asked
    assert await one.embed(["red"]) == [unit(1, 0, 1)]


@pytest.mark.parametrize(
    ("name", "pooling", "query"),
    [
        ("multilingual-e5-large-instruct", "mean", "Instruct: "),
        ("bge-m3", "cls", ""),
        ("snowflake-arctic-embed-l-v2.0", "cls", "query: "),
        ("nomic-embed-text-v1.5", "mean", "search_query: "),
        ("all-MiniLM-L6-v2", "mean", ""),
    ],
)
async def test_well_known_models_are_known_by_their_names(tmp_path: Path, name: str, pooling: str, query: str) -> None:
    tiny_embedder.make(tmp_path / name, MEANINGS, files={"config.json": {}})
    about = read(str(tmp_path), name, "auto")
    assert (about.pooling, about.query_prefix.startswith(query), bool(about.query_prefix)) == (
        pooling,
        True,
        bool(query),
    )
