"""Measures retrieval through the API of a real server: LoCoMo in English, and memories in several languages.

python -m bench.retrieval [FOLDER] [--database-url postgresql://…/an_empty_one] [--model NAME]

hit@k is the share of questions with at least one memory of their evidence among the first k results; recall@k is the
mean share of the evidence among them. Every question is also asked in another conversation, which does not answer it.
That measures the floor, and which answers count as weak. Intervals are 95 %, by resampling questions.
"""

import argparse
import json
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from bench import parts
from bench.server import Caller, Server, environment_of, launched
from server.domain.memory.floor import floor_among, weak_below
from server.domain.memory.ranking import SHARE_WEIGHT, SIMILARITY_WEIGHT, WINDOW_WEIGHT

DEFAULT_FOLDER = Path("../shared/data")
KS = (1, 5, 10, 20)
DEPTH = 100
BATCH = 500
RESAMPLES = 1000
PARTS_QUESTIONS = 300
ADVERSARIAL = "adversarial"
FLOORS = (0.0, 0.1, 0.15, 0.18, 0.2, 0.22, 0.25, 0.26, 0.27, 0.28, 0.3, 0.35)
WITHOUT = {
    "the whole recipe": (1, 1, 1),
    "without the window": (1, 1, 0),
    "without the share": (1, 0, 1),
    "without the similarity": (0, 1, 1),
    "similarity alone": (1, 0, 0),
}
WEIGHTS = np.array([SIMILARITY_WEIGHT, SHARE_WEIGHT, WINDOW_WEIGHT])


@dataclass(frozen=True)
class Answer:
    """One question's evidence, and the memories that were found, best first, with scores and their parts."""

    category: str
    evidence: frozenset[str]
    found: Sequence[str]
    scores: Sequence[float]
    parts: Sequence[tuple[float, float, float]]
    milliseconds: float

    def recall(self, k: int) -> float:
        return len(self.evidence & set(self.found[:k])) / len(self.evidence)

    def reranked(self, weights: tuple[int, int, int]) -> "Answer":
        """Return the answer, rescored with only some of the parts."""
        order = np.argsort(-(np.array(self.parts).reshape(-1, 3) @ (WEIGHTS * weights)), kind="stable")
        return Answer(self.category, self.evidence, [self.found[place] for place in order], (), (), 0)

    def above(self, floor: float) -> "Answer":
        kept = sum(score >= floor for score in self.scores)
        return Answer(self.category, self.evidence, self.found[:kept], self.scores[:kept], (), 0)


def ask(caller: Caller, names: dict[str, str], question: str, user_id: str | None, **about: Any) -> Answer:
    body = {"query": question, "limit": DEPTH, "user_id": user_id, "threshold": 0, "explain": True}
    began = time.perf_counter()
    results = caller.post("/api/memories/search", body)["results"]
    spent = (time.perf_counter() - began) * 1000
    parts = [tuple(result["match"][part] for part in ("similarity", "words", "window")) for result in results]
    found = [names[result["id"]] for result in results]
    return Answer(found=found, scores=[result["score"] for result in results], parts=parts, milliseconds=spent, **about)


def store(caller: Caller, memories: Sequence[dict[str, str]], user_id: str | None) -> dict[str, str]:
    """Store the memories. Return their names in the data set by id."""
    names: dict[str, str] = {}
    for start in range(0, len(memories), BATCH):
        part = memories[start : start + BATCH]
        body = [
            {"content": memory["text"], "user_id": user_id}
            | ({"created_at": memory["created_at"]} if "created_at" in memory else {})
            for memory in part
        ]
        results = caller.post("/api/memories/batch", {"memories": body})["results"]
        names |= {result["memory_id"]: memory["id"] for result, memory in zip(results, part, strict=True)}
    return names


def read_lines(file: Path) -> list[Any]:
    """Return the JSON value of each line."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def locomo(server: Server, file: Path) -> tuple[list[Answer], list[Answer]]:
    """Return the answers to all questions, and another conversation's answers to the same questions."""
    caller = server.caller(server.key("Conversations"))
    conversations = read_lines(file)
    names: dict[str, str] = {}
    for conversation in conversations:
        names |= store(caller, conversation["memories"], conversation["id"])
    answers, unrelated = [], []
    for number, conversation in enumerate(conversations):
        known = {memory["id"] for memory in conversation["memories"]}
        other = conversations[number - 1]["id"]
        for question in conversation["questions"]:
            evidence = frozenset(question["evidence"]) & known
            if not evidence:
                continue
            about: dict[str, Any] = {"category": question["category"], "evidence": evidence}
            answers.append(ask(caller, names, question["question"], conversation["id"], **about))
            unrelated.append(ask(caller, names, question["question"], other, **about))
    return answers, unrelated


def multilingual(server: Server, file: Path) -> dict[str, list[Answer]]:
    caller = server.caller(server.key("Languages"))
    lines = read_lines(file)
    names = store(caller, [{"id": str(place), "text": line["memory"]} for place, line in enumerate(lines)], None)
    asked: dict[str, list[Answer]] = {}
    for field, name in (("question", "in the same language"), ("question_in_english", "in English")):
        asked[name] = [
            ask(caller, names, line[field], None, category=line["language"], evidence=frozenset({str(place)}))
            for place, line in enumerate(lines)
        ]
    return asked


