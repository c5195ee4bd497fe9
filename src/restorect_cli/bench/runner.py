"""Runs methods over a test set: one row per picture and method, and a line for every problem."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.source import Image
from ..errors import InputError
from .journal import Journal, Row
from .measures import Measure
from .method import Method, MethodSpec
from .pairing import Case, TestSet
from .pictures import load

WARM_UP_PX = 64


@dataclass(frozen=True)
class NoiseSetting:
    """How to degrade: add noise of `sigma` 8-bit levels, or None for the set's own degraded pictures."""

    sigma: float | None = None
    clipped: bool = False

    @property
    def name(self) -> str:
        return "" if self.sigma is None else f"sigma {self.sigma:g}{' clipped' if self.clipped else ''}"


@dataclass
class Results:
    """All rows of a run, in order, and a line for everything that could not be scored."""

    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


Methods = Sequence[tuple[MethodSpec, Method]]


def run(
    test_set: TestSet,
    settings: Sequence[NoiseSetting],
    methods: Methods,
    measures: Sequence[Measure],
    journal: Journal,
    *,
    on_problem: Callable[[str], None] = lambda line: None,
    advance: Callable[[int], None] = lambda amount: None,
) -> Results:
    """Score every picture with every method. Failures are reported as problems, and the rest is scored."""
    results = Results()
    warm: set[str] = set()

    def problem(line: str) -> None:
        results.problems.append(line)
        on_problem(line)

    for setting in settings:
        for case in test_set.cases:
            name = test_set.located.name
            results.rows += _score_case(name, case, setting, methods, measures, journal, warm, problem)
            advance(1)
    return results


def _score_case(
    dataset: str,
    case: Case,
    setting: NoiseSetting,
    methods: Methods,
    measures: Sequence[Measure],
    journal: Journal,
    warm: set[str],
    problem: Callable[[str], None],
) -> list[Row]:
    keys = [(dataset, setting.name, case.stem, spec.name) for spec, _ in methods]
    if all(key in journal.rows for key in keys):
        return [journal.rows[key] for key in keys]
    try:
        degraded, target = load(case, setting.sigma, clipped=setting.clipped)
    except InputError as error:
        problem(str(error))
        return []
    rows = []
    for key, (spec, method) in zip(keys, methods, strict=True):
        if key not in journal.rows:
            try:
                if spec.name not in warm and spec.kind not in ("input", "peer-command"):
                    method(degraded[:WARM_UP_PX, :WARM_UP_PX], sigma=setting.sigma)
                    warm.add(spec.name)
                began = time.perf_counter()
                restored = method(degraded, sigma=setting.sigma)
                seconds = time.perf_counter() - began
            except InputError as error:
                problem(f"{case.stem}: {error}")
                continue
            scores, reasons = _scores(restored, target, measures)
            for line in reasons:
                problem(f"{case.stem}, {spec.name}: {line}")
            height, width = degraded.shape[:2]
            journal.add(Row(*key, width=width, height=height, seconds=round(seconds, 5), scores=scores))
        rows.append(journal.rows[key])
    return rows


def _scores(
    restored: Image, target: Image | None, measures: Sequence[Measure]
) -> tuple[dict[str, float | None], list[str]]:
    """Every measure's score, None if it cannot be computed, and the reasons."""
    scores: dict[str, float | None] = {}
    problems = []
    for measure in measures:
        try:
            value = measure.score(restored, target)
        except InputError as error:
            problems.append(str(error))
            value = math.nan
        scores[measure.name] = None if math.isnan(value) else value
    return scores, problems


@dataclass(frozen=True)
class Summary:
    """One method over one setting of a test set."""

    dataset: str
    setting: str
    method: str
    pictures: int
    means: dict[str, float | None]
    deviations: dict[str, float | None]
    seconds_per_megapixel: float


def summarise(rows: Sequence[Row], measures: Sequence[Measure]) -> list[Summary]:
    """Means over pictures, in the order of the rows; pictures without a score are left out."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.setting, row.method), []).append(row)
    return [
        Summary(
            *key,
            pictures=len(group),
            means={measure.name: _statistic(np.mean, group, measure.name) for measure in measures},
            deviations={measure.name: _statistic(np.std, group, measure.name) for measure in measures},
            seconds_per_megapixel=sum(row.seconds for row in group) / sum(row.megapixels for row in group),
        )
        for key, group in groups.items()
    ]


def _statistic(function: Callable[[list[float]], Any], rows: Sequence[Row], name: str) -> float | None:
    values = [value for row in rows if (value := row.scores.get(name)) is not None]
    if not values or (function is np.std and not np.isfinite(values).all()):  # equal pictures: infinite PSNR
        return None
    return float(function(values))


def pictures_to_show(rows: Sequence[Row], measure: Measure) -> list[tuple[str, str]]:
    """Worst, median and best picture by the measure, as (what, picture); fewer where there are fewer pictures."""
    scored = [row for row in rows if row.scores.get(measure.name) is not None]
    ranked = sorted(scored, key=lambda row: (row.scores[measure.name] or 0.0) * (1 if measure.higher_is_better else -1))
    if not ranked:
        return []
    wanted = [("worst", 0), ("best", len(ranked) - 1), ("median", len(ranked) // 2)]
    shown: dict[str, str] = {}
    for what, index in wanted:
        shown.setdefault(ranked[index].picture, what)
    order = ("worst", "median", "best")
    return sorted(((what, picture) for picture, what in shown.items()), key=lambda pair: order.index(pair[0]))
