"""`./patchcord fetch-model NAME`: a sentence model for “Vectors on this machine” is downloaded, with progress, by whoever wants it."""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from graph_runtime.places import default_data_dir

KNOWN: Final = {
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
    "multilingual-e5-base": "intfloat/multilingual-e5-base",
    "multilingual-e5-large": "intfloat/multilingual-e5-large",
    "bge-m3": "BAAI/bge-m3",
    "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
}
"""Any other is named as OWNER/NAME."""
GRAPHS: Final = (
    "onnx/model.onnx",
    "model.onnx",
    "onnx/model_quantized.onnx",
    "model_quantized.onnx",
    "model_optimized.onnx",
)
BESIDE: Final = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "modules.json", "*_Pooling/config.json",
)  # fmt: skip


class NotFetched(Exception):
    """The text says why, and what to do."""


def run(arguments: Sequence[str]) -> int:
    """Exit code 1 with a sentence when the model could not be fetched; whole files that arrived are kept and not fetched again."""
    parser = argparse.ArgumentParser(prog="patchcord fetch-model", allow_abbrev=False)
    parser.add_argument("model", help=f"{', '.join(KNOWN)}, or OWNER/NAME of another on huggingface.co")
    parser.add_argument("--file", default="", help="the ONNX file to take, such as onnx/model_quantized.onnx")
    parser.add_argument("--revision", default="main", help="the commit or branch to take")
    parser.add_argument("--into", type=Path, help="the folder of the models (otherwise models in the data folder)")
    wish = parser.parse_args(arguments)
    data = Path(os.environ.get("PATCHCORD_DATA_DIR") or default_data_dir()).expanduser().absolute()
    into = (wish.into or data / "models").expanduser().absolute()
    try:
        place = fetch(KNOWN.get(wish.model, wish.model), into, revision=wish.revision, graph=wish.file)
    except NotFetched as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The model {place.name} lies in {place}.")
    print(f"Under Models add “Vectors on this machine” with the folder {into}, then choose it in a knowledge base.")
    return 0


def fetch(repository: str, into: Path, *, revision: str = "main", graph: str = "") -> Path:
    """The folder of the model; what is there already is left as it is. Raises: NotFetched."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise NotFetched(
            f"“{repository}” is no model that is known here. Known are {', '.join(KNOWN)}; others are OWNER/NAME."
        )
    place = into / repository.partition("/")[2]
    if place.exists():
        raise NotFetched(f"{place} is there already. Remove it first, or fetch into another folder with --into.")
    # A model in its folder is a whole one: nobody finds it, and no check loads it, before its last file has arrived.
    arriving = into / f".{place.name}.arriving"
    try:
        arriving.mkdir(parents=True, exist_ok=True)
        _fetch(repository, arriving, revision, graph)
        shutil.rmtree(arriving / ".cache", ignore_errors=True)
        arriving.rename(place)
    except OSError as error:
        raise NotFetched(f"The model could not be stored in {into}: {error.strerror or error}.") from error
    return place


def _fetch(repository: str, arriving: Path, revision: str, graph: str) -> None:
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=False)
    try:
        about = api.model_info(repository, revision=revision, files_metadata=True, timeout=30)
        sizes = {one.rfilename: one.size or 0 for one in about.siblings or ()}
        wanted = files_wanted(sizes, graph)
        print(
            f"{repository} at {about.sha}: {len(wanted)} files, {sum(sizes[f] for f in wanted) / 1e6:.0f} MB",
            flush=True,
        )
        for name in wanted:
            print(f"  {name} ({sizes[name] / 1e6:.1f} MB)", flush=True)
            api.hf_hub_download(repository, name, revision=about.sha, local_dir=arriving)
    except NotFetched:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise NotFetched(
            f"{constants.ENDPOINT} has no model {repository} at “{revision}” that may be read without a key (answer {status})."
            if status in (401, 403, 404)
            else f"{constants.ENDPOINT} answered {status}. Try again later; whole files that arrived are kept."
        ) from None
    except OSError:
        raise
    except Exception as error:
        raise NotFetched(
            f"{constants.ENDPOINT} could not be asked ({type(error).__name__}). Try again; whole files that arrived are kept. Without a network, copy"
            f" the files of {repository} into a folder of the models by yourself."
        ) from error


def files_wanted(names: Sequence[str] | dict[str, int], graph: str = "") -> list[str]:
    """The graph, the weights beside it, the tokenizer and what says how they are used; the large ones last.

    Raises: NotFetched when the graph or the tokenizer is missing.
    """
    chosen = graph or next((g for g in GRAPHS if g in names), "")
    if not chosen or chosen not in names:
        raise NotFetched(
            f"The model has no file {graph}."
            if graph
            else "The model has no ONNX file. Export it to ONNX, or choose another."
        )
    if "tokenizer.json" not in names:
        raise NotFetched("The model has no tokenizer.json. Choose another.")
    beside = [n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in BESIDE)]
    weights = [n for n in names if n in (f"{chosen}_data", f"{chosen}.data")]
    return [*sorted(beside), *sorted(weights), chosen]
