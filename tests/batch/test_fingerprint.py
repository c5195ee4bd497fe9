from __future__ import annotations

from pathlib import Path

import pytest
from support.clean_home import clean_home
from support.identity_students import write_student

from restorect_cli.batch.fingerprint import models, settings_hash
from restorect_cli.errors import ModelError
from restorect_cli.files import RepairSettings


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s", "derain-s")


def hash_of(settings: RepairSettings) -> str:
    return settings_hash(settings, models(settings))


def test_students_that_may_be_used(weights: Path) -> None:
    assert set(models(RepairSettings())) == {"denoise-s", "low-light-s"}
    assert set(models(RepairSettings(task="derain"))) == {"derain-s"}
    assert set(models(RepairSettings.of("auto", model="derain-s"))) == {"derain-s"}
    with pytest.raises(ModelError):
        models(RepairSettings(task="raindrop"))


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "denoise"},
        {"steps": 2},
        {"ensemble": 2},
        {"strength": 0.5},
        {"precision": "int8"},
        {"format": "png"},
        {"quality": 80},
        {"depth": 16},
        {"strip": "gps"},
        {"accept_truncated": True},
        {"half_size": True},
    ],
)
def test_what_decides_about_the_result(weights: Path, changes: dict[str, object]) -> None:
    assert hash_of(RepairSettings.of(**{"task": "auto"} | changes)) != hash_of(RepairSettings())  # type: ignore[arg-type]


def test_what_does_not(weights: Path) -> None:
    same = RepairSettings.of("auto", threads=7, tile=512, device="cpu", overwrite=True, keep_times=True)
    assert hash_of(same) == hash_of(RepairSettings())


def test_other_weights_of_the_same_name(weights: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "own", "denoise-s")
    before = hash_of(RepairSettings.of("auto", model=folder))
    assert hash_of(RepairSettings.of("auto", model=folder)) == before
    write_student(tmp_path / "own", "denoise-s", kind="halve")
    assert hash_of(RepairSettings.of("auto", model=folder)) != before
