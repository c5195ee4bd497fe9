"""The picture of a run, drawn from its log: training loss above, validation PSNR below.

Drawn with Pillow, which is here anyway. matplotlib and what it needs would add six packages and some 20 MB
to the extra `train` for two panels of polylines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE = (1000, 820)
MARGIN = (70, 40, 30, 45)  # left, top, right, bottom of a panel
PAPER, INK, FAINT = "#ffffff", "#303030", "#e4e4e4"
COLOURS = (
    "#1f6fb4",
    "#d1562b",
    "#2f8f4e",
    "#8a4fb0",
    "#b8860b",
    "#3aa6a6",
    "#c2427a",
    "#5c3d1e",
    "#12355b",
    "#777777",
)  # read apart in grey

NOT_LOSSES = {"iteration", "learning_rate", "seconds_per_iteration", "validation"}  # what else a line of the log tells

Curves = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Axis:
    """A range of values, its tick marks, and where a value lies in it (0 to 1)."""

    ticks: tuple[float, ...]
    place: Callable[[float], float]


def plot(log: Path, target: Path) -> None:
    """Draw log.jsonl as a PNG; panels without a point are left empty. Raises OSError."""
    loss, psnr = read_log(log)
    image = Image.new("RGB", SIZE, PAPER)
    half = SIZE[1] // 2
    panel(image, (0, 0, SIZE[0], half), "training loss", loss, logarithmic=True)
    panel(image, (0, half, SIZE[0], SIZE[1]), "validation, RGB PSNR in dB (EMA weights)", psnr)
    image.save(target, "PNG")


def read_log(log: Path) -> tuple[Curves, Curves]:
    """Losses and validation PSNR by name, as (iteration, value); `loss` is the weighted sum of the others.

    In logs of older runs it is the first of the terms, which has no line of its own there.
    Iterations that a resumed run did twice count as they were last; a line cut short by a crash is left out.
    """
    curves: list[dict[str, dict[float, float]]] = [{}, {}]
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    for line in lines:
        try:
            record: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        losses = {name: value for name, value in record.items() if name not in NOT_LOSSES}
        for curve, values in zip(curves, (losses, record.get("validation") or {}), strict=True):
            for name, value in values.items():
                if value is not None:
                    curve.setdefault(name, {})[record["iteration"]] = value
    loss, psnr = ({name: sorted(points.items()) for name, points in curve.items()} for curve in curves)
    return loss, psnr


def linear_axis(values: Sequence[float], wanted: int = 6) -> Axis:
    """An axis from round number to round number; ticks step by 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    rough = max(high - low, 1e-9 * max(1.0, abs(high))) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    ticks = tuple(i * step for i in range(first, last + 1))
    return Axis(ticks, lambda value: (value - ticks[0]) / (ticks[-1] - ticks[0]))


def logarithmic_axis(values: Sequence[float]) -> Axis:
    """Decades with 1, 2 and 5; for positive values."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    first = max((m for m in marks if m <= low), default=low)
    last = min((m for m in marks if m >= high and m > first), default=10 * first)
    ticks = tuple(m for m in marks if first <= m <= last)
    return Axis(ticks, lambda value: math.log(value / first) / math.log(last / first))


def panel(
    image: Image.Image, box: tuple[int, int, int, int], title: str, curves: Curves, logarithmic: bool = False
) -> None:
    """Draw curves over iterations into the box (left, top, right, bottom), the legend at the right."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    left, top = box[0] + MARGIN[0], box[1] + MARGIN[1]
    right, bottom = box[2] - MARGIN[2], box[3] - MARGIN[3]
    draw.text((left, box[1] + 12), title, fill=INK, font=ImageFont.load_default(16))
    curves = {name: [p for p in points if not logarithmic or p[1] > 0] for name, points in curves.items()}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        draw.rectangle((left, top, right, bottom), outline=INK)
        draw.text((left + 12, top + 10), "nothing logged yet", fill=INK, font=font)
        return
    across = linear_axis([0.0, *(p[0] for p in points)], 8)
    up = (logarithmic_axis if logarithmic else linear_axis)([p[1] for p in points])

    def spot(point: tuple[float, float]) -> tuple[float, float]:
        return left + across.place(point[0]) * (right - left), bottom - up.place(point[1]) * (bottom - top)

    for tick in up.ticks:
        row = bottom - up.place(tick) * (bottom - top)
        draw.line((left, row, right, row), fill=FAINT)
        draw.text((left - 8, row), f"{tick:g}", fill=INK, font=font, anchor="rm")
    for tick in across.ticks:
        column = left + across.place(tick) * (right - left)
        draw.line((column, top, column, bottom), fill=FAINT)
        draw.text((column, bottom + 6), f"{tick:g}", fill=INK, font=font, anchor="mt")
    draw.text((right, bottom + 24), "iteration", fill=INK, font=font, anchor="rt")
    draw.rectangle((left, top, right, bottom), outline=INK)
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        spots = [spot(point) for point in curve]
        if len(spots) > 1:
            draw.line(spots, fill=colour, width=2, joint="curve")
        if len(spots) <= 40:
            for x, y in spots:
                draw.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=colour)
        # Losses fall and PSNR rises: the corner that stays free is at the right, above or below.
        row = top + 10 + 18 * number if logarithmic else bottom - 10 - 18 * (len(curves) - number)
        label = f"{name}  {curve[-1][1]:.4g}" if curve else name
        draw.line((right - 26, row + 7, right - 10, row + 7), fill=colour, width=3)
        draw.text((right - 32, row), label, fill=INK, font=font, anchor="ra")
