"""Writes the tables of docs/files.md: what survives from each format to each. The files are made, read and written.

    python scripts/generate_file_table.py            prints the page
    python scripts/generate_file_table.py --write    writes docs/files.md

The page is a template, docs/files.md itself: what lies between its markers is replaced.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from restorect_cli.images.cicp import made_profile, told_by_cicp
from restorect_cli.images.picture import Meta, Picture, WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode, write_notes
from restorect_cli.names import WRITABLE

PAGE = Path(__file__).parent.parent / "docs" / "files.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"

PROFILE = made_profile("wide", (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), (2.2,), 3)
EXIF = (  # one directory with a maker's name, little-endian
    b"II*\0\x08\0\0\0" + b"\1\0" + b"\x0f\1\2\0\x08\0\0\0\x1a\0\0\0" + b"\0\0\0\0" + b"A maker\0"
)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Label="%s"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x78\x00\x09A caption"
PATH = b"8BIM\x07\xd0\0\0\0\0\0\x1a" + bytes(26)


def picture(bits: int = 8, bands: int = 3, alpha: bool = False, **facts: Any) -> Picture:
    dtype = {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    rng = np.random.default_rng(0)
    pixels = rng.random((16, 16, bands)) if bits == 32 else rng.integers(0, 1 << bits, (16, 16, bands))
    meta = Meta("png", 16, 16, bits, is_grey=bands == 1, has_alpha=alpha, sample_bits=bits)
    samples = pixels.astype(dtype)
    return Picture(samples, samples[..., 0].copy() if alpha else None, replace(meta, **facts))


ROWS: dict[str, Picture] = {
    "8 bits a channel": picture(8),
    "16 bits a channel": picture(16),
    "32 bits, float": picture(32),
    "grey": picture(bands=1),
    "transparency": picture(alpha=True),
    "ICC profile": picture(icc=PROFILE, has_own_icc=True),
    "CICP (cICP, nclx)": picture(icc=told_by_cicp(12, 13, 3).icc, cicp=(12, 13)),
    "EXIF": picture(exif=EXIF),
    "EXIF over 64 KB": picture(exif=EXIF + bytes(70000)),
    "XMP": picture(xmp=XMP % b"red"),
    "XMP over 64 KB": picture(xmp=XMP % (b"r" * 70000)),
    "IPTC captions": picture(iptc=IPTC),
    "Photoshop's resources": picture(photoshop=PATH),
    "resolution": picture(dpi=(300.0, 200.0)),
}


def survives(row: str, source: Picture, target: str) -> str:
    """One cell: what a file of this format says after it was written and read again."""
    options = WriteOptions(format=target)
    notes = write_notes(source.meta, options)
    again = read(encode(source, options))
    was, now = source.meta, again.meta
    if row.endswith(("channel", "float")):
        held = 12 if target == "avif" and now.bits == 16 else now.bits
        return "kept" if held == was.bits else f"{held} bits, {'said' if notes else 'not said'}"
    if row == "CICP (cICP, nclx)" and now.cicp is None and now.icc == was.icc:
        return "as ICC profile, said" if notes else "as ICC profile, not said"
    kept = {
        "grey": now.is_grey,
        "transparency": now.has_alpha,
        "ICC profile": now.icc == was.icc,
        "CICP (cICP, nclx)": now.cicp == was.cicp,
        "IPTC captions": now.iptc == was.iptc,
        "Photoshop's resources": now.photoshop == was.photoshop,
        "resolution": now.dpi is not None and was.dpi is not None and np.allclose(now.dpi, was.dpi, atol=0.05),
    }
    if row.startswith("EXIF"):
        is_kept = now.exif is not None and b"A maker" in now.exif
    elif row.startswith("XMP"):
        is_kept = now.xmp is not None and (b'"red"' in now.xmp or b"r" * 70000 in now.xmp)
    else:
        is_kept = bool(kept[row])
    if is_kept:
        return "kept"
    if row == "grey":
        return "as RGB"
    return "left out, said" if notes else "left out, not said"


def table() -> str:
    lines = ["| in the source | " + " | ".join(name.upper() for name in WRITABLE) + " |", "|---" * 6 + "|"]
    for row, source in ROWS.items():
        cells = [survives(row, source, target) for target in WRITABLE]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with its table made again."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/files.md")
    text = page(PAGE.read_text(encoding="utf-8"))
    if parser.parse_args(arguments).write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
