"""The network as numpy calculates it, beside the runtime that its makers use."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.voice import sounds
from voice.silero import CELLS, CONTEXT, RATE, WINDOW, Floats, ModelMissing, Silero, model_path


@pytest.fixture(scope="module")
def theirs() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model_path()), sess_options=options, providers=["CPUExecutionProvider"])


def windows_of(lines: list[bytes]) -> list[Floats]:
    """Each window of all lines together, with the end of the one before."""
    sound = np.stack([np.frombuffer(bytes(CONTEXT * 2) + line, "<i2") for line in lines]).astype(np.float32)
    sound /= 32768
    return [sound[:, at : at + CONTEXT + WINDOW] for at in range(0, sound.shape[1] - CONTEXT - WINDOW + 1, WINDOW)]


LINES = [
    sounds.voice(3000, seed=0, pitch=120),
    sounds.voice(3000, seed=5, pitch=220, level_db=-35),
    sounds.white(3000),
    sounds.ringback(3000),
    bytes(48_000),
    sounds.mixed(sounds.voice(3000, seed=3, pitch=160), sounds.brown(3000)),
]


@pytest.mark.parametrize("count", [1, 2, len(LINES)])
def test_both_hear_the_same(theirs: Any, count: int) -> None:
    model = Silero()
    our_states = their_states = np.zeros((2, count, CELLS), dtype=np.float32)
    loudest = 0.0
    for windows in windows_of(LINES[:count]):
        ours, our_states = model.run(windows, our_states)
        found, their_states = theirs.run(None, {"input": windows, "state": their_states, "sr": np.array(RATE)})
        np.testing.assert_allclose(ours, found[:, 0], atol=1e-3)
        np.testing.assert_allclose(our_states, their_states, atol=1e-2)
        loudest = max(loudest, float(ours.max()))
    assert loudest > 0.9, "there was speech to be heard"


def test_what_is_no_such_network_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    for content in (b"", b"not a model at all", model_path().read_bytes()[:400_000]):
        file.write_bytes(content)
        with pytest.raises(ModelMissing, match="patchcord up"):
            Silero(file)
