"""What a durable turn costs: against LangGraph in memory and with its stock saver, and through HTTP against FastAPI."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict
from uuid import uuid4

import psycopg
import uvloop
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START as BEGIN
from langgraph.graph import StateGraph
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from graph_runtime.contract.flow import Flow
from graph_runtime.contract.messages import Reply
from graph_runtime.engine.compile import compile_flow
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.benchmarks.figures import Report, parser
from tests.benchmarks.parts import through_http
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import CATALOG, flow
from tests.engine.turns import Talk

ROUNDS = 3
ONE_AT_A_TIME = 150
CONVERSATIONS = 16
EACH = 60
EACH_STOCK = 15


def chain(steps: int) -> Flow:
    """A loop of that many steps a turn: the answer, then variables, one branch, and the next question."""
    nodes: dict[str, Any] = {
        "s": ("start", {}),
        "q": ("ask", {"text": "Next?", "save_to": "x"}),
        "b": ("branch", {"when": {"left": {"ref": "var.x"}, "op": "ne", "right": {"value": "stop"}}}),
        "a": ("say", {"text": "Noted: {{ var.x }}"}),
    }
    edges = {"s.next": "q", "q.answered": "b", "b.yes": "a"}
    last = "a"
    # Of the steps of a turn, four are: the reply, the branch, the message and the next question.
    for i in range(steps - 4):
        nodes[f"v{i}"] = ("set", {"name": f"v{i % 5}", "value": "{{ var.x }}"})
        edges[f"{last}.next"] = f"v{i}"
        last = f"v{i}"
    return flow(nodes, edges | {f"{last}.next": "q"})


class State(TypedDict, total=False):
    """The yardstick's channels: variables, and the last message."""

    var: dict[str, str]
    said: str


def langgraph_by_hand(steps: int, saver: BaseCheckpointSaver[Any] | None = None) -> Any:
    """The same steps as an author of plain LangGraph writes them: one node each, state in memory or in a saver."""
    graph: Any = StateGraph(State)

    async def ask(state: State) -> State:
        return {"said": "Next?"}

    async def answered(state: State) -> State:
        return {"var": {**state.get("var", {}), "x": interrupt("Next?")}}

    async def branch(state: State) -> Command[str]:
        return Command(goto="say" if state["var"]["x"] != "stop" else "__end__")

    async def say(state: State) -> State:
        return {"said": f"Noted: {state['var']['x']}"}

    graph.add_node("ask", ask)
    graph.add_node("answered", answered)
    graph.add_node("branch", branch)
    graph.add_node("say", say)
    graph.add_edge(BEGIN, "ask")
    graph.add_edge("ask", "answered")
    graph.add_edge("answered", "branch")
    last = "say"
    for i in range(steps - 4):
        graph.add_node(f"v{i}", _setter(f"v{i % 5}"))
        graph.add_edge(last, f"v{i}")
        last = f"v{i}"
    graph.add_edge(last, "ask")
    return graph.compile(checkpointer=saver or InMemorySaver())


def _setter(name: str) -> Callable[[State], Awaitable[State]]:
    async def run(state: State) -> State:
        return {"var": {**state["var"], name: state["var"]["x"]}}

    return run


