"""The picture of a run, drawn from its log: training loss above, validation PSNR below."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (1000, 820)
FEW_POINTS = 40  # each of which gets a dot

NOT_LOSSES = {"iteration", "learning_rate", "seconds_per_iteration", "validation"}  # what else a line of the log holds

Curves = Mapping[str, Sequence[tuple[float, float]]]


def draw_log(log: Path, target: Path) -> None:
    """Draw log.jsonl as a PNG; panels without a point are left empty. Raises OSError."""
    loss, psnr = read_log(log)
    panels = [panel("training loss", loss, logarithmic=True), panel("validation, RGB PSNR in dB (EMA weights)", psnr)]
    charts.write_png(panels, target, width_px=SIZE[0], height_px=SIZE[1])


def read_log(log: Path) -> tuple[Curves, Curves]:
    """Losses and validation PSNR by name, as (iteration, value); `loss` is the weighted sum of the others.

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


def panel(title: str, curves: Curves, *, logarithmic: bool = False) -> charts.Panel:
    """Curves over iterations; what is not positive has no place on a logarithmic axis."""

    def draw(axes: Axes) -> None:
        axes.set_title(title)
        for number, (name, curve) in enumerate(curves.items()):
            points = [point for point in curve if not logarithmic or point[1] > 0]
            if points:
                iterations, values = zip(*points, strict=True)
                marker = "o" if len(points) <= FEW_POINTS else ""
                colour = charts.COLOURS[number % len(charts.COLOURS)]
                label = f"{name}  {values[-1]:.4g}"
                axes.plot(iterations, values, marker=marker, markersize=5, color=colour, label=label)
        if not axes.has_data():
            axes.text(0.02, 0.95, "nothing logged yet", transform=axes.transAxes, va="top")
            return
        axes.set_xlabel("iteration", loc="right")
        axes.set_xlim(left=0)
        if logarithmic:
            axes.set_yscale("log")
            charts.logarithmic(axes.yaxis)
        # Losses fall and PSNR rises: the corner that stays free is at the right, above or below.
        axes.legend(loc="upper right" if logarithmic else "lower right")

    return draw
