"""The Silero network at 8 kHz, calculated with numpy: one matrix product per layer for a whole batch of calls.

A general runtime spends more than half of its time on this small network between the layers. The weights are read out of
the file that the `silero-vad` package brings; its Python code would need torch and is never imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 8000
WINDOW = 256
"""Samples the network judges at a time: 32 ms."""

CONTEXT = 32
"""Samples of the window before that it wants to see again."""

CELLS = 128
TAPS, HOP, BINS = 128, 64, 65
"""Of the spectrum: samples of one look, samples between two, frequencies."""

LOOKS = 4
"""The last one sees the end of the window once more, mirrored."""

REST_WINDOWS = 31

Floats = npt.NDArray[np.float32]


class ModelMissing(Exception):
    """The network's file is not installed, or is another network; the message says what to do."""


class Silero:
    """Probabilities of speech for a batch of windows of different calls."""

    def __init__(self, path: Path | None = None) -> None:
        found = _weights((path or model_path()).read_bytes())
        try:
            self._look, self._last_look = _looks(found["stft.forward_basis_buffer"])
            self._first = _Layer(found, "encoder.0", (0, 1, 2))
            self._second_start = _Layer(found, "encoder.1", (1, 2))  # nothing is before the first look
            self._second = _Layer(found, "encoder.1", (0, 1, 2))
            self._third = _Layer(found, "encoder.2", (1, 2))
            self._fourth = _Layer(found, "encoder.3", (1,))
            self._cell, self._cell_bias = _cell(found)
            self._out = np.ascontiguousarray(found["decoder.decoder.2.weight"].reshape(CELLS) / 2)
            self._out_bias = float(found["decoder.decoder.2.bias"][0]) / 2
        except (KeyError, ValueError) as error:
            raise ModelMissing(
                "The installed silero-vad has another network than this program calculates. Run ./patchcord up."
            ) from error
        rest = np.zeros((2, 1, CELLS), dtype=np.float32)
        for _ in range(REST_WINDOWS):
            _, rest = self.run(np.zeros((1, CONTEXT + WINDOW), dtype=np.float32), rest)
        self.rest: Floats = rest[:, 0]
        """(2, 128): the state after a second of silence. From zeros the network hears the first second badly."""

    def run(self, windows: Floats, states: Floats) -> tuple[Floats, Floats]:
        """`windows` (N, 32 + 256) between -1 and 1 and `states` (2, N, 128) give probabilities (N,) and new states."""
        count = len(windows)
        spectra = self._spectra(windows)
        near = np.empty((LOOKS, count, 3 * BINS), dtype=np.float32)  # each look beside the one before and the one after
        near[1:, :, :BINS], near[0, :, :BINS] = spectra[:-1], 0
        near[:, :, BINS : 2 * BINS] = spectra
        near[:-1, :, 2 * BINS :], near[-1, :, 2 * BINS :] = spectra[1:], 0
        first = self._first(near.reshape(LOOKS * count, -1)).reshape(LOOKS, count, -1)
        start = self._second_start(np.concatenate(first[:2], axis=1))
        end = self._second(np.concatenate(first[1:], axis=1))
        seen = self._fourth(self._third(np.concatenate((start, end), axis=1)))
        return self._remember(seen, states)

    def _spectra(self, windows: Floats) -> Floats:
        """(4, N, 65): how loud each frequency is in each look."""
        count = len(windows)
        waves = np.empty((LOOKS, count, 2 * BINS), dtype=np.float32)
        for number in range(LOOKS - 1):
            np.matmul(windows[:, number * HOP : number * HOP + TAPS], self._look, out=waves[number])
        np.matmul(windows[:, (LOOKS - 1) * HOP :], self._last_look, out=waves[-1])
        waves *= waves
        powers: Floats = waves[:, :, :BINS] + waves[:, :, BINS:]
        np.sqrt(powers, out=powers)
        return powers

    def _remember(self, seen: Floats, states: Floats) -> tuple[Floats, Floats]:
        """The recurrent layer, and what it makes of it. The weights are such that one tanh serves all four gates."""
        gates = np.concatenate((seen, states[0]), axis=1) @ self._cell
        gates += self._cell_bias
        np.tanh(gates, out=gates)
        news = gates[:, 3 * CELLS :]
        opens = gates[:, : 3 * CELLS]
        opens += 1
        opens *= 0.5
        after = np.empty_like(states)
        np.multiply(opens[:, CELLS : 2 * CELLS], states[1], out=after[1])
        after[1] += opens[:, :CELLS] * news
        np.tanh(after[1], out=after[0])
        after[0] *= opens[:, 2 * CELLS :]
        probabilities = np.maximum(after[0], 0) @ self._out
        probabilities += self._out_bias
        return (np.tanh(probabilities) + 1) * 0.5, after


