"""Plans which file becomes which, before any file is opened.

Planning is pure: names in, pairs out. The file system is asked only which names are folders and which name the same
file; nothing is read, created or written.

    enhance a.jpg                     a.jpg  ->  a.restored.jpg    beside it
    enhance a.jpg -o b.png            a.jpg  ->  b.png
    enhance a.jpg b.jpg -o out/       a.jpg  ->  out/a.jpg,  b.jpg -> out/b.jpg    (the folder is made)
    enhance - -o -                    standard input -> standard output
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, UsageError
from .names import FORMATS

STREAM = "-"  # a file named "-" is written "./-"


@dataclass(frozen=True)
class Job:
    """One image to restore; None stands for standard input or standard output."""

    source: Path | None
    target: Path | None
    folder_to_make: Path | None = None  # named with a slash at its end, so it may be created

    @property
    def input_name(self) -> str:
        return STREAM if self.source is None else str(self.source)

    @property
    def output_name(self) -> str:
        return STREAM if self.target is None else str(self.target)


def plan_jobs(
    inputs: Sequence[str],
    output: str | None,
    *,
    format: str | None = None,
    overwrite: bool = False,
) -> list[Job]:
    """One job per input, in order. Raises UsageError for names that make no sense together, InputError for a folder.

    output: a file for one input, a folder (existing, or ending in a slash) for any number, "-", or None
    for `<stem>.restored.<ext>` beside each input. format: to write, whatever the
    names say. overwrite: an input may be its own output.
    """
    if inputs.count(STREAM) > 1:
        raise UsageError("standard input can be read only once", "give '-' once")
    if output == "":
        raise UsageError("the name of the output is empty", "check the quotes and variables on the command line")
    into_folder = output is not None and output != STREAM and _names_folder(output)
    if len(inputs) > 1 and output is not None and not into_folder:
        fix = (
            "end the name in a slash if it is a folder to be made"
            if output != STREAM
            else "give one input, or a folder"
        )
        raise UsageError(f"{len(inputs)} inputs cannot go to the one output '{output}'", fix)
    folder = Path(output) if output is not None and into_folder else None
    jobs = [Job(_path(name), _target(name, output, into_folder, format), folder) for name in inputs]
    _refuse_collisions(jobs, overwrite)
    return jobs


def _path(name: str) -> Path | None:
    if not name:
        raise UsageError("a file name is empty", "check the quotes and variables on the command line")
    return None if name == STREAM else Path(name)


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _target(name: str, output: str | None, into_folder: bool, format: str | None) -> Path | None:
    source = _path(name)
    if output == STREAM or (output is None and source is None):
        return None
    if output is not None and not into_folder:
        return _checked_target(Path(output), format)
    if source is None:
        raise UsageError("standard input has no name to use in a folder", "give -o a file name, or '-'")
    if source.name in ("", ".."):  # ".", "/", "a/.."
        raise InputError(f"cannot read '{name}', it is a folder", "name the image files in it")
    suffix = target_suffix(source.suffix, format)
    if into_folder:
        return Path(str(output)) / f"{source.stem}{suffix}"
    return source.with_name(f"{source.stem}.restored{suffix}")


def target_suffix(suffix: str, format: str | None) -> str:
    """The input's extension if it matches the format to be written; PNG for formats that can only be read."""
    if format is None:
        return suffix if suffix.lower() in FORMATS else ".png"
    return suffix if FORMATS.get(suffix.lower()) == format else _usual_suffix(format)


def _usual_suffix(format: str) -> str:
    suffix = next((suffix for suffix, name in FORMATS.items() if name == format), None)
    if suffix is None:
        raise UsageError(f"unknown format '{format}'", f"choose {', '.join(dict.fromkeys(FORMATS.values()))}")
    return suffix


def _checked_target(target: Path, format: str | None) -> Path:
    """Refuse a name whose extension promises another format than will be written; a name may have no extension."""
    suffix = target.suffix.lower()
    named = FORMATS.get(suffix)
    if format is not None:
        _usual_suffix(format)
        if named is not None and named != format:
            raise UsageError(f"output '{target}' says {named} and --format says {format}", "make them agree")
        return target
    if suffix and suffix not in FORMATS:
        problem = f"output '{target}': cannot write '{target.suffix}' files"
        raise UsageError(problem, f"use one of {', '.join(FORMATS)}, or --format")
    return target


def _refuse_collisions(jobs: Sequence[Job], overwrite: bool) -> None:
    """Refuse an output that would be written twice, or over an input that is still to be read."""
    sources = {_identity(job.source): job for job in jobs if job.source is not None}
    targets: dict[str, Job] = {}
    for job in jobs:
        if job.target is None:
            continue
        identity = _identity(job.target)
        first = targets.setdefault(identity, job)
        if first is not job:
            if first.source and job.source and _identity(first.source) == _identity(job.source):
                raise UsageError(f"input '{job.input_name}' is given twice", "give it once")
            problem = f"inputs '{first.input_name}' and '{job.input_name}' would both become '{job.output_name}'"
            raise UsageError(problem, "restore them in two runs, to two folders")
        reader = sources.get(identity)
        if reader is job and not overwrite:
            problem = f"output '{job.output_name}' is the input itself"
            raise UsageError(problem, "choose another name, or --overwrite to replace it")
        if reader is not None and reader is not job:
            problem = f"output '{job.output_name}' of '{job.input_name}' is also an input"
            raise UsageError(problem, "leave it out, or write into a folder with -o repaired/")


def _identity(path: Path) -> str:
    """One text per file, however it is spelt: follows links, and folds letter case if the system does."""
    text = os.path.normcase(os.path.realpath(path))
    return text.casefold() if sys.platform == "darwin" else text  # normcase folds only on Windows