async def times(turn: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    """Milliseconds of each call, one after another."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        await turn()
        found.append((time.perf_counter() - began) * 1000)
    return found


class ByHand:
    """A conversation with plain LangGraph; a fresh one now and then, as its saver keeps every checkpoint."""

    def __init__(self, steps: int, saver: BaseCheckpointSaver[Any] | None = None) -> None:
        self._graph = langgraph_by_hand(steps, saver)
        self._durability: Any = None if saver is None else "sync"
        self._name = uuid4().hex
        self._turns = 0

    async def turn(self) -> float:
        """Milliseconds of one turn."""
        config = {"configurable": {"thread_id": f"{self._name}{self._turns // 50}"}}
        if self._turns % 50 == 0:
            await self._graph.ainvoke({"var": {}}, config, durability=self._durability)
        self._turns += 1
        began = time.perf_counter()
        await self._graph.ainvoke(Command(resume="hello"), config, durability=self._durability)
        return (time.perf_counter() - began) * 1000


async def in_memory(steps: int, count: int) -> float:
    """Median milliseconds of our turn with nothing stored."""
    talk = Talk(chain(steps))
    await talk.go()
    return statistics.median(await times(lambda: talk.go("hello"), count))


class Durable:
    """A conversation with everything stored."""

    def __init__(self, side: Process, access: ChannelAccess, conversation: str) -> None:
        self._side, self._access, self._conversation = side, access, conversation

    async def turn(self) -> float:
        """Milliseconds from receiving a message to the committed answer."""
        service, key = self._side.conversations, uuid4().hex
        began = time.perf_counter()
        accepted = await service.receive(self._access, self._conversation, Reply(text="hello"), dedupe_key=key)
        answer = await service.wait_for_turn(self._access, self._conversation, accepted.inbox_id, 30)
        took = (time.perf_counter() - began) * 1000
        assert answer is not None
        assert len(answer) == 2
        return took


async def side_by_side(side: Process, access: ChannelAccess, steps: int, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of durable turns and of plain LangGraph, taken in turns so that both meet the same machine."""
    ours, theirs = Durable(side, access, await side.begin(access)), ByHand(steps)
    for _ in range(20):
        await ours.turn()
        await theirs.turn()
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        found[0].append(await ours.turn())
        found[1].append(await theirs.turn())
    return found


async def throughput(side: Process, access: ChannelAccess) -> float:
    """Turns per second of one process with several conversations at once."""
    conversations = [await side.begin(access) for _ in range(CONVERSATIONS)]

    async def talk(conversation: str) -> None:
        for _ in range(EACH):
            reply = Reply(text="hello")
            accepted = await side.conversations.receive(access, conversation, reply, dedupe_key=uuid4().hex)
            answer = await side.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 30)
            assert answer is not None

    began = time.perf_counter()
    await asyncio.gather(*(talk(c) for c in conversations))
    return CONVERSATIONS * EACH / (time.perf_counter() - began)


async def throughput_by_hand(steps: int, saver: BaseCheckpointSaver[Any] | None = None, *, each: int = EACH) -> float:
    """The same number of conversations at once with plain LangGraph, in turns per second."""
    conversations = [ByHand(steps, saver) for _ in range(CONVERSATIONS)]

    async def talk(conversation: ByHand) -> None:
        for _ in range(each):
            await conversation.turn()

    began = time.perf_counter()
    await asyncio.gather(*(talk(c) for c in conversations))
    return CONVERSATIONS * each / (time.perf_counter() - began)


