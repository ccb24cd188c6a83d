"""Measures how a change of the embedding model affects searches during the change: their time, and what they find.

python -m bench.reembedding [FOLDER] [--before NAME] [--after NAME] [--memories N]

The memories are LoCoMo's, several times over. Each search asks one of its questions. hit@10 is the share of
questions with at least one memory of their evidence among the first ten results.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from bench.retrieval import ADVERSARIAL, DEFAULT_FOLDER, read_lines, store
from bench.server import Caller, environment_of, launched
from bench.timing import p50_and_p95

PAUSE_SECONDS = 0.02
"""Between two searches, because people and assistants pause too."""

AFTERWARDS = 600
"""How many searches to run after the change."""


@dataclass
class Asked:
    milliseconds: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)

    def __str__(self) -> str:
        p50, p95 = p50_and_p95(self.milliseconds)
        times = f"median {p50:.1f} ms, mean {fmean(self.milliseconds):.1f}, p95 {p95:.1f}"
        return f"{len(self.hits)} searches: {times}; hit@10 {fmean(self.hits):.1%}"


Question = tuple[str, str, frozenset[str]]
"""A question, the conversation that it is about, and the texts that answer it."""


def read_data(folder: Path) -> tuple[list[dict[str, object]], list[Question]]:
    conversations = read_lines(folder / "locomo" / "conversations.jsonl")
    questions: list[Question] = []
    for conversation in conversations:
        texts = {memory["id"]: memory["text"] for memory in conversation["memories"]}
        for question in conversation["questions"]:
            evidence = frozenset(texts[name] for name in question["evidence"] if name in texts)
            if evidence and question["category"] != ADVERSARIAL:
                questions.append((question["question"], conversation["id"], evidence))
    return conversations, questions


def ask(caller: Caller, question: Question, asked: Asked) -> None:
    text, user_id, evidence = question
    began = time.perf_counter()
    results = caller.post("/api/memories/search", {"query": text, "user_id": user_id, "limit": 10})["results"]
    asked.milliseconds.append((time.perf_counter() - began) * 1000)
    asked.hits.append(any(result["content"] in evidence for result in results))
    time.sleep(PAUSE_SECONDS)


def work_of(caller: Caller) -> str:
    work: str = caller.get("/health")["checks"]["vector_index"].get("work", "")
    return work


def until_done(caller: Caller, questions: Iterator[Question]) -> Asked:
    """Search until the server has embedded everything again."""
    asked, looked = Asked(), 0.0
    work = work_of(caller)
    while "embedding" in work:
        ask(caller, next(questions), asked)
        if time.monotonic() > looked + 6:
            looked, work = time.monotonic(), work_of(caller)
            print(f"  {work}")
    return asked


def measure(folder: Path, before: str, after: str, wanted: int) -> None:
    conversations, questions = read_data(folder)
    endless = itertools.cycle(questions[::7] + questions[3::7])
    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        with launched(environment_of(data, EMBEDDING_MODEL=before)) as server:
            key = server.key("Conversations")
            caller = server.caller(key)
            stored = fill(caller, conversations, wanted)
            print(f"{stored} memories with {before}")
            with_before = Asked()
            for _ in range(AFTERWARDS):
                ask(caller, next(endless), with_before)
            print(f"before: {with_before}")
        with launched(environment_of(data, EMBEDDING_MODEL=after)) as server:
            caller = server.caller(key)
            began = time.monotonic()
            while "embedding" not in work_of(caller):
                time.sleep(0.2)
            meanwhile = until_done(caller, endless)
            print(f"embedded again in {time.monotonic() - began:.0f} s; meanwhile: {meanwhile}")
            afterwards = Asked()
            for _ in range(AFTERWARDS):
                ask(caller, next(endless), afterwards)
    print(f"afterwards: {afterwards}")
    for name, of in (("median", median), ("mean", fmean)):
        print(f"{name}: {of(meanwhile.milliseconds) / of(afterwards.milliseconds):.2f} times as long as afterwards")


def fill(caller: Caller, conversations: Sequence[dict[str, object]], wanted: int) -> int:
    """Store the conversations, then other texts until there are `wanted` memories."""
    stored = 0
    for number in itertools.count():
        for conversation in conversations:
            if stored >= wanted:
                return stored
            memories: list[dict[str, str]] = conversation["memories"]  # type: ignore[assignment]
            if number:
                memories = [memory | {"text": f"{memory['text']} (copy {number})"} for memory in memories]
            user_id = str(conversation["id"]) if not number else f"copy {number} of {conversation['id']}"
            stored += len(store(caller, memories, user_id))
    return stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--before", default="all-MiniLM-L6-v2")
    parser.add_argument("--after", default="multilingual-e5-small")
    parser.add_argument("--memories", type=int, default=5000)
    given = parser.parse_args()
    measure(given.folder, given.before, given.after, given.memories)


if __name__ == "__main__":
    main()
