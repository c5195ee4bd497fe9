"""Hashes everything that decides the pixels and the file, to know whether a result would be the same today."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import AUTO, AUTO_TASKS, RepairSettings
from ..images.picture import ReadOptions
from ..models import store
from ..names import SIZES

_SAME_PICTURE = {"model", "device", "threads", "tile"}  # the hashes of the weights identify the model
_SAME_CONTENT = {"overwrite", "keep_times"}


def model_hash(student: store.InstalledModel) -> str:
    """SHA-256 over the graphs of a model: other weights, another hash."""
    graphs = [path for path in (student.prior, student.velocity, student.velocity_int8) if path is not None]
    if student.entry is not None:  # the store has compared the files with these
        records = student.entry.files
        digests = [records[role].sha256 for role in ("prior", "velocity", "velocity-int8") if role in records]
    else:
        digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in graphs]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def models(settings: RepairSettings) -> dict[str, str]:
    """Name and hash of every model that these settings may use. Raises ModelError, UsageError."""
    model = settings.restore.model
    if settings.task == AUTO and model in SIZES:
        wanted = {f"{task}-{model}" for task in AUTO_TASKS}
        found = [student for student in store.installed() if student.spec.name in wanted]
    else:
        found = [store.find(None if settings.task == AUTO else settings.task, model, check=False)]
    return {student.spec.name: model_hash(student) for student in found}


def settings_hash(settings: RepairSettings, hashes: dict[str, str]) -> str:
    """SHA-256 of the models' weights and of the settings that can change the picture."""
    decides = {
        "task": settings.task,
        **_but_for(_SAME_PICTURE, asdict(settings.restore)),
        "write": _but_for(_SAME_CONTENT, asdict(settings.write)),
        "students": hashes,
        **({"read": asdict(settings.read)} if settings.read != ReadOptions() else {}),  # so that older records hold
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _but_for(names: set[str], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
