from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.hub_server import HubServer
from support.identity_students import write_student, write_weights

Run = Callable[..., Any]


def test_list(run: Run, weights: Path) -> None:
    write_weights(weights, "derain-m")
    (weights / "derain-m").rename(weights / "elsewhere")
    lines = run("models", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "TASK", "VERSION", "STEPS", "PARAMETERS", "SIZE", "WHERE"]
    assert [line.split()[0] for line in lines[1:]] == ["denoise-s", "derain-m", "low-light-s"]
    assert lines[1].endswith("shipped") and lines[2].endswith("not here")


def test_list_json(run: Run) -> None:
    records = [json.loads(line) for line in run("models", "list", "--json").out.splitlines()]
    assert [record["name"] for record in records] == ["denoise-s", "low-light-s"]
    assert records[0]["where"] == "shipped" and len(records[0]["files"]["velocity"]["sha256"]) == 64


def test_info_tells_quality_with_its_protocol(run: Run) -> None:
    out = run("models", "info", "denoise-s").out
    for text in ("denoise-s (version 1)", "Apache-2.0", "sha256", "RGB PSNR [dB] 20.17 on CBSD68-34 (sigma 25"):
        assert text in out
    assert json.loads(run("models", "info", "denoise-s", "--json").out)["halo_px"] == 8


def test_info_of_a_folder(run: Run, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "own", "derain-s")
    assert str(folder) in run("models", "info", str(folder)).out


def test_path(run: Run, weights: Path) -> None:
    assert run("models", "path").out == f"{weights}\n"
    assert run("models", "path", "denoise-s").out == f"{weights / 'denoise-s'}\n"


def test_verify(run: Run, weights: Path) -> None:
    assert run("models", "verify").out == "denoise-s: 3 files whole\nlow-light-s: 3 files whole\n"
    (weights / "denoise-s" / "prior.onnx").write_bytes(b"")
    result = run("models", "verify")
    assert result.code == 3 and result.out == "low-light-s: 3 files whole\n"
    assert "prior.onnx is damaged (0 bytes instead of" in result.err
    record = json.loads(run("models", "verify", "denoise-s", "--json").out)
    assert record["ok"] is False and "damaged" in record["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["info", "nothing"], 2, "unknown model 'nothing'"),
        (["info", "s"], 2, "is a size and needs a task"),
        (["info", "derain-m"], 3, "there is no model 'derain-m' yet"),
        (["path", "./no-folder"], 3, "model folder no-folder is not there"),
        (["verify", "nothing"], 2, "unknown model"),
        (["pull", "No/Name"], 2, "is not the name of a model"),
        (["pull", "derain-s"], 2, "add --repo OWNER/NAME or set RESTORECT_HUB"),
    ],
)
def test_what_cannot_be_had(run: Run, arguments: list[str], code: int, says: str) -> None:
    result = run("models", *arguments)
    assert (result.code, result.out, len(result.err.splitlines())) == (code, "", 1) and says in result.err


def test_pull(run: Run, tmp_path: Path) -> None:
    write_weights(tmp_path / "hub", "derain-s")
    with HubServer(tmp_path / "hub") as hub:
        options = ["--repo", hub.repository, "--endpoint", hub.endpoint]
        assert "derain-s version 1: fetched" in run("models", "pull", "derain-s", *options).out
        record = json.loads(run("models", "pull", "derain-s", "--json", *options).out)
        assert record["fetched_bytes"] == 0 and record["commit"] == hub.commit
        result = run("models", "pull", "raindrop-s", *options)
        assert result.code == 3 and "has no model 'raindrop-s'" in result.err
    assert run("models", "path", "derain-s").out.startswith(str(tmp_path / "home"))


def test_damaged_manifest(run: Run, weights: Path) -> None:
    (weights / "manifest.json").write_text("{")
    result = run("models", "list")
    assert result.code == 3 and "manifest.json is not a manifest" in result.err


def test_damaged_cache(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home" / "weights").mkdir(parents=True)
    (tmp_path / "home" / "weights" / "manifest.json").write_text("{bad")
    listed = run("models", "list")
    assert (listed.code, len(listed.out.splitlines())) == (0, 3) and "fetched models are left out" in listed.err
    verified = run("models", "verify")
    assert verified.code == 3 and "denoise-s: 3 files whole" in verified.out and "restorect models pull" in verified.err
