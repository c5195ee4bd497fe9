"""The options of `enhance` and `batch` that say how to repair, checked and put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from ..errors import UsageError
from .options import DEPTH_CHOICES, DEVICE_CHOICES, FORMAT_CHOICES, STRIP_CHOICES, TASK_CHOICES, choose

if TYPE_CHECKING:
    from ..files import Settings


def read_settings(
    *,
    task: str,
    model: str,
    steps: int | None,
    ensemble: int,
    strength: float,
    device: str,
    threads: int | None,
    tile: int | None,
    format: str | None,
    quality: int | None,
    depth: str | None,
    strip: str,
    accept_truncated: bool = False,
    half_size: bool = False,
    keep_times: bool = False,
    overwrite: bool = False,
) -> Settings:
    """Raises UsageError for a word that is no choice, and for what does not go together."""
    choose("--task", task, TASK_CHOICES)
    choose("--device", device, DEVICE_CHOICES)
    choose("--strip", strip, STRIP_CHOICES)
    if format is not None:
        format = choose("--format", {"jpg": "jpeg", "tif": "tiff"}.get(format.lower(), format), FORMAT_CHOICES)
    if depth is not None:
        choose("--depth", depth, DEPTH_CHOICES)
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"strength {strength} is out of range", "give a number from 0 to 1")  # NaN passes Typer's own

    from ..files import Settings
    from ..images.picture import ReadOptions, WriteOptions

    return Settings(
        task=task,
        model=model,
        steps=steps,
        ensemble=ensemble,
        strength=strength,
        device=device,
        threads=threads,
        tile=tile,
        write=WriteOptions(
            format=format,
            quality=quality,
            depth=cast(Literal[8, 16] | None, int(depth) if depth else None),
            strip=cast(Literal["none", "gps", "all"], strip),
            overwrite=overwrite,
            keep_times=keep_times,
        ),
        read=ReadOptions(accept_truncated=accept_truncated, half_size=half_size),
    )
