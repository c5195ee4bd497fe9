from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_well(run: Run) -> None:
    result = run("doctor")
    assert result.code == 0 and result.err == "all is well\n"
    assert any(line.split()[:2] == ["devices", "cpu"] for line in result.out.splitlines())


def test_json(run: Run) -> None:
    records = [json.loads(line) for line in run("doctor", "--json").out.splitlines()]
    assert {record["section"] for record in records} == {"versions", "devices", "machine", "weights"}
    assert all(set(record) == {"section", "name", "value", "problem", "fix"} for record in records)


def test_problem(run: Run, weights: Path) -> None:
    (weights / "denoise-s" / "velocity.onnx").write_bytes(b"damaged")
    result = run("doctor", "--quiet")
    assert result.code == 3 and result.out == "" and "restorect models pull denoise-s" in result.err
    assert len(result.err.splitlines()) == 1
