"""Makes the before/after pictures of the README from the examples, with the shipped students.

python scripts/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from restorect_cli import Restorer
from restorect_cli.models import store

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    (ROOT / "docs" / "images").mkdir(parents=True, exist_ok=True)
    for student in store.installed():
        task = student.spec.task
        before = np.asarray(Image.open(ROOT / "examples" / f"{task}.jpg").convert("RGB"), np.float32) / 255
        after = Restorer(task, model=student.spec.name, device="cpu").restore(before)
        both = np.concatenate([before, np.ones_like(before[:, :6]), after], axis=1)
        pixels = np.round(np.clip(both, 0, 1) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(ROOT / "docs" / "images" / f"{task}.jpg", quality=90)


if __name__ == "__main__":
    main()
