"""The geometry of the pictures, drawn as SVG by the server: every bar has its place before a template sees it."""

from collections.abc import Sequence
from typing import NamedTuple

from server.domain.memory.overview import LabelCount, Overview, Span, Step

WIDTH, HEIGHT = 640, 138
BASELINE, LEFT, GAP = 112, 36, 3


class Bar(NamedTuple):
    """A column in the coordinates of a WIDTH x HEIGHT picture; `name` is its span of time in words."""

    x: float
    y: float
    width: float
    height: float
    name: str
    memories: int


class Tick(NamedTuple):
    x: float
    name: str


class Row(NamedTuple):
    """A label with its share of the most frequent one, 0..1."""

    name: str
    memories: int
    share: float


class Columns(NamedTuple):
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    top: int
    total: int


def columns(overview: Overview) -> Columns:
    """Memories over time: one column a span, a name under every sixth or so."""
    spans = overview.spans
    top = _rounded(max(span.memories for span in spans))
    pitch = (WIDTH - LEFT) / len(spans)
    bars = [_bar(span, overview.step, LEFT + place * pitch, pitch, top) for place, span in enumerate(spans)]
    every = max(1, len(bars) // 4)
    ticks = [
        Tick(round(bar.x, 1), _short(span, overview.step))
        for bar, span in list(zip(bars, spans, strict=True))[::every]
        if bar.x < WIDTH - 50 or len(bars) < 5
    ]
    return Columns(bars, ticks, top, sum(span.memories for span in spans))


def rows(labels: Sequence[LabelCount]) -> list[Row]:
    """The most frequent labels, each against the first."""
    return [Row(label.value, label.memories, label.memories / labels[0].memories) for label in labels]


def _bar(span: Span, step: Step, x: float, pitch: float, top: int) -> Bar:
    height = 0.0 if span.memories == 0 else max(2.0, span.memories / top * (BASELINE - 8))
    width = min(pitch - min(GAP, pitch / 3), 40)
    return Bar(
        round(x, 1), round(BASELINE - height, 1), round(width, 1), round(height, 1), _long(span, step), span.memories
    )


def _long(span: Span, step: Step) -> str:
    if step is Step.WEEK:
        return f"week of {span.start.day} {span.start:%B %Y}"
    return f"{span.start:%B %Y}" if step is Step.MONTH else f"{span.start:%Y}"


def _short(span: Span, step: Step) -> str:
    if step is Step.WEEK:
        return f"{span.start.day} {span.start:%b}"
    return f"{span.start:%b %Y}" if step is Step.MONTH else f"{span.start:%Y}"


def _rounded(count: int) -> int:
    """The next 1, 2 or 5 times a power of ten: where the scale ends."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if count <= step * power:
                return step * power
        power *= 10
