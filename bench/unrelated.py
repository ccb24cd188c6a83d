"""Measures whether searches of small projects notice that nothing stored answers a question.

python -m bench.unrelated [FOLDER] [--model NAME]

A part of a LoCoMo conversation is the whole project. It is asked its own questions, and questions of another
conversation. The memories of one language are a project too, but for one, whose question they do not answer.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.retrieval import DEFAULT_FOLDER, read_lines, store
from bench.server import Caller, started

SIZES = (3, 6, 10, 30, 100)
PARTS = 8
"""How many parts of each conversation are projects."""

ASKED = 4
"""How many unrelated questions a project is asked."""

Conversation = dict[str, Any]


class Tally:
    """Counts the answers to some questions."""

    def __init__(self) -> None:
        self.asked = self.weak = self.results = 0

    def ask(self, caller: Caller, questions: Sequence[str]) -> None:
        for question in questions:
            answer = caller.post("/api/memories/search", {"query": question})
            self.asked += 1
            self.weak += answer.get("weak", False) or not answer["results"]
            self.results += len(answer["results"])

    def __str__(self) -> str:
        return f"{self.asked:>6}{self.weak / self.asked:>8.0%}{self.results / self.asked:>9.1f}"


def parts(conversations: Sequence[Conversation], size: int) -> Iterator[tuple[list[Any], list[str], list[str]]]:
    """Yield the memories of a project, questions that they answer, and questions that they do not answer."""
    chance = random.Random(1)
    for number, conversation in enumerate(conversations):
        memories = conversation["memories"]
        others = [question["question"] for question in conversations[number - 1]["questions"]]
        for start in range(0, len(memories) - size + 1, max(size, len(memories) // PARTS)):
            part = memories[start : start + size]
            ids = {memory["id"] for memory in part}
            own = [each["question"] for each in conversation["questions"] if ids.issuperset(each["evidence"] or [""])]
            yield part, own, chance.sample(others, ASKED)


def without_one(lines: Sequence[dict[str, str]]) -> Iterator[tuple[list[Any], list[str], list[str]]]:
    """Like `parts`, for memories in several languages."""
    by_language: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in lines:
        by_language[line["language"]].append(line)
    for same in by_language.values():
        for left_out in same:
            kept = [line for line in same if line is not left_out]
            memories = [{"id": line["memory"], "text": line["memory"]} for line in kept]
            yield memories, [line["question"] for line in kept], [left_out["question"]]


def measure(caller: Caller, name: str, projects: Iterator[tuple[list[Any], list[str], list[str]]]) -> None:
    own, others = Tally(), Tally()
    for memories, answered, unrelated in projects:
        store(caller, memories, None)
        own.ask(caller, answered)
        others.ask(caller, unrelated)
        caller.delete("/api/memories")
    print(f"{name:<24}{own}{others}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--model", help="instead of the default model")
    options = parser.parse_args()
    conversations = read_lines(options.folder / "locomo/conversations.jsonl")
    lines = read_lines(options.folder / "multilingual/memories.jsonl")
    settings = {"embedding_model": options.model} if options.model else {}
    with started(**settings) as server:
        caller = server.caller(server.key("Small"))
        print(f"{'':<24}{'asked':>6}{'weak':>8}{'results':>9}{'asked':>6}{'weak':>8}{'results':>9} (unrelated)")
        for size in SIZES:
            measure(caller, f"{size} memories", parts(conversations, size))
        measure(caller, "one language", without_one(lines))


if __name__ == "__main__":
    main()
