"""Measures every number again that the manifest of students, and so each card, states; exit code 1 where one differs.

    python scripts/reproduce.py --data-root FOLDER [--only CBSD68-34] [--speed]

With --speed the README's lines about time and memory are printed too, for comparison by eye.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from restorect_cli.bench.datasets import find_dataset
from restorect_cli.models.specs import Quality
from restorect_cli.models.store import load_manifest

SCRIPTS = Path(__file__).resolve().parent
MARGIN = 0.02  # processors round differently


def measured(row: Quality, student: str, root: Path) -> float:
    """The number that the row's command gives now."""
    words = shlex.split(row.command)[2:]  # without "python scripts/measure_quality.py"
    at = words.index(row.dataset)
    words[at] = str(find_dataset(row.dataset, data_root=root).folder)
    command = [sys.executable, str(SCRIPTS / "measure_quality.py"), *words, "--json", "--model", student]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["value"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--only", default="", help="commands that hold this text")
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    differing = 0
    for entry in load_manifest().students:
        for row in entry.quality:
            if args.only in row.command:
                value = measured(row, entry.name, args.data_root)
                same = abs(value - row.value) <= MARGIN
                differing += not same
                print(
                    f"{'same' if same else 'DIFFERS'}: stated {row.value}, measured {value}: {row.command}", flush=True
                )
    if args.speed:
        subprocess.run([sys.executable, str(SCRIPTS / "measure_speed.py")], check=True)
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
