"""The scores of a run, written to disk after every picture so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..models.store import cache_dir


@dataclass(frozen=True)
class Row:
    """One method on one picture."""

    dataset: str
    setting: str  # "sigma 25", or "" if there is only one
    picture: str
    method: str
    width: int
    height: int
    seconds: float  # the method alone, without reading and scoring
    scores: dict[str, float | None]  # by the measure's name; None if it cannot be computed

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.dataset, self.setting, self.picture, self.method)


class Journal:
    """Rows of one run, appended line by line; reading skips a last line that a crash cut short."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.rows: dict[tuple[str, str, str, str], Row] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resume and path.is_file():
                self._read()
            path.write_text("".join(_line(row) for row in self.rows.values()), encoding="utf-8")
        except OSError as error:
            raise _problem(path, error) from error

    def add(self, row: Row) -> None:
        self.rows[row.key] = row
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(row))
        except OSError as error:
            raise _problem(self.path, error) from error

    def close(self) -> None:
        """Delete the file, because a finished run need not resume."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                row = Row(**json.loads(line))
            except (ValueError, TypeError):
                continue
            self.rows[row.key] = row


def journal_path(facts: Mapping[str, Any]) -> Path:
    """The journal of a run with these settings and files; any change of them gives another path."""
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return cache_dir() / "bench" / f"{key}.jsonl"


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"


def _problem(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot keep the scores in {path} ({error.strerror or error})", "check the disk, or set RESTORECT_HOME"
    )
