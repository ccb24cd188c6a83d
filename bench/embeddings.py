"""Compares the embedding queue with the bare model. The ratios come from one run on one machine.

python -m bench.embeddings [--fp32 FILE]     (FILE: the FP32.onnx of server/index/model/onnx_export.py)
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.timing import rate
from server.index.model import bundled
from server.index.model.batching import BatchingEmbedder
from server.index.model.onnx_model import Exported, OnnxModel

QUESTIONS = [f"What did person {number} say about the trip to Spain?" for number in range(200)]
MEMORIES = [f"Melanie: We spent day {number} in the mountains and the kids loved the lake." for number in range(600)]


def milliseconds(call: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    times = []
    for text in texts:
        began = time.perf_counter()
        call(text)
        times.append((time.perf_counter() - began) * 1000)
    return times


def row(name: str, value: float, unit: str, ratio: float) -> None:
    print(f"{name:<52}{value:>9.2f} {unit:<8}×{ratio:.2f}")


def latency(model: OnnxModel, embedder: BatchingEmbedder) -> None:
    bare, queued = [], []
    for text in QUESTIONS:  # alternating, so that other load affects both
        bare += milliseconds(lambda question: model.encode([question]), [text])
        queued += milliseconds(lambda question: embedder.embed([question]), [text])
    base = statistics.median(bare)
    row("one question, the bare model", base, "ms", 1)
    row("one question, through the queue", statistics.median(queued), "ms", statistics.median(queued) / base)
    imported = [f"{number} {text}" for number in range(4) for text in MEMORIES[:500]]
    background = threading.Thread(target=embedder.embed, args=(imported,))
    background.start()
    busy = statistics.median(milliseconds(lambda text: embedder.embed([text], is_question=True), QUESTIONS[:50]))
    row("one question, during an import of 2,000 texts", busy, "ms", busy / base)
    background.join()


def throughput(model: OnnxModel, embedder: BatchingEmbedder) -> None:
    base = rate([lambda text: model.encode([text])] * model.threads, MEMORIES)
    row(f"memories, the bare model on {model.threads} threads", base, "texts/s", 1)
    for threads in (1, 16):
        queued = rate([lambda text: embedder.embed([text])] * threads, MEMORIES)
        row(f"memories, {threads} callers through the queue", queued, "texts/s", queued / base)
    unguarded = rate([lambda text: model.encode([text])] * 16, MEMORIES)
    row("memories, 16 callers without the queue", unguarded, "texts/s", unguarded / base)


def precision(model: OnnxModel, full: OnnxModel) -> None:
    short = statistics.median(milliseconds(lambda text: model.encode([text]), QUESTIONS))
    exact = statistics.median(milliseconds(lambda text: full.encode([text]), QUESTIONS))
    row("one question, fp32 against int8", exact, "ms", exact / short)
    cosine = (model.encode(MEMORIES[:100]) * full.encode(MEMORIES[:100])).sum(axis=1).mean()
    print(f"mean cosine of int8 to fp32: {cosine:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fp32", type=Path)
    full = parser.parse_args().fp32
    with tempfile.TemporaryDirectory() as folder:
        model = OnnxModel(bundled.exported(Path(folder)))
    embedder = BatchingEmbedder(model)
    model.encode(MEMORIES[:20])
    latency(model, embedder)
    throughput(model, embedder)
    if full:
        precision(
            model, OnnxModel(Exported("fp32", bundled.source_folder() / "tokenizer.json", full, bundled.MAX_TOKENS))
        )
    embedder.close()


if __name__ == "__main__":
    main()
