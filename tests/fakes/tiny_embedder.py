"""A sentence model that a test makes: a real ONNX graph and a real tokenizer, whose vectors are known by heart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_FLOAT, _INT64 = 1, 7


def make(
    folder: Path,
    meanings: Mapping[str, Sequence[float]],
    *,
    is_whole: bool = False,
    files: Mapping[str, object] | None = None,
    onnx: str = "onnx/model.onnx",
) -> Path:
    """Write a model whose words have these vectors, all others and the marks at both ends none; its path.

    `is_whole`: the graph gives the mean of the whole text by itself, as `sentence_embedding`. `files`: JSON files beside it.
    """
    vocabulary = [*WORDS, *meanings]
    width = len(next(iter(meanings.values())))
    table = np.array([[0.0] * width] * len(WORDS) + [[*v] for v in meanings.values()], dtype=np.float32)
    table[WORDS.index("[CLS]"), -1] = 1.0  # so that the first token, the mean and the last one differ
    place = folder / onnx
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(_graph(table, is_whole=is_whole))
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    for name, content in (files or {"config.json": {"model_type": "bert", "max_position_embeddings": 64}}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


def _tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_padding(length=48)  # as some published tokenizers do
    return made


def _graph(table: np.ndarray, *, is_whole: bool) -> bytes:
    """Tokens become rows of the table. The format is Protocol Buffers, which needs no library to be written."""
    rows, width = table.shape
    tensor = _number(1, rows) + _number(1, width) + _number(2, _FLOAT) + _text(8, "table") + _bytes(9, table.tobytes())
    output = "sentence_embedding" if is_whole else "last_hidden_state"
    nodes = [_node("Gather", ["table", "input_ids"], "tokens" if is_whole else output)]
    tensors = [tensor]
    if is_whole:
        axes = np.array([1], dtype=np.int64)
        tensors.append(_number(1, 1) + _number(2, _INT64) + _text(8, "axes") + _bytes(9, axes.tobytes()))
        nodes.append(_node("ReduceSum", ["tokens", "axes"], output, keepdims=0))
    inputs = [_value(name, _INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")]
    outputs = [_value(output, _FLOAT, ["batch", width] if is_whole else ["batch", "length", width])]
    graph = b"".join(_bytes(1, n) for n in nodes) + _text(2, "tiny")
    graph += b"".join(_bytes(5, t) for t in tensors)
    graph += b"".join(_bytes(11, i) for i in inputs) + b"".join(_bytes(12, o) for o in outputs)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 17))


def _node(kind: str, inputs: Sequence[str], output: str, **numbers: int) -> bytes:
    attributes = b"".join(
        _bytes(5, _text(1, name) + _number(3, value) + _number(20, 2)) for name, value in numbers.items()
    )
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + attributes


def _value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    dims = b"".join(_bytes(1, _text(2, d) if isinstance(d, str) else _number(1, d)) for d in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
