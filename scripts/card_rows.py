"""Runs the `restorect bench` command of a number in a model's card again, and returns it as a row of the manifest.

The command must name one test set, one metric (psnr or psnr-y) and, where noise is added, one sigma.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from restorect_cli.bench.datasets import DATA_ROOT_VARIABLE

Row = dict[str, str | float]

MEASURES = {"psnr": "RGB PSNR [dB]", "psnr-y": "Y PSNR [dB]"}


def measured_row(command: str, model: str, *, data_root: Path | None = None, threads: int | None = None) -> Row:
    """The row of `weights/manifest.json` that a command measures now.

    model: a name, or a folder of an exported model. data_root: None for what RESTORECT_DATA names. threads: of the CPU,
    which change no number. Raises RuntimeError with one line where the command fails or does not print one number.
    """
    words = shlex.split(command)
    if words[:2] != ["restorect", "bench"]:
        raise RuntimeError(f"not a command of restorect bench: '{command}'")
    words += ["--model", model, "--json", "--quiet", *(["--threads", str(threads)] if threads else [])]
    environment = dict(os.environ)
    if data_root is not None:
        environment[DATA_ROOT_VARIABLE] = str(data_root.absolute())
    call = [sys.executable, "-m", "restorect_cli", *words[1:]]
    done = subprocess.run(call, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return _row(command, [json.loads(line) for line in done.stdout.splitlines()])


def _row(command: str, records: list[dict[str, Any]]) -> Row:
    """Of the two records of such a command: the input, then the model."""
    kinds, metrics = (
        [record["kind"] for record in records],
        [name for record in records[:1] for name in record["means"]],
    )
    if kinds != ["input", "restorect"] or len(metrics) != 1 or metrics[0] not in MEASURES:
        raise RuntimeError(f"'{command}' must name one set, one metric ({' or '.join(MEASURES)}) and at most one sigma")
    degraded, restored = records
    (metric,) = metrics
    parts = [restored["setting"]] if restored["setting"] else []
    parts += [f"{restored['pictures']} pictures", "8-bit rounding", "no crop", restored["precision"]]
    parts += [f"{restored['steps']} steps"] if restored["steps"] else []
    parts += [f"ensemble {restored['ensemble']}"] if restored["ensemble"] > 1 else []
    return {
        "dataset": restored["dataset"],
        "protocol": f"{', '.join(parts)}; input {degraded['means'][metric]:.2f} dB",
        "measure": MEASURES[metric],
        "value": round(restored["means"][metric], 2),
        "command": command,
    }
