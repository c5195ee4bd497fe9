"""Measures the numbers of the models' cards again, exit code 1 if one differs; then measures the speed.

    python scripts/reproduce.py --data-root FOLDER [--only CBSD68-34] [--no-speed]

The manifest holds the rows of the cards' tables: each number, and the `restorect bench` command that printed it. A new
model or a new test set needs nothing here. Sets are found by name below FOLDER. Times and memory depend on the
machine, so they are not compared: `restorect bench --speed` prints what docs/performance.md states, for
comparison by eye.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from card_rows import Row, measured_row

from restorect_cli.models.specs import Quality
from restorect_cli.models.store import load_manifest

MARGIN = 0.02  # processors round differently, and libraries decode JPEG differently
DECIBELS = re.compile(r"input (-?[\d.]+) dB")
SPEED = ("bench", "--speed", "--task", "denoise", "--steps", "1", "--sizes", "12,48")


def differences(row: Quality, measured: Row) -> list[str]:
    """What is not as stated: the number, the input's, or anything else of the protocol."""
    found = []
    if abs(float(measured["value"]) - row.value) > MARGIN:
        found.append(f"stated {row.value}, measured {measured['value']}")
    for what, stated in (("dataset", row.dataset), ("measure", row.measure)):
        if measured[what] != stated:
            found.append(f"stated for '{stated}', measured for '{measured[what]}'")
    stated, now = row.protocol, str(measured["protocol"])
    inputs = [float(match[1]) for text in (stated, now) if (match := DECIBELS.search(text))]
    if DECIBELS.sub("", stated) != DECIBELS.sub("", now) or (len(inputs) == 2 and abs(inputs[0] - inputs[1]) > MARGIN):
        found.append(f"stated for '{stated}', measured for '{now}'")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--only", default="", help="only commands that contain this text")
    parser.add_argument("--no-speed", action="store_true", help="quality alone")
    parser.add_argument("--threads", type=int, help="CPU threads; they change no number [default: all]")
    args = parser.parse_args(arguments)
    rows = [(entry.name, row) for entry in load_manifest().students for row in entry.quality]
    wrong = 0
    for model, row in rows:
        if args.only not in row.command:
            continue
        try:
            measured = measured_row(row.command, model, data_root=args.data_root, threads=args.threads)
            found = differences(row, measured)
        except RuntimeError as error:
            found = [f"cannot be measured ({error})"]
        wrong += bool(found)
        verdict = f"DIFFERS, {'; '.join(found)}" if found else f"same, {row.value}"
        print(f"{model}: {verdict}: {row.command}", flush=True)
    if not args.no_speed:
        threads = ["--threads", str(args.threads)] if args.threads else []
        subprocess.run([sys.executable, "-m", "restorect_cli", *SPEED, *threads], check=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
