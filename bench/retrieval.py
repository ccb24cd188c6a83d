"""Measures retrieval on LoCoMo: hit@k and recall@k through the API of a real server.

python -m bench.retrieval [FILE] [--scheme users|projects]

`users` stores all conversations in one project with a user_id each; `projects` uses one project each. hit@k is the
share of questions with at least one memory of their evidence among the first k results; recall@k is the mean share of
the evidence among them.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.server import Caller, Server, started

DEFAULT_FILE = Path("../shared/data/locomo/conversations.jsonl")
KS = (1, 5, 10, 20)
TUNED_ON = 3
"""The ranking was tuned on this many conversations; the others show how it does on new ones."""

BATCH = 500
ADVERSARIAL = "adversarial"


@dataclass(frozen=True)
class Question:
    text: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True)
class Conversation:
    name: str
    memories: Sequence[dict[str, str]]
    questions: Sequence[Question]


@dataclass(frozen=True)
class Answer:
    """One question's evidence, and the memories that were found, best first."""

    conversation: int
    category: str
    evidence: frozenset[str]
    found: Sequence[str]

    def recall(self, k: int) -> float:
        return len(self.evidence & set(self.found[:k])) / len(self.evidence)


def read(file: Path) -> list[Conversation]:
    conversations = []
    for line in file.read_text("utf-8").splitlines():
        data = json.loads(line)
        known = {memory["id"] for memory in data["memories"]}
        questions = [
            Question(q["question"], q["category"], frozenset(q["evidence"]) & known) for q in data["questions"]
        ]
        conversations.append(
            Conversation(data["id"], data["memories"], [question for question in questions if question.evidence])
        )
    return conversations


def measure(file: Path, scheme: str) -> list[Answer]:
    """Store every turn as a memory and search for every question."""
    answers: list[Answer] = []
    with started() as server:
        for number, conversation in enumerate(read(file)):
            user = conversation.name if scheme == "users" else None
            caller = server.caller(_key(server, conversation.name if scheme == "projects" else "all"))
            names = _store(caller, conversation, user)
            for question in conversation.questions:
                body = {"query": question.text, "limit": max(KS), "user_id": user, "threshold": 0}
                results = caller.post("/api/memories/search", body)["results"]
                found = [names[result["id"]] for result in results]
                answers.append(Answer(number, question.category, question.evidence, found))
    return answers


def _key(server: Server, project: str) -> str:
    return server.key(f"Conversation {project}")


def _store(caller: Caller, conversation: Conversation, user: str | None) -> dict[str, str]:
    """Store the memories, and return the data set's name of each by its id."""
    names: dict[str, str] = {}
    for start in range(0, len(conversation.memories), BATCH):
        part = conversation.memories[start : start + BATCH]
        body = [
            {
                "messages": [{"role": "user", "content": memory["text"]}],
                "created_at": memory["created_at"],
                "user_id": user,
            }
            for memory in part
        ]
        results = caller.post("/api/memories/batch", {"memories": body})["results"]
        names |= {result["memory_id"]: memory["id"] for result, memory in zip(results, part, strict=True)}
    return names


def report(answers: Sequence[Answer]) -> None:
    plain = [answer for answer in answers if answer.category != ADVERSARIAL]
    print(f"{'':<28}{'questions':>10}" + "".join(f"{f'hit@{k}':>9}{f'recall@{k}':>11}" for k in KS))
    _row("all but adversarial", plain)
    _row("of these, tuned on", [answer for answer in plain if answer.conversation < TUNED_ON])
    _row("of these, not tuned on", [answer for answer in plain if answer.conversation >= TUNED_ON])
    by_category: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_category[answer.category].append(answer)
    for category, own in sorted(by_category.items()):
        _row(category, own)


def _row(name: str, answers: Sequence[Answer]) -> None:
    if not answers:
        return
    cells = ""
    for k in KS:
        hits = fmean(bool(answer.recall(k)) for answer in answers)
        cells += f"{100 * hits:>9.1f}{100 * fmean(answer.recall(k) for answer in answers):>11.1f}"
    print(f"{name:<28}{len(answers):>10}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE)
    parser.add_argument("--scheme", choices=["users", "projects"], default="users")
    options = parser.parse_args()
    if not options.file.exists():
        raise SystemExit(f"{options.file} does not exist. Pass the path of conversations.jsonl.")
    report(measure(options.file, options.scheme))


if __name__ == "__main__":
    main()
