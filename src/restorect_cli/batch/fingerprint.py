"""Would an image come out the same today? A hash of all that decides about the pixels and the file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from ..files import AUTO, AUTO_TASKS, Settings
from ..images.picture import ReadOptions
from ..models import store
from ..names import SIZES

NO_PIXELS = ("overwrite", "keep_times")  # options that leave what is in the file the same


def student_hash(student: store.Student) -> str:
    """SHA-256 over the graphs of a student: another hash, other weights."""
    graphs = [path for path in (student.prior, student.velocity, student.velocity_int8) if path is not None]
    if student.entry is not None:  # the store has compared the files with these
        records = student.entry.files
        digests = [records[role].sha256 for role in ("prior", "velocity", "velocity-int8") if role in records]
    else:
        digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in graphs]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def students(settings: Settings) -> dict[str, str]:
    """Name and hash of every student that these settings may use. Raises ModelError, UsageError."""
    if settings.task == AUTO and settings.model in SIZES:
        wanted = {f"{task}-{settings.model}" for task in AUTO_TASKS}
        found = [student for student in store.installed() if student.spec.name in wanted]
    else:
        found = [store.find(None if settings.task == AUTO else settings.task, settings.model, check=False)]
    return {student.spec.name: student_hash(student) for student in found}


def settings_hash(settings: Settings, hashes: dict[str, str]) -> str:
    """SHA-256 of the settings and students. Threads, tiles and the device are left out: the picture stays the same."""
    decides = {
        "task": settings.task,
        "steps": settings.steps,
        "ensemble": settings.ensemble,
        "strength": settings.strength,
        "precision": settings.precision,
        "write": {name: value for name, value in asdict(settings.write).items() if name not in NO_PIXELS},
        "students": hashes,
        **({"read": asdict(settings.read)} if settings.read != ReadOptions() else {}),  # so that older records hold
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
