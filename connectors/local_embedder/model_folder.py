"""A folder with a model: which files, how its tokens become one vector, what is written before a text, how long a text is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from connectors.local_embedder.texts import DAMAGED, NO_FOLDER, NO_ONNX, NO_SUCH_MODEL, NO_TOKENIZER

Pooling = Literal["mean", "cls", "last"]
Prefixes = Literal["auto", "e5", "none"]
ONNX_NAMES: Final = ("model.onnx", "model_quantized.onnx", "model_int8.onnx", "model_optimized.onnx")
MOST_TOKENS: Final = 1024
"""Passages have about 400; a longer text would take memory by the square."""
_USUAL_TOKENS: Final = 512
_SAMPLES: Final = 16
_SAMPLE_BYTES: Final = 65_536


class NotUsable(Exception):
    """The folder is no model that can be used; the text is one of our own sentences."""


@dataclass(frozen=True, slots=True)
class _Family:
    """What models with such a name expect, where their files do not say it."""

    name: re.Pattern[str]
    pooling: Pooling = "mean"
    query: str = ""
    passage: str = ""


_TASK: Final = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
_FAMILIES: Final = (
    _Family(re.compile(r"\be5\b.*\binstruct\b"), query=_TASK),
    _Family(re.compile(r"\be5\b"), query="query: ", passage="passage: "),
    _Family(re.compile(r"\bnomic embed\b"), query="search_query: ", passage="search_document: "),
    _Family(re.compile(r"\barctic embed\b.*\bv2\b"), "cls", query="query: "),
    _Family(re.compile(r"\b(bge|arctic embed|mxbai embed|gte multilingual)\b"), "cls"),
)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """`longest`: tokens of a text that are read; `has_layers_beside`: after pooling something comes that is not in every
    ONNX file; `pad_id`: the token that fills shorter texts; `fingerprint`: of everything that a vector depends on."""

    name: str
    onnx: Path
    tokenizer: Path
    pooling: Pooling
    longest: int
    query_prefix: str
    passage_prefix: str
    pad_id: int
    has_layers_beside: bool
    fingerprint: str


def models_in(folder: str) -> list[str]:
    """Names of the models in a folder, or of the one that it is. Raises: NotUsable."""
    place = _folder(folder)
    if _is_model(place):
        return [place.name]
    try:
        return sorted(one.name for one in place.iterdir() if one.name[0] != "." and one.is_dir() and _is_model(one))
    except OSError:
        raise NotUsable(NO_FOLDER) from None


def read(folder: str, model: str, prefixes: Prefixes) -> ModelFolder:
    """One model of a folder: a folder in it, or itself where it bears the name. Raises: NotUsable."""
    place = _model_place(_folder(folder), model)
    try:
        return _read(place, prefixes)
    except (OSError, ValueError, TypeError, AttributeError):
        raise NotUsable(DAMAGED) from None


def _folder(folder: str) -> Path:
    place = Path(folder.strip()).expanduser()
    if not folder.strip() or not place.is_absolute() or not place.is_dir():
        raise NotUsable(NO_FOLDER)
    return place


def _model_place(place: Path, model: str) -> Path:
    name = model.strip()
    if name in (place.name, "") and _is_model(place):
        return place
    # The name comes from whoever may edit a knowledge base; it leads to a folder in this one and nowhere else.
    if not name or name in (".", "..") or not re.fullmatch(r"[\w.@+ -]+", name) or not (place / name).is_dir():
        raise NotUsable(NO_SUCH_MODEL)
    return place / name


def _is_model(place: Path) -> bool:
    return _onnx(place) is not None or _tokenizer(place) is not None


def _onnx(place: Path) -> Path | None:
    for folder in (place, place / "onnx"):
        for name in ONNX_NAMES:
            if (folder / name).is_file():
                return folder / name
        found = sorted(folder.glob("*.onnx"))
        if len(found) == 1:
            return found[0]
    return None


def _tokenizer(place: Path) -> Path | None:
    return next((f for f in (place / "tokenizer.json", place / "onnx" / "tokenizer.json") if f.is_file()), None)


def _read(place: Path, prefixes: Prefixes) -> ModelFolder:
    onnx, tokenizer = _onnx(place), _tokenizer(place)
    if onnx is None:
        raise NotUsable(NO_ONNX)
    if tokenizer is None:
        raise NotUsable(NO_TOKENIZER)
    about = _json(place / "config.json")
    modules = _json(place / "modules.json", [])
    family = _family(place.name, str(about.get("_name_or_path") or ""))
    pooling, longest = _pooling(place, modules, family), _longest(place, about)
    query, passage = _prefixes(place, prefixes, family)
    said = json.dumps([onnx.name, pooling, longest, query, passage])
    return ModelFolder(
        name=place.name, onnx=onnx, tokenizer=tokenizer, pooling=pooling, longest=longest, query_prefix=query,
        passage_prefix=passage, pad_id=int(about.get("pad_token_id") or 0),
        has_layers_beside=any(str(m.get("type", "")).endswith(".Dense") for m in modules),
        fingerprint=_fingerprint([*_weights(onnx), tokenizer], said),
    )  # fmt: skip


def _json(file: Path, otherwise: Any = None) -> Any:
    return json.loads(file.read_text("utf-8")) if file.is_file() else ({} if otherwise is None else otherwise)


def _family(*names: str) -> _Family:
    plain = [re.sub(r"[\W_]+", " ", name.rpartition("/")[2].lower()) for name in names]
    return next((f for f in _FAMILIES if any(f.name.search(name) for name in plain)), _Family(re.compile("")))


def _pooling(place: Path, modules: Iterable[Any], family: _Family) -> Pooling:
    path = next((m["path"] for m in modules if str(m.get("type", "")).endswith(".Pooling")), "1_Pooling")
    told = _json(place / Path(path).name / "config.json")
    mode = str(told.get("pooling_mode") or "")
    if told.get("pooling_mode_cls_token") or mode == "cls":
        return "cls"
    if told.get("pooling_mode_lasttoken") or mode == "lasttoken":
        return "last"
    return "mean" if told else family.pooling


def _longest(place: Path, about: Any) -> int:
    told = _json(place / "sentence_bert_config.json").get("max_seq_length")
    told = told or _json(place / "tokenizer_config.json").get("model_max_length")
    if not told and (positions := about.get("max_position_embeddings")):
        told = int(positions) - (2 if "roberta" in str(about.get("model_type")) else 0)  # it counts from the padding on
    return max(8, min(int(told or _USUAL_TOKENS), MOST_TOKENS))


def _prefixes(place: Path, prefixes: Prefixes, family: _Family) -> tuple[str, str]:
    if prefixes == "none":
        return "", ""
    if prefixes == "e5":
        return "query: ", "passage: "
    told = _json(place / "config_sentence_transformers.json").get("prompts") or {}
    query = str(told.get("query") or "")
    passage = str(told.get("passage") or told.get("document") or "")
    return (query, passage) if query or passage else (family.query, family.passage)


def _weights(onnx: Path) -> list[Path]:
    """The graph and, of a large model, the files beside it."""
    beside = [f for f in onnx.parent.glob(f"{onnx.name}*") if f != onnx and f.is_file()]
    return [onnx, *sorted([*beside, *onnx.parent.glob("*.onnx.data")])]


def _fingerprint(files: Iterable[Path], said: str) -> str:
    """Of sizes and samples: reading gigabytes whole would keep the first question waiting."""
    digest = hashlib.sha256(said.encode())
    for file in dict.fromkeys(files):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}".encode())
        with file.open("rb") as stream:
            for n in range(_SAMPLES):
                stream.seek(max(0, size - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]
