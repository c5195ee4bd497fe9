"""Which file belongs to which: the usual folder spellings, and pairs by name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .datasets import Located, layout_hint

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".ppm", ".gif"})

INPUT_FOLDERS = ("input", "inputs", "low", "rainy", "rain", "data", "lq", "noisy", "degraded", "source")
TARGET_FOLDERS = (
    "target",
    "targets",
    "high",
    "normal",
    "norain",
    "gt",
    "hq",
    "clean",
    "groundtruth",
    "label",
    "reference",
)

# What some sets write around the name of a picture on one side only: low00690/normal00690, 0_rain/0_clean,
# rain-001/norain-001, 1_mean/1_real, NOISY_SRGB_010/GT_SRGB_010.
_MARKS = "norain|rainy|rain|normal|low|high|noisy|clean|mean|real|gt|lq|hq|input|target"
_MARK = re.compile(rf"^(?:{_MARKS})(?=[-_\d])|[-_](?:{_MARKS})(?=$|[-_])", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """One picture to be scored; `target` is None without a reference, `degraded` None where noise is to be added."""

    stem: str
    degraded: Path | None
    target: Path | None


@dataclass(frozen=True)
class TestSet:
    """The pictures of a set that can be scored, and what is wrong with the others."""

    __test__ = False  # not a test class, whatever its name says

    located: Located
    cases: list[Case]
    problems: list[str]  # files that are not scored: unmatched, or two of one name

    @property
    def is_partial(self) -> bool:
        return self.located.row.count is not None and len(self.cases) < self.located.row.count


def open_set(located: Located, *, targets: Path | None = None, add_noise: bool = False) -> TestSet:
    """Pair the files of a set. Raises InputError where there is nothing to score.

    targets: folder of the clean pictures, where it is not beside the degraded ones. add_noise: only the
    clean pictures are wanted.
    """
    folder, layout = located.folder, located.row.layout
    inputs_folder = _child(folder, INPUT_FOLDERS)
    targets_folder = targets or _child(folder, TARGET_FOLDERS)
    if targets is not None and not targets.is_dir():
        raise InputError(f"folder of targets {targets} is not there", "check --targets")
    problems: list[str] = []
    if add_noise or layout == "clean":
        clean = _pictures(targets_folder or folder, problems)
        cases = [Case(path.stem, None, path) for path in clean]
    elif targets_folder is not None:
        cases = _paired(inputs_folder or folder, targets_folder, problems)
    elif layout == "single" or inputs_folder is None:
        if layout == "pairs" and located.is_standard:
            problem = f"{folder} holds no folder of targets ({', '.join(TARGET_FOLDERS[:6])}, ...)"
            raise InputError(problem, f"lay it out as {layout_hint(located.row)}, or name one with --targets")
        cases = [Case(path.stem, path, None) for path in _pictures(inputs_folder or folder, problems)]
    else:
        raise InputError(f"{inputs_folder} has no folder of targets beside it", "name one with --targets")
    if not cases:
        found = f"; {problems[0]}" if problems else ""
        raise InputError(
            f"test set {located.name} is empty: no picture to score in {folder}{found}", "check the folder"
        )
    return TestSet(located, cases, problems)


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder in it that is called so, in whatever case."""
    below = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((below[name] for name in names if name in below), None)


def _pictures(folder: Path, problems: list[str]) -> list[Path]:
    """The pictures of a folder by name; of stems that occur twice none is taken."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", "check the name")
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in EXTENSIONS and path.is_file():
            by_stem[path.stem].append(path)
    for stem, paths in by_stem.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(f"{len(paths)} files in {folder} have the stem '{stem}' ({names}): none is scored")
    return [paths[0] for paths in by_stem.values() if len(paths) == 1]


def _paired(inputs: Path, targets: Path, problems: list[str]) -> list[Case]:
    degraded, clean = _pictures(inputs, problems), _pictures(targets, problems)
    exact = {path.stem: path for path in clean}
    loose: dict[str, list[Path]] = defaultdict(list)
    for path in clean:
        loose[_core(path.stem)].append(path)
    cases, used = [], set()
    for path in degraded:
        target = exact.get(path.stem)
        if target is None:
            candidates = loose.get(_core(path.stem), [])
            target = candidates[0] if len(candidates) == 1 else None
        if target is None:
            problems.append(f"{path} has no target of its name: not scored")
        else:
            cases.append(Case(path.stem, path, target))
            used.add(target)
    problems.extend(f"{path} has no input of its name: not scored" for path in clean if path not in used)
    return cases


def _core(stem: str) -> str:
    """The name without the marks of a side."""
    return _MARK.sub("", stem).strip("-_ ").lower()
