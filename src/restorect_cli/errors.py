"""The errors a user can meet.

    RestorectError
    ├── InputError      exit 1   a file could not be read
    │   └── UnavailableError     temporary (permission, connection, memory): the file itself is fine
    ├── OutputError     exit 1   a file could not be written
    │   └── DiskFullError        the disk is full, so no other file can be written
    ├── UsageError      exit 2   an unknown name or a value out of range
    ├── ModelError      exit 3   a model is missing, damaged or of another version
    ├── DeviceError     exit 3   the requested device does not work
    └── StoppedError    exit 130 stopped by the user after the work was saved

Every error says what happened, to which file, and what to do next. The command line prints `str(error)` on one line,
with line breaks in names escaped, and exits with `error.exit_code`. It shows a traceback only with --debug.
"""

from __future__ import annotations

from .one_line import printable


class RestorectError(Exception):
    """Base of all errors; `problem` says what happened and to which file, `fix` what to do next."""

    exit_code = 1

    def __init__(self, problem: str, fix: str = "") -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem, fix)

    def __str__(self) -> str:
        return printable(f"{self.problem}: {self.fix}" if self.fix else self.problem)


class InputError(RestorectError):
    """A file could not be read."""


class UnavailableError(InputError):
    """A file could not be opened or held now; the same file may work later."""


class OutputError(RestorectError):
    """A file could not be written; nothing half-written is left behind."""


class DiskFullError(OutputError):
    """The disk is full; files written before are whole."""


class UsageError(RestorectError):
    """An unknown name or a value out of range."""

    exit_code = 2


class ModelError(RestorectError):
    """A model is missing, damaged or of another version."""

    exit_code = 3


class DeviceError(RestorectError):
    """The requested device does not work."""

    exit_code = 3


class StoppedError(RestorectError):
    """Stopped by the user (Ctrl-C) after the work was saved; `fix` says how to continue."""

    exit_code = 130