@asynccontextmanager
async def stock_saver(url: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """LangGraph's own PostgreSQL saver over a pool, with its tables made."""
    kwargs = {"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0}
    async with AsyncConnectionPool(url, min_size=2, max_size=12, open=False, kwargs=kwargs) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]  # it wants rows as dicts, and gets them
        await saver.setup()
        yield saver


async def measure() -> Report:
    """Everything, in medians of three rounds."""
    report = Report("turns")
    rounds: dict[str, list[float]] = {}

    def note(key: str, value: float) -> None:
        rounds.setdefault(key, []).append(value)

    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as postgres:
        migrate.upgrade(postgres.admin_url)
        five, twenty = (publish(postgres.admin_url, chain(n)) for n in (5, 20))
        async with process(postgres.app_url) as side:
            async with stock_saver(postgres.admin_url) as saver:
                for _ in range(ROUNDS):
                    note("stock_rate5", await throughput_by_hand(5, saver, each=EACH_STOCK))
                    note("rate5_beside_stock", await throughput(side, five))
            for _ in range(ROUNDS):
                for steps, access in ((5, five), (20, twenty)):
                    ours, theirs = await side_by_side(side, access, steps, ONE_AT_A_TIME)
                    note(f"durable{steps}", statistics.median(ours))
                    note(f"hand{steps}", statistics.median(theirs))
                    note(f"p95_{steps}", statistics.quantiles(ours, n=20)[-1])
                    note(f"memory{steps}", await in_memory(steps, ONE_AT_A_TIME))
                    note(f"rate{steps}", await throughput(side, access))
                    note(f"hand_rate{steps}", await throughput_by_hand(steps))
            _sizes(report, postgres.admin_url)
        note("commit", _commit_floor(postgres.admin_url))
    value = {key: statistics.median(found) for key, found in rounds.items()}
    report.figures |= {
        "durable_5_step_turn_p50_ms": value["durable5"],
        "durable_5_step_turn_p95_ms": value["p95_5"],
        "durable_20_step_turn_p50_ms": value["durable20"],
        "durable_turns_per_s": value["rate5"],
        "durable_20_step_turns_per_s": value["rate20"],
        "durable_5_to_langgraph_throughput_ratio": value["rate5"] / value["hand_rate5"],
        "durable_20_to_langgraph_throughput_ratio": value["rate20"] / value["hand_rate20"],
        "durable_5_to_stock_saver_throughput_ratio": value["rate5_beside_stock"] / value["stock_rate5"],
        "durable_5_to_langgraph_in_memory_ratio": value["hand5"] / value["durable5"],
        "durable_20_to_langgraph_in_memory_ratio": value["hand20"] / value["durable20"],
        "in_memory_5_step_turn_p50_ms": value["memory5"],
        "extra_instant_step_us": (value["memory20"] - value["memory5"]) / 15 * 1000,
        "compile_200_steps_ms": _compile_time(200),
    }
    report.yardsticks |= {
        "langgraph_in_memory_5_steps_p50_ms": value["hand5"],
        "langgraph_in_memory_20_steps_p50_ms": value["hand20"],
        "langgraph_in_memory_5_steps_turns_per_s": value["hand_rate5"],
        "langgraph_in_memory_20_steps_turns_per_s": value["hand_rate20"],
        "stock_saver_sync_5_steps_turns_per_s": value["stock_rate5"],
        "postgres_insert_and_commit_ms": value["commit"],
    }
    figures, yardsticks = await through_http.measure()
    report.figures |= figures
    report.yardsticks |= yardsticks
    report.goal("http_4_steps_to_fastapi_ratio", ">=", 0.33)
    report.goal("http_20_steps_to_fastapi_ratio", ">=", 0.25)
    report.goal("http_4_steps_p50_ms", "<=", 2)
    report.goal("http_20_steps_p50_ms", "<=", 4)
    report.goal("http_4_steps_32_in_flight_p95_ms", "<=", 60)
    report.goal("durable_5_step_turn_p50_ms", "<=", 5)
    report.goal("durable_turns_per_s", ">=", 250)
    report.goal("durable_5_to_stock_saver_throughput_ratio", ">=", 4.0)
    report.goal("durable_5_to_langgraph_throughput_ratio", ">=", 1.0)
    report.goal("durable_20_to_langgraph_throughput_ratio", ">=", 3.0)
    report.goal("extra_instant_step_us", "<=", 60)
    report.goal("idle_conversation_bytes", "<=", 2048)
    spread = (max(rounds["durable5"]) - min(rounds["durable5"])) / value["durable5"]
    report.notes.append(
        f"Medians of {ROUNDS} rounds; the five-step median varied by {spread:.0%}. Client, engine and PostgreSQL "
        "(fsync on) share the machine's cores. Durable turns and the yardstick alternate, so both meet the same load; "
        f"turns per second are with {CONVERSATIONS} conversations at once, the yardstick's right after ours."
    )
    return report


def _sizes(report: Report, admin_url: str) -> None:
    """Bytes of an idle conversation's own row and what hangs on it besides messages and turns."""
    with psycopg.connect(admin_url) as connection:
        row = connection.execute(
            "SELECT avg(pg_column_size(c.*) + (SELECT sum(pg_column_size(k.*)) FROM contact k WHERE k.id = c.contact_id)"
            " + coalesce((SELECT sum(pg_column_size(t.*)) FROM timer t WHERE t.conversation_id = c.id), 0)),"
            " avg(length(checkpoint)) FROM conversation c"
        ).fetchone()
    assert row is not None
    report.figures["idle_conversation_bytes"] = float(row[0])
    report.figures["checkpoint_bytes"] = float(row[1])


def _commit_floor(admin_url: str) -> float:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE floor (id integer)")
        found = []
        for i in range(200):
            began = time.perf_counter()
            connection.execute("INSERT INTO floor VALUES (%s)", (i,))
            found.append((time.perf_counter() - began) * 1000)
        connection.execute("DROP TABLE floor")
    return statistics.median(found)


def _compile_time(steps: int) -> float:
    document = chain(steps)
    found = []
    for _ in range(5):
        began = time.perf_counter()
        compile_flow(document, {}, CATALOG)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    parser("turns").parse_args(arguments)
    # The web process runs under uvloop as well (uvicorn's own choice).
    return uvloop.run(measure()).show(arguments)


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
