"""The options of a command, collected: each value is made once, from all the options that it has a field for.

Typer reads a command's options from its signature, and their values stand in its context by the same names. They are
taken from there by the names of the fields, so that no option can be forgotten on the way.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from ..engine.options import RestoreOptions
    from ..files import RepairSettings

_T = TypeVar("_T")


def collected(kind: type[_T], context: typer.Context) -> _T:
    """A value of this dataclass, from those of the command's options that it has fields for."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # of any dataclass
    given: dict[str, Any] = {name: value for name, value in context.params.items() if name in names}
    return kind(**given)


def restore_options(context: typer.Context) -> RestoreOptions:
    """How to repair. Raises UsageError for a value out of range; nothing heavy is imported for that."""
    from ..engine.options import RestoreOptions

    return collected(RestoreOptions, context)


def repair_settings(context: typer.Context) -> RepairSettings:
    """How to read, to repair and to write. Raises UsageError, also for what does not go together."""
    restore = restore_options(context)

    from ..files import RepairSettings
    from ..images.picture import ReadOptions, WriteOptions

    write, read = collected(WriteOptions, context), collected(ReadOptions, context)
    return RepairSettings(context.params["task"], restore, write, read)
