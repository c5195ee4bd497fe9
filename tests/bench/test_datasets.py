from __future__ import annotations

from pathlib import Path

import pytest
from bench.conftest import MakePairs

from restorect_cli.bench.datasets import DATASETS, demo_sets, find_dataset, find_targets, named_row
from restorect_cli.bench.pairing import open_set
from restorect_cli.errors import InputError, UsageError
from restorect_cli.names import TASKS

PROMISED = (
    "LOL-v1 LOL-v2-real LOL-v2-syn LIME DICM NPE MEF VV SICE BAID Rain100L Rain100H Test100 RainDrop-A RainDrop-B "
    "CBSD68 Kodak24 McMaster Urban100 PolyU SIDD"
)


def test_table_holds_the_standard_sets():
    assert set(PROMISED.split()) <= {row.name for row in DATASETS}
    for row in DATASETS:
        assert row.task in TASKS and row.licence and (row.home or row.name.startswith("demo-")), row.name


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("lime", "LIME"),
        ("LOL", "LOL-v1"),
        ("lol_v1", "LOL-v1"),
        ("LOL-eval8", "LOL-v1"),
        ("eval15", "LOL-v1"),
        ("cbsd68", "CBSD68"),
        ("CBSD68-34", "CBSD68"),
        ("Rain100H-40", "Rain100H"),
        ("Rain100L", "Rain100L"),
        ("DICM16", "DICM"),
        ("Qian-3", "RainDrop-A"),
        ("my-pairs", None),
        ("Rain", None),
    ],
)
def test_names_and_parts(name: str, row: str | None):
    found = named_row(name)
    assert (found.name if found else None) == row


def test_a_set_is_found_below_the_data_root_whatever_its_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dark" / "lime").mkdir(parents=True)
    (tmp_path / "rain" / "Rain100H-40").mkdir(parents=True)
    assert find_dataset("LIME", data_root=tmp_path).folder.name == "lime"
    part = find_dataset("rain100h", data_root=tmp_path)
    assert (part.name, part.row.name) == ("Rain100H-40", "Rain100H")
    monkeypatch.setenv("RESTORECT_DATA", str(tmp_path))
    assert find_dataset("Lime").folder == tmp_path / "dark" / "lime"


@pytest.mark.parametrize(
    ("wanted", "folder", "name"),
    [
        ("LOL-v1", "LOLv1/Test", "LOL-v1"),
        ("lol-v1", "LOLdataset/eval15", "LOL-v1"),
        ("LOL-v2-real", "LOL-v2/Real_captured/Test", "LOL-v2-real"),
        ("LOL-v2-syn", "LOLv2/Synthetic/Test", "LOL-v2-syn"),
        ("RainDrop-A", "test_a", "RainDrop-A"),
        ("SICE-Mix", "SICE-Mix", "SICE-Mix"),
        ("LOL-v1", "LOL-eval8", "LOL-eval8"),
    ],
)
def test_sets_as_they_come(make_pairs: MakePairs, tmp_path: Path, wanted: str, folder: str, name: str):
    make_pairs(f"sets/{folder}", inputs="low", targets="high")
    make_pairs("sets/LOLdataset/our485", inputs="low", targets="high", count=4)
    located = find_dataset(wanted, data_root=tmp_path / "work" / "sets")
    assert located.name == name and len(open_set(located).cases) == 3


def test_a_missing_set_says_where_to_get_it(tmp_path: Path):
    with pytest.raises(InputError, match=r"LOL-v1 is not below .*get it from https.*input.*target.*--data-root"):
        find_dataset("LOL-v1", data_root=tmp_path)
    with pytest.raises(InputError, match="no data root is given"):
        find_dataset("lime")
    with pytest.raises(InputError, match="is not a folder"):
        find_dataset("lime", data_root=tmp_path / "absent")


def test_a_file_called_like_a_set_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("LIME").touch()
    Path("root/LIME").mkdir(parents=True)
    assert find_dataset("LIME", data_root=Path("root")).folder == Path("root/LIME")
    with pytest.raises(InputError, match="LIME is not here, and no data root is given"):
        find_dataset("LIME")
    with pytest.raises(UsageError, match="neither a folder nor"):
        find_dataset("./LIME", data_root=Path("root"))


def test_an_unknown_name_is_wrong_usage():
    with pytest.raises(UsageError, match="did you mean Kodak24"):
        find_dataset("Kodac24")
    with pytest.raises(UsageError, match="there is no folder ./pears"):
        find_dataset("./pears")
    with pytest.raises(UsageError, match="neither a folder nor"):
        find_dataset(__file__)


def test_a_folder_of_ones_own_needs_a_task(make_pairs: MakePairs):
    folder = make_pairs()
    with pytest.raises(UsageError, match="--task"):
        find_dataset(str(folder))
    assert find_dataset(str(folder), task="derain").row.count is None


def test_demo_pairs_are_whole():
    for located in demo_sets(TASKS):
        opened = open_set(located)
        assert len(opened.cases) == located.row.count and not opened.problems and not opened.is_partial


def test_targets_may_be_named_below_the_data_root(make_pairs: MakePairs, tmp_path: Path):
    root = make_pairs("sets/Rain100L-3").parent
    assert find_targets(Path("Rain100L-3/target"), data_root=root) == root / "Rain100L-3" / "target"
    assert find_targets(root / "Rain100L-3" / "target", data_root=root) == root / "Rain100L-3" / "target"
    for nowhere in ("Rain100H-3/target", "../target"):
        assert find_targets(Path(nowhere), data_root=root) == Path(nowhere)
    assert find_targets(Path("Rain100L-3/target")) == Path("Rain100L-3/target")  # no data root
