"""Collects the options of a command into dataclasses, by the names of their fields.

Typer stores the options of a command in its context under the names of its signature. A dataclass takes those that it
has fields for, so no option can be forgotten on the way.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from ..engine.options import RestoreOptions
    from ..files import RepairSettings

_T = TypeVar("_T")


def collected(kind: type[_T], context: typer.Context, **others: Any) -> _T:
    """A value of this dataclass, from the command's options that it has fields for and from `others`."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # of any dataclass
    given: dict[str, Any] = {name: value for name, value in context.params.items() if name in names}
    return kind(**{**given, **others})


def restore_options(context: typer.Context) -> RestoreOptions:
    """How to repair. Raises UsageError for a value out of range, without heavy imports."""
    from ..engine.options import RestoreOptions

    return collected(RestoreOptions, context)


def repair_settings(context: typer.Context) -> RepairSettings:
    """How to read, to repair and to write. Raises UsageError for values out of range or in conflict."""
    restore = restore_options(context)

    from ..files import RepairSettings
    from ..images.picture import ReadOptions, WriteOptions

    write, read = collected(WriteOptions, context), collected(ReadOptions, context)
    return RepairSettings(context.params["task"], restore, write, read)
