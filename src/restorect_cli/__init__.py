"""restorect repairs photographs: low light, noise, rain, raindrops, on a plain CPU.

    from restorect_cli import Restorer, restore_file

    Restorer("denoise", steps=1, device="cpu", threads=2, precision="fp32").restore(image)   # H×W×3 float32 RGB
    restore_file("night.jpg", "day.png", task="low-light")

The names in `__all__` are the public API. They are loaded on first use, so that importing the package
costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .engine.restorer import Restorer
    from .errors import DeviceError, InputError, ModelError, OutputError, RestorectError, UsageError
    from .files import Outcome, restore_file

__all__ = [
    "DeviceError",
    "InputError",
    "ModelError",
    "Outcome",
    "OutputError",
    "RestorectError",
    "Restorer",
    "UsageError",
    "__version__",
    "restore_file",
]

_HOMES = {"Restorer": "engine.restorer", "restore_file": "files", "Outcome": "files"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
