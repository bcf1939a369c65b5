"""What one request to a store carries: as many passages as its limit allows, whatever their vectors are like."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from connectors.pinecone.connector import MOST_BYTES
from graph_runtime.services.knowledge_copying import _entry, _that_fit
from graph_runtime.storage.passages import as_vector

COPY = {"id": str(uuid4()), "workspace_id": str(uuid4()), "knowledge_base_id": str(uuid4())}


def waiting(dims: int, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    return [
        {
            "passage_id": str(uuid4()), "number": 1, "vector": as_vector((random.standard_normal(dims) * 1e-3).tolist()),
            "dims": dims, "model": "m" * 200, "category": str(uuid4()), "language": "uk", "changed_at": 1_780_000_000,
        }
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("dims", [384, 1536, 3072, 16_000])
def test_a_batch_stays_below_the_limit_of_the_store_and_wastes_little(dims: int) -> None:
    rows = waiting(dims, 300)
    fit = _that_fit(rows, MOST_BYTES)
    entries = [_entry(COPY, row) for row in fit]
    vectors = [{"id": e.id, "values": list(e.vector), "metadata": e.fields()} for e in entries if e is not None]
    size = len(json.dumps({"vectors": vectors, "namespace": "n" * 80}).encode())
    assert fit == rows[: len(fit)]
    assert size <= 2_000_000
    assert size > 1_500_000 or len(fit) == len(rows)


def test_one_passage_goes_in_any_case_and_a_removal_takes_little_room() -> None:
    assert len(_that_fit(waiting(3072, 2), 1000)) == 1
    gone = [{"passage_id": str(uuid4()), "number": 1, "vector": None, "dims": None} for _ in range(100)]
    assert len(_that_fit(gone, 100_000)) == 100
