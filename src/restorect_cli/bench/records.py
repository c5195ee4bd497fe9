"""An outcome as text: a table for the terminal, records for JSON, rows for CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..atomic import write_file
from .benchmark import BenchmarkResult, SetOutcome
from .measures import Measure
from .pairing import count_label
from .runner import Summary

_KINDS = {
    "input": "the degraded picture itself",
    "restorect": "restorect",
    "baseline": "library",
    "peer-onnx": "peer",
    "peer-command": "peer",
}


def protocol(one: SetOutcome) -> str:
    """How this set was scored, in one sentence."""
    parts = [f"{one.test_set.located.row.task}, {count_label(one.test_set)}"]
    if one.settings[0].sigma is not None:
        kind = "clipped to 8 bits" if one.settings[0].clipped else "not clipped"
        parts.append(f"Gaussian noise, {kind}, numpy.random.default_rng(0) restarted for each picture")
    what = "picture" if one.test_set.cases[0].target is None else "pair"
    if what == "picture":
        parts.append("no reference")
    parts.append("no crop, no resizing")
    unscored = len(one.test_set.cases) - len({row.picture for row in one.rows})
    parts.append(f"{unscored} COULD NOT BE SCORED" if unscored else f"every {what} scored")
    if one.test_set.problems:
        parts.append("OTHER FILES COULD NOT BE PAIRED")
    return "; ".join(parts)


def records(outcome: BenchmarkResult) -> Iterator[dict[str, Any]]:
    """One record per set, setting and method, with what is needed to measure the numbers again."""
    for one in outcome.sets:
        kinds = {spec.name: spec.kind for spec in one.specs}
        for summary in one.summaries:
            yield {
                "dataset": one.name,
                "setting": summary.setting,
                "method": summary.method,
                "kind": kinds[summary.method],
                "task": one.test_set.located.row.task,
                "pictures": summary.pictures,
                "expected": one.test_set.located.row.count,
                "partial": one.test_set.is_partial,
                "means": {name: _finite(value) for name, value in summary.means.items()},
                "deviations": summary.deviations,
                "conventions": {measure.name: measure.convention for measure in one.measures},
                "protocol": protocol(one),
                "seconds_per_megapixel": round(summary.seconds_per_megapixel, 4),
                "peak_bytes": one.peaks.get(summary.method),
                "model": one.model,
                "steps": one.restore.steps,
                "ensemble": one.restore.ensemble,
                "strength": one.restore.strength,
                "precision": one.restore.precision,
                "device": outcome.device,
                "threads": outcome.threads,
                "machine": outcome.machine,
                "version": outcome.version,
            }


def _finite(value: float | None) -> float | str | None:
    return str(value) if value is not None and math.isinf(value) else value  # JSON has no infinity


def table(one: SetOutcome, width: int = 120) -> str:
    """The summaries of one set as a table for a terminal."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD)
    has_settings = len(one.settings) > 1 or bool(one.settings[0].name)
    for heading in (["setting"] if has_settings else []) + ["method"]:
        drawn.add_column(heading, no_wrap=True)
    for heading in headings(one):
        drawn.add_column(escape(heading), justify="right")
    last = one.summaries[0].setting
    for summary in one.summaries:
        if summary.setting != last:
            drawn.add_section()
            last = summary.setting
        scored, pictures = summary.pictures, len(one.test_set.cases)
        name = summary.method if scored == pictures else f"{summary.method} ({scored} of {pictures})"
        drawn.add_row(*([summary.setting] if has_settings else []), escape(name), *cells(one, summary))
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    console.print(drawn)
    lines = [f"{one.name}: {protocol(one)}; model {one.model}", *file.getvalue().splitlines()]
    return "\n".join(line.rstrip() for line in lines)


def conventions(outcome: BenchmarkResult) -> str:
    """The meaning of the columns, one line each."""
    used = dict.fromkeys((measure.label, measure.convention) for one in outcome.sets for measure in one.measures)
    return "\n".join(f"{label}: {convention}" for label, convention in used)


def headings(one: SetOutcome) -> list[str]:
    """Headings of the columns that `cells` fills."""
    arrows = [f"{measure.label} {'↑' if measure.higher_is_better else '↓'}" for measure in one.measures]
    return [*arrows, "s/MP", "time ratio", *(["peak MB", "memory ratio"] if one.peaks else [])]


def cells(one: SetOutcome, summary: Summary) -> list[str]:
    """The numbers of one method as text; ratios are to our own model in this run."""
    texts = [number(measure, summary.means[measure.name]) for measure in one.measures]
    ours = next(
        (other for other in one.summaries if other.method == one.ours and other.setting == summary.setting), None
    )
    if summary.method == "input":
        return [*texts, "", "", *(["", ""] if one.peaks else [])]
    seconds = summary.seconds_per_megapixel
    texts += [brief(seconds), brief(seconds / ours.seconds_per_megapixel) if ours else ""]
    if one.peaks:
        peak, own = one.peaks.get(summary.method), one.peaks.get(one.ours)
        texts += [f"{peak / 1e6:.0f}" if peak else "", brief(peak / own) if peak and own else ""]
    return texts


def brief(value: float) -> str:
    """Three significant digits without an exponent: 1220, 12.2, 0.0122."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = f"{value:.2e}"  # round first: 9.999 then has more digits before the point
    digits = 2 - int(rounded.partition("e")[2])
    return f"{float(rounded):.{max(digits, 0)}f}"


def number(measure: Measure, value: float | None) -> str:
    return "" if value is None else f"{value:.{measure.digits}f}"


def write_csv(outcome: BenchmarkResult, path: Path) -> None:
    """One line per picture and method. Raises OutputError."""
    names = list(dict.fromkeys(measure.name for one in outcome.sets for measure in one.measures))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["dataset", "setting", "picture", "method", "width", "height", "seconds", *names])
    for one in outcome.sets:
        for row in one.rows:
            scores = [row.scores.get(name) for name in names]
            writer.writerow([*row.key, row.width, row.height, row.seconds, *scores])
    write_text(path, file.getvalue())


def write_text(path: Path, text: str) -> None:
    """The text in UTF-8, whole or not at all. Raises OutputError."""
    write_file(path, text.encode())


def kind_label(one: SetOutcome, method: str) -> str:
    """The kind of this method in words."""
    return next(_KINDS[spec.kind] for spec in one.specs if spec.name == method)
