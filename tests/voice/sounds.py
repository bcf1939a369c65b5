"""Sounds of a telephone line as samples at 8 kHz: something like a voice, noises, ringback, digits, an echo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
RATE = 8000

VOWELS = {
    "a": ((730, 90), (1090, 110), (2440, 170)),
    "e": ((530, 60), (1840, 90), (2480, 120)),
    "i": ((270, 60), (2290, 100), (3010, 130)),
    "o": ((570, 70), (840, 80), (2410, 110)),
    "u": ((300, 50), (870, 70), (2240, 100)),
}
"""Formants: centre and width in Hz."""


def voice(ms: float, *, level_db: float = -20, pitch: float = 120, seed: int = 0) -> bytes:
    """Syllables of a synthetic speaker: a glottal buzz through formants that glide from vowel to vowel."""
    random = np.random.default_rng(seed)
    count = int(RATE * ms / 1000)
    out = np.zeros(count + RATE)
    at = 0
    order = list("aeiou")
    before = "e"
    while at < count:
        after = order[random.integers(len(order))]
        length = int(RATE * random.uniform(0.14, 0.22))
        out[at : at + length] += _syllable(before, after, length, pitch * random.uniform(0.85, 1.2), random)
        at += length + int(RATE * random.uniform(0.0, 0.03))
        before = after
    return pcm(at_level(out[:count], level_db))


def _syllable(start: str, end: str, length: int, pitch: float, random: np.random.Generator) -> Samples:
    phase = np.cumsum(np.linspace(pitch * 1.1, pitch * 0.9, length) / RATE + random.normal(0, 0.0005, length))
    buzz = np.diff(np.floor(phase), prepend=0) + random.normal(0, 0.01, length)
    attack = int(0.03 * RATE)
    noise = np.zeros(length)
    noise[:attack] = random.normal(0, 0.15, attack)
    out = np.zeros(length)
    state = np.zeros((3, 2))
    for i in range(length):
        share = i / length
        sample = buzz[i] + noise[i]
        for j in range(3):
            center = VOWELS[start][j][0] * (1 - share) + VOWELS[end][j][0] * share
            width = VOWELS[start][j][1] * (1 - share) + VOWELS[end][j][1] * share
            radius = np.exp(-np.pi * width / RATE)
            a1, a2 = 2 * radius * np.cos(2 * np.pi * center / RATE), -radius * radius
            value = (1 - a1 - a2) * sample + a1 * state[j, 0] + a2 * state[j, 1]
            state[j] = value, state[j, 0]
            sample = value
        out[i] = sample
    return out * np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.02 * RATE))


def white(ms: float, *, level_db: float = -30, seed: int = 1) -> bytes:
    """Even noise."""
    return pcm(at_level(np.random.default_rng(seed).normal(0, 1, int(RATE * ms / 1000)), level_db))


def brown(ms: float, *, level_db: float = -30, seed: int = 2) -> bytes:
    """Rumble: most of it low."""
    steps = np.random.default_rng(seed).normal(0, 1, int(RATE * ms / 1000))
    walk = np.cumsum(steps)
    smooth = np.convolve(walk, np.ones(800) / 800, mode="same")
    return pcm(at_level(walk - smooth, level_db))


def tones(ms: float, frequencies: tuple[float, ...], *, level_db: float = -15) -> bytes:
    """Steady tones together."""
    time = np.arange(int(RATE * ms / 1000)) / RATE
    return pcm(at_level(sum((np.sin(2 * np.pi * f * time) for f in frequencies), np.zeros(len(time))), level_db))


def ringback(ms: float) -> bytes:
    """One second of 425 Hz in five."""
    sound = np.array(samples(tones(ms, (425,))))
    sound[(np.arange(len(sound)) // RATE) % 5 != 0] = 0
    return pcm(sound)


def digits(ms: float) -> bytes:
    """Keys, 100 ms each with a pause of 100 ms."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    parts = [tones(100, (rows[i // 3 % 4], columns[i % 3])) + bytes(1600) for i in range(int(ms // 200) + 1)]
    return b"".join(parts)[: int(ms * 16)]


def echo(audio: bytes, *, level_db: float, delay_ms: float) -> bytes:
    """What comes back of it: later, quieter, a little dull."""
    sound = np.convolve(samples(audio), [0.6, 0.3, 0.1])[: len(audio) // 2] * 10 ** (level_db / 20)
    delayed = np.concatenate([np.zeros(int(RATE * delay_ms / 1000)), sound])
    return pcm(delayed[: len(sound)])


def mixed(*sounds: bytes) -> bytes:
    """All at once, as long as the shortest."""
    length = min(map(len, sounds)) // 2
    return pcm(sum((samples(s)[:length] for s in sounds), np.zeros(length)))


def level(audio: bytes) -> float:
    """RMS in dB of full scale."""
    return float(20 * np.log10(max(np.sqrt(np.mean(samples(audio) ** 2)), 1e-9)))


def at_level(sound: Samples, level_db: float) -> Samples:
    """The same, at that RMS."""
    scaled: Samples = sound * (10 ** (level_db / 20) / max(np.sqrt(np.mean(sound**2)), 1e-12))
    return scaled


def samples(audio: bytes) -> Samples:
    """Between -1 and 1."""
    return np.frombuffer(audio, dtype="<i2") / 32768


def pcm(sound: Samples) -> bytes:
    """Signed 16-bit, little-endian."""
    return np.clip(sound * 32768, -32768, 32767).astype("<i2").tobytes()
