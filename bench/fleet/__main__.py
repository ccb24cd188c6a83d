"""Kills and stops every part of a fleet in turn, under load, and accounts for every write. Exits with 1 if one is lost.

python -m bench.fleet [--minutes 10] [--callers 32] [--workers 2] [--every 30] [--outage 20]

The fleet is a server with several workers, Postgres, a Chroma server and Redis, each started for the occasion. An
addition, change or deletion that was answered 200 must hold at the end, one that was refused must not, and one that was
answered 503 or not at all may hold or not. Every answer in between is compared with what its caller knows.
"""

import argparse
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.fleet.callers import LOST, UNAVAILABLE, Connection, FleetCaller, Tally
from bench.fleet.faults import Fleet, cause
from bench.fleet.survey import Minutes, Survey
from bench.ledger import Ledger
from tests.support.scaled import running_stack

SEARCHES_AT_ONCE = 100
"""Searches before the index has followed every change. Afterwards, every memory is searched for."""

MOST_GROWTH = 1.1
"""The largest worker of the last minute may have this times the memory of the largest one of the third minute."""


def load(fleet: Fleet, key: str, options: argparse.Namespace, ledger: Ledger) -> tuple[Minutes, Tally]:
    """Let the callers work, and the faults happen, for some minutes. The first of them that fails ends the run."""
    tally, until = Tally(), threading.Event()
    minutes = Minutes(fleet, tally)
    connections = [Connection(fleet.url, key, tally) for _ in range(options.callers)]
    callers = [FleetCaller(number, connection, ledger, tally) for number, connection in enumerate(connections)]
    with ThreadPoolExecutor(len(callers) + 1) as threads:
        running = [threads.submit(cause, fleet, options.every, until)]
        running += [threads.submit(caller.work, until) for caller in callers]
        for future in running:
            future.add_done_callback(lambda _ended: until.set())
        try:
            minutes.run(options.minutes, until)
        finally:
            until.set()
    for error in filter(None, (future.exception() for future in running)):
        raise SystemExit(f"The run failed: {type(error).__name__}: {error}")
    return minutes, tally


def report(minutes: Minutes, ledger: Ledger, wrong: list[str]) -> None:
    statuses = minutes.statuses
    print(
        f"{statuses.total():,} requests: "
        + ", ".join(f"{name(status)} {statuses[status]:,}" for status in sorted(statuses))
    )
    print(
        f"acknowledged: {len(ledger.kept):,} kept, {len(ledger.deleted):,} deleted; without an answer to the end: "
        f"{len(ledger.sent):,} additions, {len(ledger.in_doubt):,} changes"
    )
    print(f"{len(wrong)} wrong answers and broken promises")
    growth = minutes.largest[-1] / minutes.largest[min(2, len(minutes.largest) - 1)]
    print(f"largest worker, last minute to third minute: {growth:.2f} (aim: at most {MOST_GROWTH})")
    sys.exit("\n".join(wrong[:20]) if wrong else int(growth > MOST_GROWTH))


def name(status: int) -> str:
    return {LOST: "no answer", UNAVAILABLE: "503"}.get(status, str(status))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=30, help="seconds from one fault to the next")
    parser.add_argument("--outage", type=float, default=20, help="seconds that Chroma and Redis are away or hang")
    options = parser.parse_args()
    ledger = Ledger(seed=1)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, running_stack() as stack:
        fleet = Fleet(stack, Path(folder), options.workers, options.outage)
        with fleet:
            key = fleet.key()
            minutes, tally = load(fleet, key, options, ledger)
            survey = Survey(fleet, key)
            at_once = survey.broken(ledger, SEARCHES_AT_ONCE)
            seconds = survey.wait_until_settled()
            settled = survey.broken(ledger, sys.maxsize)
            print(f"the index had followed every change after {seconds:.0f} s", flush=True)
    report(minutes, ledger, tally.wrong + at_once + settled)


if __name__ == "__main__":
    main()
