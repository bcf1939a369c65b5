"""The fake Kommo account as a process of its own: prints its address; answers each line of input with its journal so far."""

from __future__ import annotations

import json
import sys

from tests.fakes.kommo import kommo


def main() -> None:
    """Until standard input ends. "leads N": so many deals with a contact and a phone; "down", "up": 503 for everything."""
    with kommo() as account:
        print(account.url, flush=True)
        for line in sys.stdin:
            what, _, number = line.strip().partition(" ")
            if what == "leads":
                for n in range(int(number)):
                    lead = account.add("leads", name=f"Deal {n}", status_id=11)
                    more = {"leads": [{"id": lead}]}
                    account.add("contacts", name=f"C{n}", phone=f"+3805011{n:05d}", _embedded=more)
            with account.lock:
                if what == "down":
                    account.fail("server_error", times=10**9, path="/api")
                elif what == "up":
                    account.faults.clear()
                asked = [(c.method, c.path, c.body, c.accepted) for c in account.journal]
                account.journal.clear()
            print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    main()