class _Layer:
    """A convolution over looks of which only the given taps meet anything, as one product; negative results become 0."""

    __slots__ = ("_bias", "_matrix")

    def __init__(self, found: dict[str, Floats], name: str, taps: tuple[int, ...]) -> None:
        weight = found[f"{name}.reparam_conv.weight"]  # (out, in, 3)
        self._matrix = np.ascontiguousarray(np.concatenate([weight[:, :, tap].T for tap in taps]))
        self._bias = found[f"{name}.reparam_conv.bias"]

    def __call__(self, rows: Floats) -> Floats:
        out: Floats = rows @ self._matrix
        out += self._bias
        np.maximum(out, 0, out=out)
        return out


def _looks(basis: Floats) -> tuple[Floats, Floats]:
    """(128, 130) for a look inside the window; (96, 130) for the last, with the mirrored samples folded back."""
    whole = np.ascontiguousarray(basis.reshape(2 * BINS, TAPS).T)
    kept = WINDOW + CONTEXT - (LOOKS - 1) * HOP
    folded = whole[:kept].copy()
    mirrored = TAPS - kept
    folded[kept - 1 - mirrored : kept - 1] += whole[kept:][::-1]
    return whole, folded


def _cell(found: dict[str, Floats]) -> tuple[Floats, Floats]:
    """(256, 512) and (512,): gates in, forget, out at half their size, then the news."""
    both = np.concatenate((found["decoder.rnn.weight_ih"], found["decoder.rnn.weight_hh"]), axis=1)
    bias = found["decoder.rnn.bias_ih"] + found["decoder.rnn.bias_hh"]
    order = np.concatenate([np.arange(CELLS) + part * CELLS for part in (0, 1, 3, 2)])
    scale = np.where(np.arange(4 * CELLS) < 3 * CELLS, np.float32(0.5), np.float32(1))
    return np.ascontiguousarray((both[order] * scale[:, None]).T), bias[order] * scale


def model_path() -> Path:
    """Where the installed package keeps the network. Raises: ModelMissing."""
    found = importlib.util.find_spec("silero_vad")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise ModelMissing(
        "The model that detects speech is not installed. Run ./patchcord up, or: pip install --no-deps silero-vad"
    )


# The file is a protocol buffer (onnx.proto): a tree of numbered fields.
_MODEL_GRAPH, _GRAPH_NODE, _NODE_OUTPUT, _NODE_ATTRIBUTE = 7, 1, 2, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 5, 6
_TENSOR_SIZE, _TENSOR_TYPE, _TENSOR_BYTES = 1, 2, 9
_FLOAT = 1


def _weights(model: bytes) -> dict[str, Floats]:
    """The constants of the half that is for 8 kHz, by name. Raises: ModelMissing."""
    found: dict[str, Floats] = {}
    try:
        for graph in _parts(memoryview(model), _MODEL_GRAPH):
            for node in _parts(graph, _GRAPH_NODE):
                for attribute in _parts(node, _NODE_ATTRIBUTE):
                    if bytes(*_parts(attribute, _ATTRIBUTE_NAME)) == b"else_branch":
                        for branch in _parts(attribute, _ATTRIBUTE_GRAPH):
                            found |= _constants(branch)
    except (IndexError, ValueError, TypeError) as error:
        raise ModelMissing("The file of the model that detects speech is damaged. Run ./patchcord up.") from error
    return found


def _constants(graph: memoryview) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for node in _parts(graph, _GRAPH_NODE):
        for attribute in _parts(node, _NODE_ATTRIBUTE):
            for tensor in _parts(attribute, _ATTRIBUTE_TENSOR):
                sizes, kinds = _numbers(tensor, _TENSOR_SIZE), _numbers(tensor, _TENSOR_TYPE)
                if kinds == [_FLOAT] and len(sizes) > 0:
                    name = bytes(next(_parts(node, _NODE_OUTPUT))).decode().rpartition("__")[2]
                    found[name] = np.frombuffer(next(_parts(tensor, _TENSOR_BYTES)), "<f4").reshape(sizes)
    return found


def _parts(message: memoryview, field: int) -> Iterator[memoryview]:
    """Every value of that field that is made of bytes."""
    for number, value in _fields(message):
        if number == field and isinstance(value, memoryview):
            yield value


def _numbers(message: memoryview, field: int) -> list[int]:
    """Every number of that field, written one by one or packed."""
    found = []
    for number, value in _fields(message):
        if number == field and isinstance(value, int):
            found.append(value)
        elif number == field and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                packed, at = _varint(value, at)
                found.append(packed)
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise ValueError(f"field of kind {kind}")
            size, at = _varint(message, at)
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
