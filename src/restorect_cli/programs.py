"""A program of someone else's as a function on pictures: it reads one file and writes another of the same size."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import images
from .engine.source import Image
from .errors import InputError, UsageError
from .images.picture import Meta, Picture, to_depth
from .images.view import WorkingView

COMMAND_SECONDS = 600


class Program:
    """`'prog {in} {out}'`: reads one 8-bit PNG and writes another; OMP_NUM_THREADS sets its threads.

    who: how errors call it ("peer brn", "the teacher"). Raises UsageError where there is no such program.
    """

    def __init__(self, who: str, template: str, threads: int) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise UsageError(f"command '{template}' cannot be parsed ({error})", "check its quotes") from None
        if not self._words or shutil.which(self._words[0]) is None:
            named = self._words[0] if self._words else "''"
            raise UsageError(f"{who}: there is no program {named}", "check the command")
        self._who, self._threads = who, threads

    def __call__(self, image: Image) -> Image:
        """The picture that the program makes of `image` (H,W,3) in [0, 1]; InputError where it makes none."""
        with tempfile.TemporaryDirectory(prefix="restorect-") as folder:
            source, target = Path(folder) / "in.png", Path(folder) / "out.png"
            pixels = to_depth(image, 8)
            images.write(Picture(pixels, None, Meta("png", pixels.shape[1], pixels.shape[0], 8)), source)
            words = [word.replace("{in}", str(source)).replace("{out}", str(target)) for word in self._words]
            self._call(words)
            if not target.is_file():
                raise InputError(f"{self._who} wrote no {target.name}", "it must write a PNG to {out}")
            try:
                view = WorkingView(images.read(target))
                restored = view.window(0, view.height, 0, view.width)
            except InputError:
                raise InputError(f"{self._who} wrote a file that is not a picture", "it must write a PNG") from None
        if restored.shape != image.shape:
            found = f"{restored.shape[1]}×{restored.shape[0]} pixels"
            raise InputError(f"{self._who} gave {found}, not the input's size, {image.shape[1]}×{image.shape[0]}")
        return restored

    def _call(self, words: list[str]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads)}
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=COMMAND_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{self._who} cannot be run ({error})", "check the command") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise InputError(f"{self._who} ended with exit code {done.returncode}", said[-1] if said else "")
