"""A Whisper of random numbers: the real format, read by the real library, small enough to be made by a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH, HEADS, MELS, FRAMES, CONTEXT = 64, 2, 80, 1500, 448


def make(folder: Path, *, seed: int = 1) -> Path:
    """Write the model (2 MB); its path. The library takes it for one that knows English only."""
    tokenizer = _tokenizer()
    size = tokenizer.get_vocab_size()
    spec = whisper_spec.WhisperSpec(1, HEADS, 1, HEADS)
    rng = np.random.default_rng(seed)
    _fill(spec, rng, size)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in _LANGUAGE_CODES]
    spec.config.alignment_heads = [(0, 0)]
    vocabulary = [tokenizer.id_to_token(n) for n in range(size)]
    spec.register_vocabulary(vocabulary)
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "chunk_length": 30,
        "feature_size": MELS,
        "hop_length": 160,
        "n_fft": 400,
        "sampling_rate": 16000,
        "nb_max_frames": 3000,
        "n_samples": 480000,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: n for n, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in _LANGUAGE_CODES)]
    special += [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    special += [f"<|{n * 0.02:.2f}|>" for n in range(1501)]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return tokenizer


def _fill(spec: whisper_spec.WhisperSpec, rng: np.random.Generator, size: int) -> None:
    def some(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    def norm(layer: object) -> None:
        layer.gamma = np.ones(WIDTH, np.float32)  # type: ignore[attr-defined]
        layer.beta = np.zeros(WIDTH, np.float32)  # type: ignore[attr-defined]

    def linear(layer: object, out: int, inside: int) -> None:
        layer.weight, layer.bias = some(out, inside), np.zeros(out, np.float32)  # type: ignore[attr-defined]

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = some(WIDTH, MELS, 3), np.zeros(WIDTH, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = some(WIDTH, WIDTH, 3), np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = some(FRAMES, WIDTH)
    decoder.position_encodings.encodings = some(CONTEXT, WIDTH)
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    decoder.embeddings.weight = some(size, WIDTH)
    linear(decoder.projection, size, WIDTH)
    for layer in [*encoder.layer, *decoder.layer]:
        blocks = [layer.self_attention] + ([layer.attention] if hasattr(layer, "attention") else [])
        for block in blocks:
            norm(block.layer_norm)
            shapes = (
                [(3 * WIDTH, WIDTH), (WIDTH, WIDTH)]
                if len(block.linear) == 2
                else [(WIDTH, WIDTH), (2 * WIDTH, WIDTH), (WIDTH, WIDTH)]
            )
            for one, shape in zip(block.linear, shapes, strict=True):
                linear(one, *shape)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
