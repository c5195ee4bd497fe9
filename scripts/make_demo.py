"""Cuts the pairs of `restorect bench --dataset demo` out of examples/: two of 240×240 pixels for each task.

python scripts/make_demo.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "src" / "restorect_cli" / "bench" / "demo"
SIDE = 240

# task: left and top of each cut
CUTS = {
    "denoise": ((60, 20), (200, 60)),
    "low-light": ((40, 100), (300, 120)),
    "derain": ((40, 100), (330, 180)),
    "raindrop": ((120, 20), (230, 250)),
}


def main() -> None:
    for task, corners in CUTS.items():
        for side, source in (("input", f"{task}.jpg"), ("target", f"clean/{task}.jpg")):
            folder = DEMO / task / side
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.open(ROOT / "examples" / source)
            for number, (left, top) in enumerate(corners, 1):
                cut = picture.crop((left, top, left + SIDE, top + SIDE))
                cut.save(folder / f"{task}-{number}.webp", quality=94, method=6)


if __name__ == "__main__":
    main()
