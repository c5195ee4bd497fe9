"""Charts of a report: quality against seconds, and the spread of the pictures' scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 480, 320
LONGEST_NAME = 22  # letters of a method's name that fit a chart
COLOURS = 8  # variables --m0 to --m7 of the style sheet; m0 is the input


@dataclass(frozen=True)
class Plot:
    """A chart and its caption."""

    svg: Markup
    caption: str


def quality_against_seconds(points: Sequence[tuple[str, float, float]], quality: str) -> Plot:
    """One mark per method: (name, seconds per megapixel, score)."""

    def panel(axes: Axes) -> None:
        for number, (name, seconds, score) in enumerate(points):
            marker = charts.MARKERS[number % len(charts.MARKERS)]
            axes.plot(seconds, score, marker, markersize=11, color=_colour(number + 1), label=_short(name))
        axes.set(title=quality, xlabel="seconds per megapixel", xscale="log")
        shortest, longest = (extreme(seconds for _, seconds, _ in points) for extreme in (min, max))
        axes.set_xlim(shortest / 1.6, longest * 1.6)  # wide enough to hold a tick
        axes.margins(y=0.1)
        charts.logarithmic(axes.xaxis, (1, 2, 5) if longest < 100 * shortest else (1,))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0, handletextpad=0.1)

    return _plot(panel, f"{quality} against seconds per megapixel")


def spread(scores: Sequence[tuple[str, Sequence[float]]], quality: str) -> Plot:
    """One row of dots per method, one dot per picture, a bar at the mean."""

    def panel(axes: Axes) -> None:
        for number, (_, values) in enumerate(scores):
            colour = _colour(number)
            axes.plot(values, [number] * len(values), "o", markersize=7, color=colour, alpha=0.45, markeredgewidth=0)
            if values:
                axes.plot(sum(values) / len(values), number, "|", markersize=20, markeredgewidth=3, color=colour)
        axes.set(title=quality, ylim=(len(scores) - 0.5, -0.5))
        axes.set_yticks(range(len(scores)), [_short(name) for name, _ in scores])

    return _plot(panel, f"{quality} of every picture; the bar is the mean")


def _plot(panel: charts.Panel, caption: str) -> Plot:
    return Plot(Markup(charts.svg(panel, width_px=WIDTH, height_px=HEIGHT, label=caption)), caption)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _colour(index: int) -> str:
    return charts.page_colour(f"m{index if index < COLOURS else 1 + (index - 1) % (COLOURS - 1)}")