def report(answers: Sequence[Answer], unrelated: Sequence[Answer]) -> None:
    plain = [answer for answer in answers if answer.category != ADVERSARIAL]
    print(f"{'LoCoMo':<28}{'questions':>10}" + "".join(f"{f'hit@{k}':>9}{f'recall@{k}':>11}" for k in KS))
    _row("all but adversarial", plain)
    by_category: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_category[answer.category].append(answer)
    for category, own in sorted(by_category.items()):
        _row(category, own)
    print(f"\n{'first ' + str(DEPTH) + ' ranked again':<28}{'hit@10':>9}{'recall@10':>11}  difference")
    for name, weights in WITHOUT.items():
        _ablation(name, plain, [answer.reranked(weights) for answer in plain])
    print(f"\n{'floor':<8}{'hit@10':>9}{'results of 10':>15}{'if unrelated':>14}{'best below':>12}{'if unrelated':>14}")
    for floor in FLOORS:
        kept, strange = ([answer.above(floor) for answer in group] for group in (plain, unrelated))
        cells = f"{100 * fmean(map(_is_hit, kept)):>9.1f}{_mean_count(kept):>15.1f}{_mean_count(strange):>14.1f}"
        print(f"{floor:<8}{cells}{_share_below(plain, floor):>12.1%}{_share_below(unrelated, floor):>14.1%}")
    compared = 600
    print(
        f"Among {compared} memories the server's floor is {floor_among(compared):.2f}, and an answer is weak whose best"
    )
    print(f"score is below {weak_below(compared):.2f}.")
    print(f"A search took {median(answer.milliseconds for answer in answers):.1f} ms (median, {DEPTH} results).")


def _is_hit(answer: Answer) -> bool:
    return bool(answer.recall(10))


def _mean_count(answers: Sequence[Answer]) -> float:
    return fmean(len(answer.found[:10]) for answer in answers)


def _share_below(answers: Sequence[Answer], level: float) -> float:
    """Return which part of the answers has a best score below the level."""
    return fmean(not answer.scores or answer.scores[0] < level for answer in answers)


def _row(name: str, answers: Sequence[Answer]) -> None:
    cells = ""
    for k in KS:
        hits = fmean(bool(answer.recall(k)) for answer in answers)
        cells += f"{100 * hits:>9.1f}{100 * fmean(answer.recall(k) for answer in answers):>11.1f}"
    print(f"{name:<28}{len(answers):>10}{cells}  recall@10 {_interval(answers, lambda answer: answer.recall(10))}")


def _ablation(name: str, whole: Sequence[Answer], changed: Sequence[Answer]) -> None:
    hits, recalls = fmean(map(_is_hit, changed)), fmean(answer.recall(10) for answer in changed)
    pairs = list(zip(whole, changed, strict=True))
    difference = _interval(pairs, lambda pair: pair[1].recall(10) - pair[0].recall(10))
    print(f"{name:<28}{100 * hits:>9.1f}{100 * recalls:>11.1f}  {difference}")


def _interval(items: Sequence[Any], value: Callable[[Any], float]) -> str:
    """Return the 95 % interval of the mean, in points."""
    values = np.array([100 * value(item) for item in items])
    chosen = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), [0.025, 0.975])
    return f"[{low:.1f}, {high:.1f}]"


def report_languages(asked: dict[str, list[Answer]]) -> None:
    for name, answers in asked.items():
        first, three = (fmean(answer.recall(k) for answer in answers) for k in (1, 3))
        above = fmean(answer.above(floor_among(30)).recall(1) for answer in answers)
        print(f"30 memories in six languages, asked {name}: first {first:.0%} (above the floor {above:.0%})")
        print(f"    among three {three:.0%}")


def questions_of(file: Path) -> list[parts.Question]:
    """Return the questions, taking the conversations in turn."""
    asked = [[(question["question"], one["id"]) for question in one["questions"]] for one in read_lines(file)]
    return [question for group in zip(*asked, strict=False) for question in group]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--database-url", help="an empty Postgres database instead of SQLite")
    parser.add_argument("--model", help="instead of the default model")
    given = parser.parse_args()
    measure(given.folder, given.database_url, given.model)


def measure(folder: Path, database_url: str | None = None, model: str | None = None) -> None:
    if not folder.is_dir():
        raise SystemExit(f"{folder} does not exist. Pass the folder with locomo/ and multilingual/.")
    chosen = {"DATABASE_URL": database_url, "EMBEDDING_MODEL": model}
    conversations, languages = folder / "locomo" / "conversations.jsonl", folder / "multilingual" / "memories.jsonl"
    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        environment = environment_of(data, **{name: value for name, value in chosen.items() if value})
        with launched(environment) as server:
            report(*locomo(server, conversations))
            report_languages(multilingual(server, languages))
        parts.report(environment, questions_of(conversations)[:PARTS_QUESTIONS])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"The server and its commands used {used.ru_utime + used.ru_stime:.0f} s of CPU.")


if __name__ == "__main__":
    main()
