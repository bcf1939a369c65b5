"""The vendor of the broadcast of `bench time`: takes messages in and, once a line comes in, tells what it saw by its own clock."""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections import Counter

from tests.fakes.webhook_receiver import receiving


def main(messages: int, seconds: float, accounts: int) -> None:
    """`messages` in any `seconds` are what it allows to each of its `accounts`, which have an address each."""
    with receiving() as fake:
        lanes = [fake.lane() for _ in range(accounts)]
        print(json.dumps([fake.url(lane) for lane in lanes]), flush=True)
        while sys.stdin.readline().strip() == "count":
            print(sum(len(lane.accepted) for lane in lanes), flush=True)
        in_a_window: list[int] = []
        for lane in lanes:
            times = sorted(a.at for a in lane.accepted)
            in_a_window += [n + 1 - bisect_right(times, at - seconds) for n, at in enumerate(times)]
        told = Counter(a.data["to"] for lane in lanes for a in lane.accepted)
        print(json.dumps({
            "people": len(told), "doubles": sum(n - 1 for n in told.values()), "over": sum(n > messages for n in in_a_window),
            "most": max(in_a_window, default=0),
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
