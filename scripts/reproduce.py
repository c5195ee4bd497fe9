"""Measures the numbers of the students' cards again, exit code 1 where one differs; and prints the speed.

    python scripts/reproduce.py --data-root FOLDER [--only CBSD68-34] [--no-speed]

What is stated, and by which command it was measured, is read from the manifest of students, whose rows are those of the
cards' tables: a new student or a new test set needs nothing here. Sets are found by name below FOLDER. Times and memory
depend on the machine, so they are not compared: measure_speed.py prints each number of the README's Speed paragraph,
for comparison by eye (that needs the extra train).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from restorect_cli.bench.datasets import DATA_ROOT_VARIABLE
from restorect_cli.models.specs import Quality
from restorect_cli.models.store import load_manifest

ROOT = Path(__file__).resolve().parents[1]
MARGIN = 0.02  # processors round differently, and libraries decode JPEG differently
DECIBELS = re.compile(r"input (-?[\d.]+) dB")


def measure_again(row: Quality, student: str, data_root: Path) -> dict[str, str | float]:
    """The row that its command prints now. Raises RuntimeError with its last line where it fails."""
    program, *words = shlex.split(row.command)
    if program != "python" or not words:
        raise RuntimeError(f"no command to run: '{row.command}'")
    command = [sys.executable, str(ROOT / words[0]), *words[1:], "--json", "--model", student]
    environment = {**os.environ, DATA_ROOT_VARIABLE: str(data_root.absolute())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    measured: dict[str, str | float] = json.loads(done.stdout)
    return measured


def differences(row: Quality, measured: dict[str, str | float]) -> list[str]:
    """What is not as stated: the number, the input's, or anything else of the protocol."""
    found = []
    if abs(float(measured["value"]) - row.value) > MARGIN:
        found.append(f"stated {row.value}, measured {measured['value']}")
    stated, now = row.protocol, str(measured["protocol"])
    inputs = [float(match[1]) for text in (stated, now) if (match := DECIBELS.search(text))]
    if DECIBELS.sub("", stated) != DECIBELS.sub("", now) or (len(inputs) == 2 and abs(inputs[0] - inputs[1]) > MARGIN):
        found.append(f"stated for '{stated}', measured for '{now}'")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--only", default="", help="commands that hold this text")
    parser.add_argument("--no-speed", action="store_true", help="quality alone")
    args = parser.parse_args(arguments)
    rows = [(entry.name, row) for entry in load_manifest().students for row in entry.quality]
    wrong = 0
    for student, row in rows:
        if args.only not in row.command:
            continue
        try:
            found = differences(row, measure_again(row, student, args.data_root))
        except RuntimeError as error:
            found = [f"cannot be measured ({error})"]
        wrong += bool(found)
        verdict = f"DIFFERS, {'; '.join(found)}" if found else f"same, {row.value}"
        print(f"{student}: {verdict}: {row.command}", flush=True)
    if not args.no_speed:
        subprocess.run([sys.executable, str(ROOT / "scripts" / "measure_speed.py")], check=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
