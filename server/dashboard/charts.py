"""Computes the coordinates of the charts, which templates draw as SVG."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from server.domain.memory.pages.overview import Overview, Span, Step

WIDTH, HEIGHT = 640, 138
BASELINE, LEFT = 112, 36
GAP = 3
WIDEST_BAR = 40
MOST_TICKS = 4
LONG_NAMES = {Step.WEEK: "Week of %B %-d, %Y", Step.MONTH: "%B %Y", Step.YEAR: "%Y"}
SHORT_NAMES = {Step.WEEK: "%b %-d", Step.MONTH: "%b %Y", Step.YEAR: "%Y"}
TICK_ROOM = 100
"""The width that a tick's label needs on a phone. A tick closer to the right edge is left out."""


class Bar(NamedTuple):
    """A column in the coordinates of a WIDTH x HEIGHT picture. `name` is its time span in words."""

    x: float
    y: float
    width: float
    height: float
    name: str
    memories: int


class Tick(NamedTuple):
    x: float
    name: str


class Columns(NamedTuple):
    """`top` is the number at the end of the vertical scale; `total` is the number of memories in all bars."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    top: int
    total: int


def columns(overview: Overview) -> Columns:
    """Return one bar per span, and at most MOST_TICKS labels below the bars."""
    spans = overview.spans
    top = _round_up(max(span.memories for span in spans))
    pitch = (WIDTH - LEFT) / len(spans)
    bars = [_bar(span, overview.step, LEFT + index * pitch, pitch, top) for index, span in enumerate(spans)]
    every = math.ceil(len(bars) / MOST_TICKS)
    ticks = [
        Tick(round(bar.x, 1), span.start.strftime(SHORT_NAMES[overview.step]))
        for bar, span in list(zip(bars, spans, strict=True))[::every]
        if bar.x < WIDTH - TICK_ROOM or len(bars) <= MOST_TICKS
    ]
    return Columns(bars, ticks, top, sum(span.memories for span in spans))


def _bar(span: Span, step: Step, x: float, pitch: float, top: int) -> Bar:
    height = 0.0 if span.memories == 0 else max(2.0, span.memories / top * (BASELINE - 8))
    width = min(pitch - min(GAP, pitch / 3), WIDEST_BAR)
    return Bar(
        round(x, 1),
        round(BASELINE - height, 1),
        round(width, 1),
        round(height, 1),
        span.start.strftime(LONG_NAMES[step]),
        span.memories,
    )


def _round_up(count: int) -> int:
    """Return the next number that is 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if count <= factor * power:
                return factor * power
        power *= 10
