"""Checks everything a restoration needs, and reports what is wrong and how to fix it.

Each check returns findings: a fact and, if there is a problem, its fix. Nothing is changed, and a
broken library is a finding, not a crash.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

from ._version import __version__
from .errors import ModelError
from .one_line import folded

# Packages that install the same `onnxruntime` module: the one installed last overwrites the others.
RUNTIME_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
)
# package -> module; for onnxruntime, the module that imports it without its telemetry
LIBRARIES = {"numpy": "numpy", "pillow": "PIL", "pyvips": "pyvips", "onnxruntime": "restorect_cli.engine.runtime"}
LOW_MEMORY_BYTES = 1_500_000_000  # what a 48-megapixel photograph may need


@dataclass(frozen=True)
class Finding:
    """One fact; `problem` and `fix` are empty if all is well."""

    section: str  # "versions", "devices", "machine" or "weights"
    name: str
    value: str
    problem: str = ""
    fix: str = ""


def examine() -> list[Finding]:
    """Every finding, the most basic first."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (versions, devices, machine, weights)
    return [finding for check in checks for finding in check()]


def versions() -> Iterator[Finding]:
    """Python, restorect and the libraries it runs on; each library is imported."""
    yield Finding("versions", "restorect", __version__)
    yield Finding("versions", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package, module in LIBRARIES.items():
        yield _library(package, module)
    yield from _runtime_conflict()


def _library(package: str, module: str) -> Finding:
    try:
        imported = importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a shared library does not load
        problem = f"{package} does not load ({folded(error)})"
        return Finding("versions", package, "broken", problem, f"python -m pip install --force-reinstall {package}")
    imported = getattr(imported, "ort", imported)
    version = str(getattr(imported, "__version__", None) or _installed_version(package) or "unknown")
    if module == "pyvips":
        version += f" with libvips {'.'.join(str(imported.version(part)) for part in range(3))}"
    return Finding("versions", package, version)


def _installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _runtime_conflict() -> Iterator[Finding]:
    present = [package for package in RUNTIME_PACKAGES if _installed_version(package) is not None]
    if len(present) < 2:
        return
    keep = next(package for package in present if package != "onnxruntime")
    fix = f"python -m pip uninstall -y {' '.join(present)} && python -m pip install {keep}"
    yield Finding("versions", "onnxruntime packages", ", ".join(present), "they overwrite each other's files", fix)


def _runtime() -> ModuleType | None:
    """The one module that uses onnxruntime, or None if that does not load."""
    try:
        return importlib.import_module(".engine.runtime", __package__)
    except (ImportError, OSError):
        return None


def devices() -> Iterator[Finding]:
    """Which devices ran a small network; only an unusable CPU is a problem."""
    runtime = _runtime()
    if runtime is None:
        yield Finding("devices", "all", "not tried", "onnxruntime does not load", "see onnxruntime above")
        return
    for name, reason in runtime.usable_devices().items():
        if reason is None:
            yield Finding("devices", name, "usable")
        elif name == "cpu":
            fix = "python -m pip install --force-reinstall onnxruntime"
            yield Finding("devices", name, "not usable", f"the CPU cannot run a network ({reason})", fix)
        else:
            yield Finding("devices", name, f"not usable: {reason}")


def machine() -> Iterator[Finding]:
    """Threads and memory this process may use."""
    runtime = _runtime()
    threads = "unknown" if runtime is None else f"{runtime.default_threads()} usable of {os.cpu_count() or 1}"
    yield Finding("machine", "threads", threads)
    limit = os.environ.get("OMP_NUM_THREADS")
    if limit is not None:
        yield Finding("machine", "OMP_NUM_THREADS", f"{limit} (restorect does not use it; --threads decides)")
    free_bytes = available_memory_bytes()
    if free_bytes is None:
        yield Finding("machine", "memory", "unknown")
    elif free_bytes < LOW_MEMORY_BYTES:
        problem = "a large photograph may need 1.5 GB"
        yield Finding("machine", "memory", _gigabytes(free_bytes), problem, "close other programs, or use --tile 256")
    else:
        yield Finding("machine", "memory", _gigabytes(free_bytes))


def _gigabytes(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB free"


def available_memory_bytes() -> int | None:
    """Memory still available, within a container's limit; None if the system does not report it."""
    found = [amount for amount in (_free_linux(), _free_in_container(), _free_windows(), _installed_posix()) if amount]
    return min(found) if found else None


def _free_linux() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        return None


def _free_in_container() -> int | None:
    try:
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text(encoding="ascii"))  # ValueError: "max"
        return max(limit - int((folder / "memory.current").read_text(encoding="ascii")), 1)
    except (OSError, ValueError):
        return None


def _installed_posix() -> int | None:
    """All installed memory: an upper bound, and on macOS the only number that Python has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _free_windows() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    return status.free if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def weights() -> Iterator[Finding]:
    """Every installed model, verified; none installed is a problem."""
    from .models import store

    try:
        students = store.installed()
    except ModelError as error:
        yield Finding("weights", "manifest", "unreadable", error.problem, error.fix or "reinstall restorect")
        return
    cache_problem = store.cache_problem()
    if cache_problem is not None:
        yield Finding("weights", "fetched models", "unreadable", cache_problem.problem, cache_problem.fix)
    if not students:
        fix = f"python -m pip install --force-reinstall restorect, or {store.fetch_command('NAME')}"
        yield Finding("weights", "models", "none", f"no models in {store.weights_dir()}", fix)
    for student in students:
        name = student.spec.name
        try:
            store.verify_student(student)
            yield Finding("weights", name, f"verified, {student.origin}")
        except ModelError as error:
            yield Finding("weights", name, f"damaged, {student.origin}", error.problem, error.fix)
