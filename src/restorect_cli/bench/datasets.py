"""The table of standard test sets, and finding its rows by name, folder or data root."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from ..errors import InputError, UsageError
from ..names import TASKS

Layout = Literal["pairs", "clean", "single"]
"""pairs: degraded and clean pictures; clean: noise is added; single: degraded pictures without a reference."""

SIGMAS = (15.0, 25.0, 50.0)
DATA_ROOT_VARIABLE = "RESTORECT_DATA"
SEARCH_DEPTH = 3  # folders below the data root


@dataclass(frozen=True)
class Dataset:
    """One test set: its task, its number of pictures, where it comes from."""

    name: str
    task: str
    layout: Layout
    count: int | None  # pictures of the whole set; None if unknown
    home: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()  # other names of the set and of its usual folder
    note: str = ""


# Bundled with the package: cut from the examples, two pairs for each task.
DEMO: tuple[Dataset, ...] = tuple(
    Dataset(f"demo-{task}", task, "pairs", 2, licence="CC0 and public domain", note="bundled") for task in TASKS
)

_RESEARCH = "research; no licence text found"
_BSD = "Berkeley: non-commercial research and education"
_RAIN = "research"
_LOL_HOME = "https://daooshee.github.io/BMVC2018website/"
_LOL2_HOME = "https://github.com/flyywh/CVPR-2020-Semi-Low-Light"
_DARK_HOME = "https://github.com/baidut/BIMEF (collection of LIME, NPE, MEF, DICM, VV)"
_RAIN_HOME = "https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html"

DATASETS: tuple[Dataset, ...] = (
    *DEMO,
    # low light, with reference: RGB PSNR and SSIM; nothing fitted to the truth
    Dataset("LOL-v1", "low-light", "pairs", 15, _LOL_HOME, _RESEARCH, ("LOL", "LOL-eval", "eval15", "LOLv1")),
    Dataset("LOL-v2-real", "low-light", "pairs", 100, _LOL2_HOME, _RESEARCH, ("LOLv2-real", "Real_captured")),
    Dataset(
        "LOL-v2-syn",
        "low-light",
        "pairs",
        100,
        _LOL2_HOME,
        _RESEARCH,
        ("LOLv2-syn", "LOL-v2-synthetic", "LOLv2-synthetic"),
    ),
    Dataset(
        "SICE", "low-light", "pairs", None, "https://github.com/csjcai/SICE", "research", ("SICE-Mix", "SICE-Grad")
    ),
    Dataset("BAID", "low-light", "pairs", 368, "https://github.com/lvxiaoqian/BacklitNet", "research", ("backlit",)),
    # low light, without reference
    Dataset("LIME", "low-light", "single", 10, _DARK_HOME, "academic"),
    Dataset("DICM", "low-light", "single", 69, _DARK_HOME, "academic", note="some copies hold 64"),
    Dataset("NPE", "low-light", "single", 8, _DARK_HOME, "academic", note="some copies hold 84"),
    Dataset("MEF", "low-light", "single", 17, _DARK_HOME, "academic"),
    Dataset("VV", "low-light", "single", 24, "https://sites.google.com/site/vonikakis/datasets", "academic"),
    # rain: Y PSNR and SSIM, and RGB
    Dataset("Rain100L", "derain", "pairs", 100, _RAIN_HOME, _RAIN, ("rain100l_test", "rain_data_test_Light")),
    Dataset(
        "Rain100H",
        "derain",
        "pairs",
        100,
        _RAIN_HOME,
        _RAIN,
        ("rain100h_test", "rain_data_test_Heavy"),
        "two versions: input 13.56 dB is the old",
    ),
    Dataset("Test100", "derain", "pairs", 100, "https://github.com/hezhangsprinter/ID-CGAN", _RAIN, ("Rain800-test",)),
    Dataset(
        "RainDrop-A", "raindrop", "pairs", 58, "https://github.com/rui1996/DeRaindrop", _RESEARCH, ("test_a", "Qian")
    ),
    Dataset("RainDrop-B", "raindrop", "pairs", 249, "https://github.com/rui1996/DeRaindrop", _RESEARCH, ("test_b",)),
    # noise: Gaussian is added to clean pictures; RGB PSNR and SSIM
    Dataset("CBSD68", "denoise", "clean", 68, "https://github.com/clausmichele/CBSD68-dataset", _BSD, ("BSD68",)),
    Dataset("Kodak24", "denoise", "clean", 24, "https://r0k.us/graphics/kodak/", "unrestricted use", ("Kodak",)),
    Dataset("McMaster", "denoise", "clean", 18, "https://www4.comp.polyu.edu.hk/~cslzhang/CDM_Dataset.htm", "research"),
    Dataset("Urban100", "denoise", "clean", 100, "https://github.com/jbhuang0604/SelfExSR", "research"),
    # noise of real cameras
    Dataset(
        "PolyU", "denoise", "pairs", 100, "https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset", "HK PolyU"
    ),
    Dataset(
        "SIDD", "denoise", "pairs", 1280, "https://abdokamel.github.io/sidd/", "MIT", ("SIDD-val", "SIDD_Medium_Srgb")
    ),
)


@dataclass(frozen=True)
class Located:
    """A test set and its folder; `row.count` is None for a user's own folder."""

    row: Dataset
    folder: Path
    name: str  # in the report: the folder's name for a part of a set, the table's for the whole

    @property
    def is_standard(self) -> bool:
        return self.row in DATASETS


