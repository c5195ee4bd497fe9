"""Writes the manifest row of an exported student with its measured numbers.

    python scripts/register_student.py weights/denoise-s quality.jsonl [...]

The quality files hold the lines that `measure_quality.py --json` printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from restorect_cli.models.store import register


def main() -> None:
    folder, *files = map(Path, sys.argv[1:])
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines() if line]
    entry = register(folder, rows)
    print(f"{entry.name}: {len(entry.files)} files, {entry.total_bytes} bytes, {len(entry.quality)} measured numbers")


if __name__ == "__main__":
    main()
