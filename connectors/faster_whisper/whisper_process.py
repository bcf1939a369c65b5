"""The helper process that recognises with faster-whisper: the short window first, 30 seconds when that went badly."""

from __future__ import annotations

import math
from typing import Any

from connectors._processes.inside import Job, Misfit, Work, serve
from connectors.faster_whisper.texts import NO_LIBRARY, NO_MODEL

RATE = 16_000
WINDOW_SECONDS = 30.0
STEP_SECONDS = 2.0
"""The short window is as long as the audio and half a second of silence, in steps of this."""
TAIL_SECONDS = 0.5
POOR = -1.0
"""Mean log-probability of a token below which the whole window is tried."""
SILENT = 0.6
_SHORTEST_SECONDS = 0.1


class _Whisper:
    def __init__(self, setup: dict[str, Any]) -> None:
        try:
            import numpy as np
            import soxr
            from faster_whisper import WhisperModel
            from faster_whisper.tokenizer import Tokenizer
        except (ImportError, OSError):
            raise Misfit(NO_LIBRARY) from None
        self._numpy, self._soxr, self._tokenizer = np, soxr, Tokenizer
        self._poor = setup.get("poor", POOR)
        try:
            self.model = WhisperModel(
                setup["model"],
                device="cpu",
                compute_type=setup["compute_type"],
                cpu_threads=1,
                local_files_only=not setup["may_download"],
            )
        except Exception:  # noqa: BLE001  # the hub's library raises anything for a model that is not there
            raise Misfit(NO_MODEL) from None

    def recognise(self, job: Job) -> dict[str, Any]:
        """Text, confidence, language and which window gave it."""
        np, rate = self._numpy, job.asked["rate"]
        heard = np.frombuffer(b"".join(job.audio()), dtype="<i2").astype(np.float32) / 32768.0
        if job.is_cancelled or len(heard) < _SHORTEST_SECONDS * rate:
            return {"text": "", "confidence": 0.0, "language": job.asked["language"], "window": 0.0}
        signal = self._soxr.resample(heard, rate, RATE) if rate != RATE else heard
        language = self._language(job.asked["language"])
        seconds = math.ceil((len(signal) / RATE + TAIL_SECONDS) / STEP_SECONDS) * STEP_SECONDS
        if seconds < WINDOW_SECONDS:
            text, log_probability = self._short(signal, seconds, language, job.asked["hints"])
            if log_probability >= self._poor or job.is_cancelled:
                return self._answer(text, log_probability, language, seconds)
        return self._whole(job, signal, language)

    def _language(self, wanted: str) -> str:
        main = wanted.partition("-")[0].lower()
        if not self.model.model.is_multilingual:
            return "en"
        return main if main in self.model.supported_languages else "en"

    def _short(self, signal: Any, seconds: float, language: str, hints: str) -> tuple[str, float]:
        np, model = self._numpy, self.model
        padded = np.zeros(round(seconds * RATE), dtype=np.float32)
        padded[: len(signal)] = signal[: len(padded)]
        features = model.feature_extractor(padded, padding=0)
        tokens = self._tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
        prompt = model.get_prompt(tokens, [], without_timestamps=True, hotwords=hints or None)
        found = model.model.generate(
            model.encode(features),
            [prompt],
            beam_size=1,
            max_length=min(model.max_length, len(prompt) + round(seconds * 16) + 8),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        if found.no_speech_prob > SILENT and found.scores[0] < POOR:
            return "", 0.0
        ids = found.sequences_ids[0]
        return tokens.decode(ids).strip(), found.scores[0] * len(ids) / (len(ids) + 1)

    def _whole(self, job: Job, signal: Any, language: str) -> dict[str, Any]:
        segments, info = self.model.transcribe(
            signal,
            language=language,
            beam_size=1,
            without_timestamps=True,
            temperature=0.0,
            condition_on_previous_text=False,
            hotwords=job.asked["hints"] or None,
        )
        texts, weights = [], []
        for segment in segments:
            if job.is_cancelled:
                break
            texts.append(segment.text.strip())
            weights.append(segment.avg_logprob)
        mean = sum(weights) / len(weights) if weights else 0.0
        return self._answer(" ".join(t for t in texts if t), mean, info.language, WINDOW_SECONDS)

    @staticmethod
    def _answer(text: str, log_probability: float, language: str, window: float) -> dict[str, Any]:
        confidence = min(1.0, math.exp(log_probability)) if text else 0.0
        return {"text": text, "confidence": confidence, "language": language, "window": window}


def load(setup: dict[str, Any]) -> Work:
    """Raises: Misfit without the library or the model."""
    whisper = _Whisper(setup)

    def work(job: Job, answer: Any) -> None:
        answer(whisper.recognise(job))

    return work


if __name__ == "__main__":
    serve(load)