def demo_sets(tasks: Collection[str]) -> list[Located]:
    """The bundled pairs of these tasks."""
    return [_demo(row) for row in DEMO if row.task in tasks]


def _demo(row: Dataset) -> Located:
    return Located(row, Path(str(resources.files(__package__))) / "demo" / row.task, row.name)


def find_dataset(wanted: str, *, data_root: Path | None = None, task: str | None = None) -> Located:
    """The test set of this name, or in this folder. A folder that no row of the table names needs a `task`.

    A name is searched below `data_root` (or the folder that RESTORECT_DATA names), ignoring case.
    Raises InputError, with where to get it, for a missing set, UsageError for an unknown name.
    """
    row = named_row(wanted)
    if row in DEMO:
        return _demo(row)
    is_path = any(mark in wanted for mark in ("/", os.sep))
    if not wanted or (
        Path(wanted).is_file() and (row is None or is_path)
    ):  # a stray file called LIME must not hide the set
        raise UsageError(f"'{wanted}' is neither a folder nor a test set's name", "name the folder of the pictures")
    if Path(wanted).is_dir() and (is_path or row is None):
        return _own_folder(Path(wanted), task)
    root = data_root or _root_of_environment()
    folder = _below(root, wanted, row) if root else None
    if folder is None and row is not None and Path(wanted).is_dir():
        folder = Path(wanted)
    if folder is not None:
        return _own_folder(folder, task, row)
    raise _missing(wanted, row, root)


def find_targets(wanted: Path, *, data_root: Path | None = None) -> Path:
    """The folder of clean pictures: as it is named, or as SET/FOLDER below the data root ("Rain100L/target").

    A folder that is not found is returned as it was named.
    """
    root = data_root or _root_of_environment()
    if root is None or wanted.is_dir() or wanted.is_absolute():
        return wanted
    name, *below = wanted.parts
    folder = _below(root, name, named_row(name))
    return folder.joinpath(*below) if folder else wanted


def named_row(name: str) -> Dataset | None:
    """The row of this name, ignoring case, hyphens and the count of a part ("LOL-eval8", "CBSD68-34")."""
    for candidate in (name, re.sub(r"[-_]?\d+$", "", name)):
        for row in DATASETS:
            if _plain(candidate) in _known_names(row):
                return row
    return None


def _own_folder(folder: Path, task: str | None, row: Dataset | None = None) -> Located:
    name = folder.resolve().name
    row = row or named_row(name)
    if row is not None and task in (None, row.task):
        is_whole = bool(_names(folder) & _known_names(row)) and not _plain(name).startswith(_plain(row.name))
        return Located(row, folder, row.name if is_whole or _plain(name) == _plain(row.name) else name)
    if task is None:
        raise UsageError(
            f"no standard test set is called '{folder.name}'", f"say what to repair: --task {'|'.join(TASKS)}"
        )
    return Located(Dataset(name, task, "pairs", None), folder, name)


def _root_of_environment() -> Path | None:
    named = os.environ.get(DATA_ROOT_VARIABLE)
    return Path(named) if named else None


def _below(root: Path, wanted: str, row: Dataset | None) -> Path | None:
    """The nearest folder of the wanted name, else of a name of the row, else with a part of the row."""
    if not root.is_dir():
        raise InputError(f"data root {root} is not a folder", "check --data-root or RESTORECT_DATA")
    folders = sorted(_folders(root, SEARCH_DEPTH), key=lambda path: (len(path.parts), path))
    names = _known_names(row) if row else set()
    exact = [folder for folder in folders if _plain(wanted) in _names(folder)]
    whole = [folder for folder in folders if _names(folder) & names]
    part = [folder for folder in folders if _plain(re.sub(r"[-_]?\d+$", "", folder.name)) in names]
    return next(iter([*exact, *whole, *part]), None)


def _names(folder: Path) -> set[str]:
    """Names of a folder: its own, and its parent's and its own together ("LOL-v2/Synthetic")."""
    name, parent = folder.resolve().name, folder.resolve().parent.name
    return {_plain(name), _plain(parent + name)}


def _known_names(row: Dataset) -> set[str]:
    return {_plain(name) for name in (row.name, *row.aliases)}


def _folders(root: Path, depth: int) -> Iterator[Path]:
    for path in root.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            yield path
            if depth > 1:
                yield from _folders(path, depth - 1)


def _missing(wanted: str, row: Dataset | None, root: Path | None) -> InputError | UsageError:
    if row is None:
        from difflib import get_close_matches

        if any(mark in wanted for mark in ("/", os.sep)):
            return UsageError(f"there is no folder {wanted}", "check the name")
        known = ["demo", *(row.name for row in DATASETS if row not in DEMO)]
        near = get_close_matches(wanted, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        return UsageError(
            f"no folder and no test set is called '{wanted}'", f"{meant}known are {', '.join(known)}; or name a folder"
        )
    where = f"not below {root}" if root else "not here, and no data root is given"
    return InputError(
        f"test set {row.name} is {where}",
        f"get it from {row.home}, lay it out as {layout_hint(row)}, and give --data-root ROOT or set RESTORECT_DATA",
    )


def layout_hint(row: Dataset) -> str:
    """The expected folders of a set."""
    if row.layout == "pairs":
        return f"ROOT/{row.name}/input and ROOT/{row.name}/target"
    return f"pictures in ROOT/{row.name}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
