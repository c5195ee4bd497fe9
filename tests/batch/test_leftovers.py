from __future__ import annotations

import os
from pathlib import Path

from restorect_cli.batch.leftovers import owner, sweep, temporary_prefix


def leave(folder: Path, output: str) -> Path:
    path = folder / f"{temporary_prefix(output)}x1y2.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_all_below_the_folder_and_nothing_else(tmp_path: Path) -> None:
    leave(tmp_path, "a.jpg")
    leave(tmp_path / "deep", "deep/b.jpg")
    kept = [
        tmp_path / name for name in ("a.jpg", ".restorect.jsonl", ".restorect-k3j2.part", ".restorect-batch-1.part")
    ]
    for path in kept:
        path.touch()
    assert sweep(tmp_path) == 2
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_of_one_shard_alone(tmp_path: Path) -> None:
    mine, theirs = leave(tmp_path, "mine.jpg"), leave(tmp_path, "theirs.jpg")
    assert sweep(tmp_path, {owner("mine.jpg")}) == 1
    assert not mine.exists() and theirs.exists()


def test_names_fit_however_long_the_output_is() -> None:
    assert len(temporary_prefix("x" * 255)) == len(temporary_prefix("a")) < 60
    assert owner(os.fsdecode(b"\xff.jpg")) != owner("\ufffd.jpg")  # a name in no encoding


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    assert sweep(tmp_path / "absent") == 0
