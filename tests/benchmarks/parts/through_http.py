"""Turns through HTTP with everything durable, beside a bare FastAPI endpoint with one INSERT."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from graph_runtime.places import REPOSITORY
from tests.faults.program import Program
from tests.faults.system import Layout, System
from tests.ports import free_port

ROUNDS = 3
SECONDS = 4.0
IN_FLIGHT = (1, 8, 32)


def flow() -> dict[str, Any]:
    """Four steps for a turn (set, branch, format, answer), or twenty when the person says “long”."""

    def assign(name: str, value: str) -> dict[str, Any]:
        item = {"id": "i_1", "save_to": name, "kind": "text", "value": value}
        return {"type": "set_variable", "v": 1, "settings": {"assignments": [item]}}

    when = {"left": {"ref": "var.said"}, "op": "eq", "right": {"value": "long"}}
    nodes: dict[str, Any] = {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_ask": {"type": "ask", "v": 1, "settings": {"text": "Heard: {{ var.echo }}", "save_to": "said"}},
        "n_set": assign("echo", "{{ var.said }}"),
        "n_branch": {"type": "branch", "v": 1, "settings": {"cases": [{"id": "long", "label": "long", "when": when}]}},
        "n_format": assign("echo", "{{ var.echo }}!"),
    }
    edges = {
        "n_start.next": "n_ask", "n_ask.answered": "n_set", "n_set.next": "n_branch", "n_branch.else": "n_format",
        "n_branch.long": "n_l0", "n_format.next": "n_ask",
    }  # fmt: skip
    names = ["echo", "said"]
    for n in range(16):
        nodes[f"n_l{n}"] = assign(f"l{n % 5}", "{{ var.said }}")
        edges[f"n_l{n}.next"] = f"n_l{n + 1}" if n < 15 else "n_format"
    names += [f"l{n}" for n in range(5)]
    return {
        "format": "flow/1",
        "name": "Turns",
        "locale": "en",
        "entry": {"message": "n_start"},
        "variables": {name: {"type": "text", "label": name} for name in names},
        "nodes": nodes,
        "edges": edges,
    }


async def load(**plan: Any) -> dict[str, float]:
    """Run the load generator."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tests.benchmarks.parts.http_load", cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate(json.dumps(plan).encode())
    assert process.returncode == 0
    found: dict[str, float] = json.loads(output)
    assert not found["failed"], found
    return found


async def measure(seconds: float = SECONDS) -> tuple[dict[str, float], dict[str, float]]:
    """(figures, yardsticks), medians of three rounds in which ours and the yardstick alternate."""
    rounds: dict[str, list[float]] = {}

    def note(name: str, found: dict[str, float]) -> None:
        for key in ("per_s", "p50_ms", "p95_ms"):
            rounds.setdefault(f"{name}_{key}", []).append(found[key])

    with tempfile.TemporaryDirectory() as folder:
        system = System(Layout(flow=flow()), Path(folder))
        yardstick: Program | None = None
        try:
            await system.start()
            port = free_port()
            arguments = ["tests.benchmarks.parts.bare_fastapi", system.database.postgres.admin_url, str(port)]
            yardstick = Program("yardstick", arguments, {}, Path(folder) / "yardstick.log")
            yardstick.start()
            web = int(system.addresses[0].rpartition(":")[2])
            bare = {"port": port, "path": "/say", "begin": "", "keys": ["none"], "texts": ["hello"]}
            ours = {
                "port": web, "path": "/api/v1/conversations/{id}/messages", "keys": system.world.keys,
                "begin": f"/api/v1/agents/{system.world.agent_id}/conversations",
            }  # fmt: skip
            await system.until_ready("web1")
            await asyncio.sleep(3)  # the processes' own first seconds: workers, warm-up of models
            for _ in range(ROUNDS):
                for in_flight in IN_FLIGHT:
                    note(f"bare_{in_flight}", await load(**bare, in_flight=in_flight, seconds=seconds))
                    for name, text in (("4_steps", "hello"), ("20_steps", "long")):
                        found = await load(**ours, texts=[text], in_flight=in_flight, seconds=seconds)
                        note(f"{name}_{in_flight}", found)
        finally:
            if yardstick is not None:
                yardstick.close()
            await system.close()
    value = {key: statistics.median(found) for key, found in rounds.items()}
    best = {n: max(value[f"{n}_{k}_per_s"] for k in IN_FLIGHT) for n in ("bare", "4_steps", "20_steps")}
    figures = {
        "http_4_steps_turns_per_s": best["4_steps"],
        "http_20_steps_turns_per_s": best["20_steps"],
        "http_4_steps_to_fastapi_ratio": best["4_steps"] / best["bare"],
        "http_20_steps_to_fastapi_ratio": best["20_steps"] / best["bare"],
        "http_4_steps_p50_ms": value["4_steps_1_p50_ms"],
        "http_20_steps_p50_ms": value["20_steps_1_p50_ms"],
        "http_4_steps_32_in_flight_p95_ms": value["4_steps_32_p95_ms"],
    }
    yardsticks = {
        "fastapi_and_insert_per_s": best["bare"],
        "fastapi_and_insert_p50_ms": value["bare_1_p50_ms"],
        "fastapi_and_insert_32_in_flight_p95_ms": value["bare_32_p95_ms"],
    }
    return figures, yardsticks


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure()), indent=2))
