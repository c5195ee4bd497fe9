"""The metrics by name, each with its convention in words, and the metrics of each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..engine.source import Image
from ..errors import UsageError
from ..extras import how_to_install
from ..one_line import folded
from .metrics import match_mean, psnr, ssim, to_levels
from .niqe import niqe

Score = Callable[[Image, Image | None], float]


@dataclass(frozen=True)
class Measure:
    """A metric: one number per picture."""

    name: str
    label: str  # heading of the column
    convention: str  # what exactly is measured, repeated in every output
    higher_is_better: bool
    needs_target: bool
    score: Score
    digits: int = 2
    library: str | None = None  # that must be importable
    extra: str = "bench"  # of this package, that installs the library


def _paired(function: Callable[[Image, Image], float]) -> Score:
    def score(restored: Image, target: Image | None) -> float:
        assert target is not None  # `needs_target` was checked
        return function(restored, target)

    return score


def _mean_matched_psnr(restored: Image, target: Image) -> float:
    return psnr(match_mean(restored, target), target)


def _colour_difference(restored: Image, target: Image) -> float:
    from skimage.color import deltaE_ciede2000, rgb2lab

    a, b = (rgb2lab(to_levels(image) / 255) for image in (restored, target))
    return float(np.mean(deltaE_ciede2000(a, b)))


def _blur(restored: Image, _: Image | None) -> float:
    from skimage.measure import blur_effect

    return float(blur_effect(to_levels(restored) / 255, channel_axis=2))


@cache
def _lpips_net() -> Any:
    """LPIPS with AlexNet. Raises UsageError if its weights are missing and cannot be fetched."""
    import lpips

    try:
        return lpips.LPIPS(net="alex", verbose=False)
    except OSError as error:  # torchvision fetches AlexNet's weights on first use
        raise UsageError(
            f"cannot fetch the weights of LPIPS ({folded(error)})", "connect to the internet once, or leave lpips out"
        ) from None


def _lpips(restored: Image, target: Image) -> float:
    import torch

    net = _lpips_net()
    levels = (to_levels(image).astype(np.float32) / 127.5 - 1 for image in (restored, target))
    tensors = [torch.from_numpy(plane.transpose(2, 0, 1)[None].copy()) for plane in levels]
    with torch.no_grad():
        return float(net(*tensors))


_EIGHT_BIT = "8-bit rounding, whole picture, nothing fitted to the truth"
_LUMA = f"Y of BT.601 as MATLAB's rgb2ycbcr (16-235, not rounded), range 255; {_EIGHT_BIT}"
_WINDOWS = "Gaussian window 11x11, sigma 1.5, windows inside the picture"

MEASURES: tuple[Measure, ...] = (
    Measure("psnr", "PSNR RGB [dB]", f"RGB, mean error of all samples; {_EIGHT_BIT}", True, True, _paired(psnr)),
    Measure("ssim", "SSIM RGB", f"mean of R, G, B; {_WINDOWS}; {_EIGHT_BIT}", True, True, _paired(ssim), 4),
    Measure("psnr-y", "PSNR Y [dB]", _LUMA, True, True, _paired(partial(psnr, luma=True))),
    Measure("ssim-y", "SSIM Y", f"{_LUMA}; {_WINDOWS}", True, True, _paired(partial(ssim, luma=True)), 4),
    Measure(
        "psnr-gtmean",
        "PSNR RGB, GT mean* [dB]",
        "* brightness FITTED TO THE TRUTH: output scaled to the target's mean grey first; not comparable with PSNR",
        True,
        True,
        _paired(_mean_matched_psnr),
    ),
    Measure(
        "deltae",
        "ΔE00",
        "CIEDE2000 colour difference, mean of all pixels, sRGB to Lab D65 by scikit-image; 1 is just noticeable",
        False,
        True,
        _paired(_colour_difference),
        library="skimage",
    ),
    Measure(
        "niqe",
        "NIQE",
        "own implementation and own pristine model; grey, 96-pixel patches, no crop; compare within this tool only",
        False,
        False,
        lambda restored, _: niqe(restored),
    ),
    Measure(
        "blur",
        "Blur effect",
        "perceptual blur, 0 sharp to 1 blurred (Crete et al. 2007, scikit-image); noise counts as sharpness",
        False,
        False,
        _blur,
        3,
        library="skimage",
    ),
    Measure(
        "lpips",
        "LPIPS (AlexNet)",
        "learned perceptual distance, lpips package, AlexNet, v0.1",
        False,
        True,
        _paired(_lpips),
        4,
        library="lpips",
        extra="lpips",
    ),
)
_BY_NAME = {measure.name: measure for measure in MEASURES}

_FOR_TASK = {
    "derain": ("psnr-y", "ssim-y", "psnr", "ssim"),
    "raindrop": ("psnr-y", "ssim-y", "psnr", "ssim"),
    "denoise": ("psnr", "ssim"),
    "low-light": ("psnr", "ssim", "psnr-gtmean", "deltae"),
}
_WITHOUT_TARGET = ("niqe", "blur")


def measures_for(task: str, *, has_targets: bool) -> list[Measure]:
    """The available measures of a task; the first one ranks pictures."""
    names = _FOR_TASK.get(task, ("psnr", "ssim")) if has_targets else _WITHOUT_TARGET
    return [_BY_NAME[name] for name in names if is_available(_BY_NAME[name])]


def choose_measures(wanted: Sequence[str], *, has_targets: bool) -> tuple[list[Measure], list[str]]:
    """The requested measures, and one line for each that is not available. Raises UsageError if none is."""
    chosen, problems = [], []
    for name in dict.fromkeys(name.strip().lower() for name in wanted if name.strip()):
        measure = _BY_NAME.get(name)
        if measure is None:
            problems.append(f"unknown metric '{name}': known are {', '.join(_BY_NAME)}")
        elif measure.needs_target and not has_targets:
            problems.append(f"metric {name} needs clean pictures to compare with, and this set has none")
        elif not is_available(measure):
            problems.append(f"metric {name} needs {measure.library}: {how_to_install(measure.extra)}")
        else:
            chosen.append(measure)
    if not chosen:
        raise UsageError("no metric is left to measure", "; ".join(problems))
    return chosen, problems


def is_available(measure: Measure) -> bool:
    return measure.library is None or find_spec(measure.library) is not None
