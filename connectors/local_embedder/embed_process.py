"""The helper process that makes vectors with onnxruntime; no network, no downloads, files of one folder only."""

from __future__ import annotations

from typing import Any

from connectors._processes.inside import Job, Misfit, Work, serve
from connectors.local_embedder.model_folder import ModelFolder, NotUsable, read
from connectors.local_embedder.texts import CHANGED, DAMAGED, HAS_LAYERS_BESIDE, NO_LIBRARY, NOT_FOR_TEXTS
from connectors.local_embedder.unrelated import PASSAGES, QUESTIONS, likeness

_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
_WHOLE = "sentence_embedding"
"""What exporters call a vector of the whole text."""


class _Model:
    def __init__(self, setup: dict[str, Any]) -> None:
        try:
            import numpy as np
            import onnxruntime
            import tokenizers
        except (ImportError, OSError):
            raise Misfit(NO_LIBRARY) from None
        self._numpy = np
        try:
            self._about: ModelFolder = read(setup["folder"], setup["model"], setup["prefixes"])
        except NotUsable as error:
            raise Misfit(str(error)) from None
        if self._about.fingerprint != setup["fingerprint"]:
            raise Misfit(CHANGED)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(self._about.tokenizer))
            self._session = _session(onnxruntime, self._about, setup["cores"])
        except Exception:  # noqa: BLE001  # both libraries raise anything for a file that they cannot read
            raise Misfit(DAMAGED) from None
        self._pad_id = (self._tokenizer.padding or {}).get("pad_id", self._about.pad_id)
        self._tokenizer.no_padding()  # a tokenizer may fill each text to its longest, at four times the cost
        self._tokenizer.enable_truncation(max_length=self._about.longest)
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._output, self._is_whole = self._output_to_use()
        self.unrelated = likeness(
            self.vectors([*QUESTIONS], is_query=True).tolist(), self.vectors([*PASSAGES], is_query=False).tolist()
        )

    def _output_to_use(self) -> tuple[str, bool]:
        """The output with the vectors, and whether they are of whole texts. Raises: Misfit."""
        outputs = {one.name: len(one.shape or ()) for one in self._session.get_outputs()}
        if "input_ids" not in self._inputs or self._inputs - _KNOWN_INPUTS:
            raise Misfit(NOT_FOR_TEXTS)
        if outputs.get(_WHOLE) == 2:
            return _WHOLE, True
        of_tokens = next((name for name, rank in outputs.items() if rank == 3), "")
        if of_tokens and self._about.has_layers_beside:
            raise Misfit(HAS_LAYERS_BESIDE)
        if of_tokens:
            return of_tokens, False
        raise Misfit(NOT_FOR_TEXTS)

    def vectors(self, texts: list[str], *, is_query: bool) -> Any:
        """A row of length one for each text."""
        np = self._numpy
        before = self._about.query_prefix if is_query else self._about.passage_prefix
        read = self._tokenizer.encode_batch([before + text for text in texts])
        width = max(len(one.ids) for one in read) or 1
        ids = np.full((len(read), width), self._pad_id, dtype=np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, one in enumerate(read):
            ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, 1
            types[row, : len(one.ids)] = one.type_ids
        places = np.broadcast_to(np.arange(width, dtype=np.int64), ids.shape)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "position_ids": places}
        (made,) = self._session.run([self._output], {k: v for k, v in given.items() if k in self._inputs})
        made = made.astype(np.float32)
        rows = made if self._is_whole else self._pooled(made, mask)
        if rows.shape[0] != len(texts) or rows.ndim != 2:
            raise Misfit(NOT_FOR_TEXTS)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def _pooled(self, made: Any, mask: Any) -> Any:
        np = self._numpy
        if self._about.pooling == "cls":
            return made[:, 0]
        if self._about.pooling == "last":
            return made[np.arange(len(made)), np.maximum(mask.sum(axis=1) - 1, 0)]
        weights = mask[:, :, None].astype(made.dtype)
        return (made * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)


def _session(onnxruntime: Any, about: ModelFolder, cores: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin while they wait would take a core from calls and conversations.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(about.onnx), options, providers=["CPUExecutionProvider"])


def load(setup: dict[str, Any]) -> Work:
    """Raises: Misfit without the library or the model."""
    model = _Model(setup)

    def work(job: Job, answer: Any) -> None:
        made = model.vectors(job.asked["texts"], is_query=job.asked["is_query"]).astype("<f4")
        answer({"dims": int(made.shape[1]), "unrelated": model.unrelated}, made.tobytes())

    return work


if __name__ == "__main__":
    serve(load)
