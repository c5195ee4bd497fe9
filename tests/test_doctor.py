from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.clean_home import clean_home

from restorect_cli import doctor
from restorect_cli.engine import runtime


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return clean_home(tmp_path, monkeypatch, "denoise-s")


def problems() -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine() if finding.problem}


def test_a_sound_installation_has_no_problem() -> None:
    assert problems() == {}
    names = [finding.name for finding in doctor.examine()]
    for name in ("restorect", "python", "numpy", "pyvips", "onnxruntime", "cpu", "threads", "memory", "denoise-s"):
        assert name in names


def test_every_problem_has_a_fix(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (weights / "denoise-s" / "velocity.onnx").unlink()
    monkeypatch.setattr(doctor, "_installed_version", lambda package: "1.0")
    monkeypatch.setattr(doctor, "LIBRARIES", {"nothing": "no_such_module"})
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 10**9)
    monkeypatch.setattr(
        "restorect_cli.engine.runtime.usable_devices", lambda: {"cpu": "it broke", "cuda": "not built in"}
    )
    found = problems()
    assert set(found) == {"nothing", "onnxruntime packages", "cpu", "memory", "denoise-s"}
    assert all(finding.fix for finding in found.values())
    assert "uninstall -y onnxruntime onnxruntime-gpu" in found["onnxruntime packages"].fix


def test_one_runtime_package_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed_version", lambda package: "1" if package == "onnxruntime-gpu" else None)
    assert list(doctor._runtime_conflict()) == []


def test_a_broken_onnxruntime_is_a_finding_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "restorect_cli.engine.runtime", None)  # its import fails from now on
    assert set(problems()) == {"onnxruntime", "all"}


def test_no_models_is_a_problem(weights: Path) -> None:
    (weights / "manifest.json").write_text('{"format": 1}')
    assert "models" in problems()


def test_damaged_manifest_is_a_problem(weights: Path) -> None:
    (weights / "manifest.json").write_text("not json")
    assert problems()["manifest"].fix


def test_damaged_cache_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "home" / "weights").mkdir(parents=True)
    (tmp_path / "home" / "weights" / "manifest.json").write_text("{bad")
    assert set(problems()) == {"fetched models"} and problems()["fetched models"].fix


def test_threads_and_memory_are_plausible() -> None:
    threads = next(finding.value for finding in doctor.machine() if finding.name == "threads")
    assert threads.split()[0] == str(runtime.default_threads())
    free_bytes = doctor.available_memory_bytes()
    assert free_bytes is None or 10**6 < free_bytes < 10**14


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_free_in_container", lambda: 12_345)
    assert doctor.available_memory_bytes() == 12_345
