"""The benchmark as one self-contained HTML page: tables, plots, and sliders over the pictures."""

from __future__ import annotations

import base64
import math
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from .. import charts
from ..engine.source import Image
from ..errors import InputError
from ..extras import how_to_install
from .benchmark import BenchmarkResult, SetOutcome
from .journal import Row
from .measures import Measure
from .pictures import load, to_jpeg
from .plots import Plot, quality_against_seconds, spread
from .records import brief, cells, headings, kind_label, number, protocol, write_text
from .runner import NoiseSetting, pictures_to_show

LARGEST_PX = 1600  # longer side of a picture in the page


def write_report(outcome: BenchmarkResult, path: Path) -> None:
    """Write the page, pictures included; methods run again on the pictures shown. Raises OutputError."""
    write_text(path, render("report.html.j2", **_page(outcome)))


def render(template: str, **values: Any) -> str:
    """A page from the templates of this package, with every value escaped."""
    return str(_environment().get_template(template).render(**values))


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("restorect_cli.bench", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def picture_data(image: bytes) -> str:
    """A JPEG as a data: address."""
    return "data:image/jpeg;base64," + base64.b64encode(image).decode("ascii")


def _page(outcome: BenchmarkResult) -> dict[str, Any]:
    return {
        "version": outcome.version,
        "device": outcome.device,
        "threads": outcome.threads,
        "machine": outcome.machine,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "problems": outcome.problems,
        "lacking": "" if charts.is_available() else f"No charts: they need matplotlib ({how_to_install('bench')}).",
        "sets": [_set(one) for one in outcome.sets],
    }


def _set(one: SetOutcome) -> dict[str, Any]:
    row = one.test_set.located.row
    return {
        "name": one.name,
        "protocol": protocol(one),
        "model": one.model,
        "reference": one.ours if one.ours != "input" else None,
        "home": row.home,
        "licence": row.licence,
        "has_settings": bool(one.settings[0].name),
        "headings": headings(one),
        "summary": [
            {
                "method": summary.method,
                "kind": kind_label(one, summary.method),
                "is_ours": summary.method == one.ours,
                "setting": summary.setting,
                "cells": cells(one, summary),
            }
            for summary in one.summaries
        ],
        "conventions": [f"{measure.label}: {measure.convention}" for measure in one.measures],
        "plots": [plot for setting in one.settings for plot in _plots(one, setting)],
        "figures": [figure for setting in one.settings for figure in _figures(one, setting)],
        "row_headings": ["pixels", *[measure.label for measure in one.measures], "s/MP"],
        "rows": [_row(one, row) for row in one.rows],
    }


def _row(one: SetOutcome, row: Row) -> dict[str, Any]:
    pixels = {"value": row.width * row.height, "text": f"{row.width}×{row.height}"}
    scores = [(measure, row.scores.get(measure.name)) for measure in one.measures]
    numbers = [{"value": _sortable(value), "text": number(measure, value)} for measure, value in scores]
    pace = row.seconds / row.megapixels
    seconds = {"value": "" if row.method == "input" else pace, "text": "" if row.method == "input" else brief(pace)}
    return {
        "picture": row.picture,
        "setting": row.setting,
        "method": row.method,
        "cells": [pixels, *numbers, seconds],
    }


def _sortable(value: float | None) -> float | str:
    if value is None:
        return ""
    return "1e9" if math.isinf(value) else value


def _plots(one: SetOutcome, setting: NoiseSetting) -> list[Plot]:
    if not charts.is_available():
        return []
    measure = one.measures[0]
    label = f"{measure.label} {'(higher is better)' if measure.higher_is_better else '(lower is better)'}"
    label += f", {setting.name}" if setting.name else ""
    here = [summary for summary in one.summaries if summary.setting == setting.name]
    dots = [
        (summary.method, summary.seconds_per_megapixel, mean)
        for summary in here
        if summary.method != "input" and (mean := summary.means[measure.name]) is not None and math.isfinite(mean)
    ]
    rows = [(summary.method, _values(one.rows, setting, summary.method, measure)) for summary in here]
    return [*([quality_against_seconds(dots, label)] if dots else []), spread(rows, label)]


def _values(rows: list[Row], setting: NoiseSetting, method: str, measure: Measure) -> list[float]:
    return [
        value
        for row in rows
        if row.setting == setting.name and row.method == method
        if (value := row.scores.get(measure.name)) is not None and math.isfinite(value)
    ]


def _figures(one: SetOutcome, setting: NoiseSetting) -> list[dict[str, Any]]:
    """Sliders over the pictures with the worst, median and best score of our model."""
    measure = one.measures[0]
    rows = [row for row in one.rows if row.setting == setting.name and row.method == one.ours]
    scores = {row.picture: row.scores[measure.name] for row in rows}
    figures = []
    for what, picture in pictures_to_show(rows, measure):
        case = next(case for case in one.test_set.cases if case.stem == picture)
        degraded, target = load(case, setting.sigma, clipped=setting.clipped)
        caption = f"{what}: {picture}, {measure.label} {number(measure, scores[picture])}"
        caption += f", {setting.name}" if setting.name else ""
        figures.append(_figure(one, setting, caption, degraded, target))
    return figures


def _figure(
    one: SetOutcome, setting: NoiseSetting, caption: str, degraded: Image, target: Image | None
) -> dict[str, Any]:
    shown: list[tuple[str, Image]] = []
    for spec, method in one.methods:
        try:
            shown.append((spec.name, method(degraded, sigma=setting.sigma)))
        except InputError:  # reported when it was scored
            continue
    if target is not None:
        shown.append(("clean", target))
    labels = [label for label, _ in shown]
    if max(degraded.shape[:2]) > LARGEST_PX:
        caption += f" (shrunk to {LARGEST_PX} pixels here)"
    pictures = [{"label": label, "data": picture_data(to_jpeg(image, largest_px=LARGEST_PX))} for label, image in shown]
    return {
        "caption": caption,
        "width": degraded.shape[1],
        "height": degraded.shape[0],
        "pictures": pictures,
        "left": labels.index("input"),
        "right": labels.index(one.ours),
    }
