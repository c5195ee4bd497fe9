"""Peak memory of a method, measured in its own process, libraries included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..engine.options import RestoreOptions
from ..engine.source import Image
from .method import MethodSpec
from .methods import build

SECONDS = 900


def peak_bytes(spec: MethodSpec, task: str, options: RestoreOptions, image: Image, sigma: float | None) -> int | None:
    """The peak of a process that runs the method once on this picture; None if it fails."""
    with tempfile.TemporaryDirectory(prefix="restorect-") as folder:
        pixels = Path(folder) / "image.npy"
        np.save(pixels, image)
        facts = {"spec": asdict(spec), "task": task, "options": asdict(options), "image": str(pixels), "sigma": sigma}
        order = json.dumps(facts, default=os.fspath)  # a model's folder may be a Path
        words = [sys.executable, "-m", "restorect_cli.bench.memory"]
        try:
            done = subprocess.run(words, input=order, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None
    return int(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout.strip() else None


def own_peak_bytes(*, children: bool = False) -> int:
    """The peak of this process, or with `children` of the largest child that has ended, if that is more."""
    try:
        # not ru_maxrss, which starts with the size of the calling process
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        own = _usage(children=False)
    return max(own, _usage(children=True)) if children else own


def _usage(*, children: bool) -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    order = json.load(sys.stdin)
    spec = MethodSpec(**order["spec"])
    method = build(spec, order["task"], RestoreOptions(**order["options"]))
    method(np.load(order["image"]), sigma=order["sigma"])
    sys.stdout.write(f"{own_peak_bytes(children=spec.kind == 'peer-command')}\n")


if __name__ == "__main__":
    main()
