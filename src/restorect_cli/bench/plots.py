"""Plots as inline SVG: quality against seconds, and how the scores of single pictures spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 34, 46
LABEL_PX = (150, 17)  # room that the name of a dot takes, width and height
COLOURS = 8  # classes m0 to m7 of the style sheet; m0 is the input


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    begin_px: float
    end_px: float
    is_log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log10(v) if self.is_log else v for v in (self.low, self.high, value))
        return self.begin_px + (value - low) / (high - low) * (self.end_px - self.begin_px)

    def ticks(self) -> list[float]:
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            every = [m * 10.0**power for power in range(first, last + 1) for m in (1, 2, 5)]
            return [value for value in every if self.low <= value <= self.high]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        step *= next((m for m in (0.1, 0.2, 0.5, 1) if (self.high - self.low) / (step * m) <= 8), 1)
        return [k * step for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def quality_against_seconds(points: Sequence[tuple[str, float, float]], quality: str) -> Plot:
    """One dot per method: (name, seconds per megapixel, score)."""
    x = _axis([point[1] for point in points], LEFT, WIDTH - RIGHT, is_log=True)
    y = _axis([point[2] for point in points], HEIGHT - BOTTOM, TOP)
    parts = [_frame(x, y, "seconds per megapixel", quality)]
    heights = _apart([(x.at(seconds), y.at(score)) for _, seconds, score in points])
    for index, (name, seconds, score) in enumerate(points):
        across = x.at(seconds)
        anchor, shift = ("end", -9) if across > WIDTH * 0.7 else ("start", 9)
        dot = '<circle class="m{}" cx="{:.1f}" cy="{:.1f}" r="6"><title>{}: {:.4g} at {:.3g} s/MP</title></circle>'
        label = '<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
        parts.append(Markup(dot).format(_colour(index + 1), across, y.at(score), name, score, seconds))
        parts.append(Markup(label).format(across + shift, heights[index] + 4, anchor, name))
    return Plot(_svg(parts, f"{quality} against seconds per megapixel"), f"{quality} against seconds per megapixel")


def spread(scores: Sequence[tuple[str, Sequence[float]]], quality: str) -> Plot:
    """One row of dots per method, one dot per picture, a bar at the mean."""
    x = _axis([value for _, values in scores for value in values], LEFT + 78, WIDTH - RIGHT)
    step = (HEIGHT - TOP - BOTTOM) / max(len(scores), 1)
    parts = [_frame(x, None, quality, "")]
    for index, (name, values) in enumerate(scores):
        middle, colour = TOP + (index + 0.5) * step, _colour(index)
        parts.append(Markup('<text class="name" x="8" y="{:.1f}">{}</text>').format(middle + 4, name))
        dots = Markup("").join(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(x.at(value), middle) for value in values
        )
        parts.append(Markup('<g class="m{}" fill-opacity="0.45">{}</g>').format(colour, dots))
        if values:
            mean = x.at(sum(values) / len(values)) - 1.5
            parts.append(
                Markup('<rect class="m{}" x="{:.1f}" y="{:.1f}" width="3" height="18"/>').format(
                    colour, mean, middle - 9
                )
            )
    caption = f"{quality} of every picture; the bar is the mean"
    return Plot(_svg(parts, caption), caption)


def _apart(places: Sequence[tuple[float, float]]) -> list[float]:
    """Heights of the names of dots at these places (x, y): beside the dot, or lower where another name is there.

    Where there is no more room below, the lowest stays and the others move up.
    """
    lowered = _stacked(places)
    if max(lowered, default=0) <= HEIGHT - BOTTOM - 8:
        return lowered
    return [-height for height in _stacked([(x, -y) for x, y in places])]


def _stacked(places: Sequence[tuple[float, float]]) -> list[float]:
    """Heights at least a line apart where names could meet, moved towards larger values."""
    heights = [y for _, y in places]
    placed: list[int] = []
    for index in sorted(range(len(places)), key=lambda index: places[index][1]):
        near = [heights[other] for other in placed if abs(places[other][0] - places[index][0]) < LABEL_PX[0]]
        heights[index] = max([heights[index], *(height + LABEL_PX[1] for height in near)])
        placed.append(index)
    return heights


def _axis(values: Sequence[float], begin_px: float, end_px: float, *, is_log: bool = False) -> _Axis:
    low, high = min(values, default=0.1), max(values, default=1.0)
    if is_log:
        return _Axis(low / 1.5, high * 1.5, begin_px, end_px, is_log=True)
    margin = 0.06 * (high - low) or 0.5
    return _Axis(low - margin, high + margin, begin_px, end_px)


def _frame(x: _Axis, y: _Axis | None, below: str, beside: str) -> Markup:
    bottom = HEIGHT - BOTTOM
    parts = [
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x.begin_px, x.end_px, bottom, bottom)
    ]
    for value in x.ticks():
        mark = '<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
        parts.append(Markup(mark).format(x.at(value), TOP, bottom))
        label = '<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>'
        parts.append(Markup(label).format(x.at(value), bottom + 16, round(value, 6)))
    parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH - RIGHT, HEIGHT - 8, below))
    if y is not None:
        for value in y.ticks():
            mark = '<line class="axis" x1="{1}" x2="{2}" y1="{0:.1f}" y2="{0:.1f}"/>'
            parts.append(Markup(mark).format(y.at(value), LEFT, WIDTH - RIGHT))
            label = '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>'
            parts.append(Markup(label).format(LEFT - 6, y.at(value) + 4, round(value, 6)))
        parts.append(Markup('<text x="8" y="20">{}</text>').format(beside))
    return Markup("").join(parts)


def _svg(parts: Sequence[Markup], label: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, escape(label))
    return head + Markup("").join(parts) + Markup("</svg>")


def _colour(index: int) -> int:
    return index if index < COLOURS else 1 + (index - 1) % (COLOURS - 1)
