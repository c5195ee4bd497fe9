"""Finds which files belong together: by the usual names of folders, and by the names of files."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..names import is_picture
from .datasets import Located, layout_hint

INPUT_FOLDERS = ("input", "inputs", "low", "rainy", "rain", "data", "lq", "noisy", "degraded", "source", "input_crops")
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
    "original_png",
    "target_crops",
)
TEST_FOLDERS = ("test", "testing", "eval15", "eval", "val", "validation", "croppedimages")
"""Folders of the pictures to be scored, in sets that also hold others or have an extra folder level."""


def _marks(words: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{words})(?=[-_\d])|[-_](?:{words})(?=$|[-_])", re.IGNORECASE)


# What some sets add to the name of a picture on one side only: low00690/normal00690, 0_rain/0_clean,
# rain-001/norain-001, 1_mean/1_real, NOISY_SRGB_010/GT_SRGB_010, norain-1x2/norain-1.
_CLEAN_MARKS = "norain|normal|high|clean|mean|gt|hq|target"
_CLEAN_MARK = _marks(_CLEAN_MARKS)
_MARK = _marks(f"{_CLEAN_MARKS}|rainy|rain|low|noisy|real|lq|input")
_RAIN_MARK = re.compile(r"(?<=\d)x2$", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """One picture to be scored; `target` is None without a reference, `degraded` None if noise is to be added."""

    stem: str
    degraded: Path | None
    target: Path | None


@dataclass(frozen=True)
class TestSet:
    """The pictures of a set that can be scored, and the problems of the others."""

    __test__ = False  # not a test class, whatever its name says

    located: Located
    cases: list[Case]
    problems: list[str]  # files that are not scored: unmatched, or two of one name
    left_out: int = 0  # pictures left out on request

    def first(self, count: int) -> TestSet:
        """Only the first pictures by name."""
        return TestSet(self.located, self.cases[:count], self.problems, len(self.cases) - len(self.cases[:count]))

    @property
    def is_partial(self) -> bool:
        return bool(self.left_out) or len(self.cases) < (self.located.row.count or 0)


def count_label(test_set: TestSet) -> str:
    """How many pictures of how many."""
    pictures, whole = len(test_set.cases), test_set.located.row.count
    if test_set.is_partial:
        return f"{pictures} of {whole or pictures + test_set.left_out} pictures (partial)"
    return f"{pictures} picture{'s' if pictures != 1 else ''}"


def open_set(located: Located, *, targets: Path | None = None, add_noise: bool = False) -> TestSet:
    """Pair the files of a set. Raises InputError if there is nothing to score.

    targets: folder of the clean pictures, if it is not beside the degraded ones. add_noise: take only the
    clean pictures.
    """
    if targets is not None and not targets.is_dir():
        raise InputError(f"there is no folder of targets {targets}", "check --targets")
    problems: list[str] = []
    folder = _test_part(located.folder)
    if add_noise or located.row.layout == "clean":
        clean = _pictures(targets or _child(folder, TARGET_FOLDERS) or folder, problems)
        cases = [Case(path.stem, None, path) for path in clean]
    else:
        cases = _cases(located, folder, targets, problems)
    if not cases:
        found = f"; {problems[0]}" if problems else ""
        raise InputError(
            f"test set {located.name} is empty: no picture to score in {folder}{found}", "check the folder"
        )
    return TestSet(located, cases, problems)


def _cases(located: Located, folder: Path, targets: Path | None, problems: list[str]) -> list[Case]:
    inputs = _child(folder, INPUT_FOLDERS)
    targets = targets or _child(folder, TARGET_FOLDERS)
    degraded = _pictures(_only_child(inputs) if inputs else folder, problems)
    if targets is not None:
        return _paired(degraded, _pictures(targets, problems), problems)
    if located.row.layout == "pairs":
        sides = _sides(degraded)
        if sides is not None:
            return _paired(*sides, problems)
        if inputs is not None:
            raise InputError(f"{inputs} has no folder of targets beside it", "name one with --targets")
        if located.is_standard:
            problem = f"{folder} holds no folder of targets ({', '.join(TARGET_FOLDERS[:6])}, ...)"
            raise InputError(problem, f"lay it out as {layout_hint(located.row)}, or name one with --targets")
    return [Case(path.stem, path, None) for path in degraded]


def _test_part(folder: Path) -> Path:
    """The subfolder with the pictures to be scored, if this folder holds none itself; else this folder."""
    holds_some = any(_is_picture(path) for path in folder.iterdir())
    if holds_some or _child(folder, INPUT_FOLDERS) or _child(folder, TARGET_FOLDERS):
        return folder
    return _child(folder, TEST_FOLDERS) or folder


def _only_child(folder: Path) -> Path:
    """The subfolder, if it is all that this folder holds (as in Rain100L's own archive); else this folder."""
    below = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return below[0] if len(below) == 1 and below[0].is_dir() else folder


def _sides(pictures: list[Path]) -> tuple[list[Path], list[Path]] | None:
    """Degraded and clean pictures of one folder, distinguished by marks; None if no name is on both sides."""
    clean = [path for path in pictures if _CLEAN_MARK.search(path.stem)]
    degraded = [path for path in pictures if path not in clean and _MARK.search(path.stem)]
    paired = {_core(path.stem) for path in clean} & {_core(path.stem) for path in degraded}
    return ([path for path in pictures if path not in clean], clean) if paired else None


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The subfolder with the first of these names that exists, in any case."""
    below = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((below[name] for name in names if name in below), None)


def _pictures(folder: Path, problems: list[str]) -> list[Path]:
    """The pictures of a folder by name, without those whose stem occurs twice."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "check the name")
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if _is_picture(path):
            by_stem[path.stem].append(path)
    for stem, paths in by_stem.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(f"{len(paths)} files in {folder} have the stem '{stem}' ({names}): not scored")
    return [paths[0] for paths in by_stem.values() if len(paths) == 1]


def _is_picture(path: Path) -> bool:
    return is_picture(path.name) and path.is_file()


def _paired(degraded: list[Path], clean: list[Path], problems: list[str]) -> list[Case]:
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
            problems.append(f"{path} has no target of the same name: not scored")
        else:
            cases.append(Case(path.stem, path, target))
            used.add(target)
    problems.extend(f"{path} has no input of the same name: not scored" for path in clean if path not in used)
    return cases


def _core(stem: str) -> str:
    """The name without the marks of its side."""
    return _MARK.sub("", _RAIN_MARK.sub("", stem)).strip("-_ ").lower()
