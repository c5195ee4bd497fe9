"""restorect repairs photographs: low light, noise, rain, raindrops, on a plain CPU.

    from restorect_cli import Repairer, RepairSettings, RestoreOptions, Restorer, WriteOptions
    from restorect_cli import encode, read, restore_bytes, restore_file, write

    restore_file("night.jpg", "day.png", task="low-light")                  one file
    restore_file("in.jpg", "out.jpg", steps=2, strength=0.6, quality=95)    with options
    restored = restore_bytes(data, task="derain", format="png")             bytes in, bytes out
    restored = Restorer("denoise", steps=2).restore(array)                  H×W×3 float32 RGB in [0, 1], the same out

    settings = RepairSettings("denoise", RestoreOptions(steps=2, threads=4), WriteOptions(strip="gps"))
    repairer = Repairer(settings)                                           many files with one loaded network
    for path in paths:
        repairer.restore_file(path, out / path.name)
    picture = repairer.restore_picture(read("in.tif"))                      pixels, profile and metadata in between
    write(picture, "out.tif", settings.write)                               or encode(picture, settings.write): bytes

Several threads may use one `Restorer` or `Repairer` at the same time. Every error is a `RestorectError`. The names in
`__all__` are the public API. They are loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .engine.options import RestoreOptions
    from .engine.restorer import Restorer
    from .errors import DeviceError, InputError, ModelError, OutputError, RestorectError, UsageError
    from .files import Outcome, Repairer, RepairSettings, restore_bytes, restore_file
    from .images import Picture, ReadOptions, WriteOptions, encode, read, write

__all__ = [
    "DeviceError",
    "InputError",
    "ModelError",
    "Outcome",
    "OutputError",
    "Picture",
    "ReadOptions",
    "RepairSettings",
    "Repairer",
    "RestoreOptions",
    "RestorectError",
    "Restorer",
    "UsageError",
    "WriteOptions",
    "__version__",
    "encode",
    "read",
    "restore_bytes",
    "restore_file",
    "write",
]

_HOMES = {
    "Restorer": "engine.restorer",
    "RestoreOptions": "engine.options",
    **dict.fromkeys(("Outcome", "RepairSettings", "Repairer", "restore_bytes", "restore_file"), "files"),
    **dict.fromkeys(("Picture", "ReadOptions", "WriteOptions", "encode", "read", "write"), "images"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
