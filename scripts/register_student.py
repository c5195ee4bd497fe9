"""Measures an exported model by the commands of its card, and writes its row of the manifest.

    python scripts/register_student.py weights/denoise-s commands.txt      one `restorect bench` command a line

RESTORECT_DATA names the folder below which the test sets lie. A command names one test set, one metric (psnr or psnr-y)
and, where noise is added, one sigma:

    restorect bench --dataset CBSD68 --sigma 25 --metrics psnr
    restorect bench --dataset Rain100L --metrics psnr-y --ensemble 4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from card_rows import measured_row

from restorect_cli.models.store import register


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the exported model, as in weights/denoise-s")
    parser.add_argument("commands", type=Path, help="a text file")
    args = parser.parse_args(arguments)
    commands = [line.strip() for line in args.commands.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        rows = [measured_row(command, str(args.folder)) for command in commands]
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    entry = register(args.folder, rows)
    print(f"{entry.name}: {len(entry.files)} files, {entry.total_bytes} bytes, {len(entry.quality)} measured numbers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
