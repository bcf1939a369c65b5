"""The helper process that recognises with pocketsphinx, one small grammar per question."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from connectors._processes.inside import Job, Misfit, Work, serve
from connectors.offline_speech.grammar import build
from connectors.offline_speech.texts import NO_OPTIONS, NOT_INSTALLED

RATE = 16_000
DITHER = 20.0
"""Standard deviation in steps of the 16-bit scale: exact zeros break the features."""
BEAM = 1e-64
"""Wider than usual: the grammars are tiny, and the right phrase must not be dropped for a bad beginning."""
_LEAD_SECONDS, _TAIL_SECONDS = 0.2, 0.3
_KEPT = 64
_SHORTEST_SECONDS = 0.08


class _Recogniser:
    def __init__(self) -> None:
        try:
            import numpy as np
            import soxr
            from pocketsphinx import Config, Decoder, get_model_path
        except (ImportError, OSError):
            raise Misfit(NOT_INSTALLED) from None
        self._numpy, self._soxr = np, soxr
        self._decoder = Decoder(
            Config(
                hmm=get_model_path("en-us/en-us"),
                dict=get_model_path("en-us/cmudict-en-us.dict"),
                lm=None,
                samprate=float(RATE),
                beam=BEAM,
                pbeam=BEAM,
                wbeam=BEAM,
                loglevel="FATAL",
            )
        )
        self._grammars: OrderedDict[str, tuple[str, dict[str, str]]] = OrderedDict()

    def grammar(self, phrases: list[str]) -> tuple[str, dict[str, str]]:
        """Name of the search and what its words mean. Raises: Misfit."""
        key = "\n".join(phrases)
        if key in self._grammars:
            self._grammars.move_to_end(key)
            return self._grammars[key]
        text, meant = build(phrases, self._decoder.lookup_word, self._add)
        if not text:
            raise Misfit(NO_OPTIONS)
        name = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
        self._decoder.add_jsgf_string(name, text)
        self._grammars[key] = name, meant
        while len(self._grammars) > _KEPT:
            old, _ = self._grammars.popitem(last=False)[1]
            if old != self._decoder.current_search():
                self._decoder.remove_search(old)
        return name, meant

    def _add(self, name: str, phones: str) -> None:
        if self._decoder.lookup_word(name) is None:
            self._decoder.add_word(name, phones, update=False)

    def recognise(self, job: Job) -> tuple[str, float]:
        """The option and 0…1; ("", 0) for what is none of them."""
        name, meant = self.grammar(job.asked["phrases"])
        np, rate = self._numpy, job.asked["rate"]
        heard = np.frombuffer(b"".join(job.audio()), dtype="<i2").astype(np.float32)
        if job.is_cancelled or len(heard) < _SHORTEST_SECONDS * rate:
            return "", 0.0
        signal = self._soxr.resample(heard, rate, RATE)
        signal = np.pad(signal, (round(_LEAD_SECONDS * RATE), round(_TAIL_SECONDS * RATE)))
        # The same noise for the same utterance: recognition is repeatable.
        signal += np.random.default_rng(len(signal)).normal(0.0, DITHER, len(signal)).astype(np.float32)
        pcm = np.clip(np.round(signal), -32768, 32767).astype("<i2").tobytes()
        decoder = self._decoder
        decoder.activate_search(name)
        decoder.start_utt()
        try:
            # All at once: the means of the whole utterance are taken off, which short answers need.
            decoder.process_raw(pcm, full_utt=True)
        finally:
            decoder.end_utt()
        found = decoder.hyp()
        phrase = meant.get(found.hypstr, "") if found is not None and found.hypstr else ""
        return (phrase, min(1.0, max(0.0, float(found.score)))) if phrase else ("", 0.0)


def load(_setup: dict[str, Any]) -> Work:
    """Raises: Misfit without the extra."""
    recogniser = _Recogniser()

    def work(job: Job, answer: Any) -> None:
        text, confidence = recogniser.recognise(job)
        answer({"text": text, "confidence": confidence})

    return work


if __name__ == "__main__":
    serve(load)
