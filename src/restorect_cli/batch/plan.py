"""Plans which file becomes which and what is to be done. Pure: names and facts in, a list of items out.

photos/a.jpg          ->  out/a.jpg          the tree is mirrored
photos/trip/b.gif     ->  out/trip/b.png     PNG for formats that can only be read
photos/trip/B.png         refused: differs from trip/b.png only in letter case
"""

from __future__ import annotations

import fnmatch
import os
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ..errors import UsageError
from ..jobs import target_suffix
from ..names import FORMATS, PHOTOGRAPHS
from .manifest import Past, Record
from .scan import NOBODY, Found
from .shard import WHOLE, Shard

IfExists = Literal["skip", "overwrite", "rename", "error"]
Action = Literal["restore", "skip", "fail"]
LookUp = Callable[[str], "Found | None"]  # the file of this name in the output folder

LONGEST_NAME_BYTES = 255  # of one part of a path, on all usual file systems
TEMPLATE_FIELDS = {"stem", "ext", "source_ext"}
DEFAULT_TEMPLATE = "{stem}.{ext}"


@dataclass(frozen=True)
class Item:
    """One image and what to do with it; `reason` says why it is skipped, fails or is restored again."""

    source: Found
    output: str  # relative to the output folder, with forward slashes
    action: Action
    reason: str = ""
    replace: bool = False  # an existing output is ours to replace
    failed_before: bool = False


@dataclass(frozen=True)
class Wanted:
    """The user's options for planning. Raises UsageError for a template that cannot work."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    template: str = DEFAULT_TEMPLATE
    format: str | None = None
    if_exists: IfExists = "skip"
    retry_failed: bool = False
    shard: Shard = WHOLE
    folder: str = ""  # the input folder, absolute, as the manifest has it
    settings: str = ""  # hash

    def __post_init__(self) -> None:
        try:
            parts = [part[1:] for part in string.Formatter().parse(self.template) if part[1] is not None]
        except ValueError:
            parts = []
        used = {name for name, _, _ in parts}
        is_plain = all(not specification and not conversion for _, specification, conversion in parts)
        has_folder = "/" in self.template or os.sep in self.template
        if not is_plain or not used <= TEMPLATE_FIELDS or "stem" not in used or has_folder or self.template[0] == ".":
            raise UsageError(
                f"cannot use the name template '{self.template}'",
                "write {stem}, and perhaps {ext} or {source_ext}, without folders: {stem}-restored.{ext}",
            )
        suffix = PurePosixPath(self.template).suffix
        if not suffix:
            raise UsageError(f"the name template '{self.template}' gives files no extension", "end it in .{ext}")
        if "}" not in suffix and (problem := self.misnamed(self.template)):
            raise UsageError(f"cannot use the name template '{self.template}', {problem}", "end it in .{ext}")

    def takes(self, name: str) -> bool:
        """Whether this file is selected, in any shard; so is a folder that could not be listed, as it may hold some."""
        if name.endswith("/"):
            return True
        if any(_matches(name, pattern) for pattern in self.exclude):
            return False
        if self.include:
            return any(_matches(name, pattern) for pattern in self.include)
        return PurePosixPath(name).suffix.lower() in PHOTOGRAPHS

    def misnamed(self, output: str) -> str:
        """Why an output cannot have this name: its extension promises another format. Empty if it can."""
        suffix = PurePosixPath(output).suffix
        named = FORMATS.get(suffix.lower())
        if self.format is None:
            return f"'{suffix}' files cannot be written" if suffix and named is None else ""
        return f"'{suffix}' says {named} and --format says {self.format}" if named not in (None, self.format) else ""


class Planner:
    """Plans, and remembers the names given, so that files that arrive later get other names."""

    def __init__(self, wanted: Wanted, past: Past, look_up: LookUp) -> None:
        self._wanted, self._past, self._look_up = wanted, past, look_up
        self._takers: dict[str, str] = {}  # normalised output -> the input that has it
        self._originals: set[tuple[int, int]] = set()

    def plan(self, files: Iterable[Found]) -> list[Item]:
        """One item for every image among `files` that belongs to the shard, in their order.

        Names are given before the shard is selected, so all shards agree about them.
        """
        found = list(files)
        images = [file for file in found if self._wanted.takes(file.name)]
        self._originals |= {file.identity for file in found if file.identity != NOBODY}
        names = self._names([file for file in images if not _is_folder(file)])
        mine = [file for file in images if self._wanted.shard.holds(file.name)]
        return [self._item(file, *names.get(file.name, ("", ""))) for file in mine]

    def _names(self, images: Sequence[Found]) -> dict[str, tuple[str, str]]:
        """By input: its output, and the input that already has that name, if one does.

        An image that keeps its own name takes precedence.
        """
        outputs = {file.name: self._wanted_output(file.name) for file in images}
        keepers_first = sorted(images, key=lambda file: outputs[file.name] != file.name)
        return {file.name: self._take(file.name, outputs[file.name]) for file in keepers_first}

    def _wanted_output(self, name: str) -> str:
        path = PurePosixPath(name)
        suffix = target_suffix(path.suffix, self._wanted.format)
        words = {"stem": path.stem, "ext": suffix[1:], "source_ext": path.suffix[1:]}
        output = str(path.with_name(self._wanted.template.format_map(words)))
        former = self._past.inputs.get(name)
        if self._wanted.if_exists == "rename" and former is not None and self._knows(former):
            return former.output if _is_numbered(former.output, output) else output
        return output

    def _take(self, name: str, output: str) -> tuple[str, str]:
        taker = self._takers.setdefault(_folded(output), name)
        if taker == name:
            return output, ""
        if self._wanted.if_exists != "rename":
            return output, taker
        return self._free(name, output), ""

    def _free(self, name: str, output: str) -> str:
        """The first free name of `a-2.jpg`, `a-3.jpg`, …, which `name` takes."""
        path, number = PurePosixPath(output), 2
        while True:
            other = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            if _folded(other) not in self._takers and self._look_up(other) is None:
                self._takers[_folded(other)] = name
                return other
            number += 1

    def _item(self, source: Found, output: str, taker: str) -> Item:
        if source.problem:
            return Item(source, output, "fail", source.problem)
        if taker:
            reason = f"{taker} becomes {output} too; see --name and --if-exists rename"
            return Item(source, output, "fail", reason)
        if problem := self._wanted.misnamed(output):
            return Item(source, output, "fail", f"its output cannot be named {output}: {problem}")
        if len(os.fsencode(PurePosixPath(output).name)) > LONGEST_NAME_BYTES:
            return Item(source, output, "fail", f"the name of its output is longer than {LONGEST_NAME_BYTES} bytes")
        there = self._look_up(output)
        if there is not None and there.identity in self._originals and there.identity != NOBODY:
            return Item(source, output, "fail", "its output is itself an original")
        if there is not None and there.problem and there.problem != "it is a link to nothing":
            return Item(source, output, "fail", f"the name of its output, {output}, is taken: {there.problem}")
        return self._decide(source, output, there)

    def _decide(self, source: Found, output: str, there: Found | None) -> Item:
        wanted, past = self._wanted, self._past
        if wanted.if_exists == "overwrite":
            return Item(source, output, "restore", replace=True)
        failure = self._failure(source)
        if failure is not None and not wanted.retry_failed:
            reason = f"{failure.error} (in an earlier run; --retry-failed tries again)"
            return Item(source, output, "fail", reason, failed_before=True)
        if there is None:
            return Item(source, output, "restore")
        written = past.done.get(output)
        written = written if written is not None and written.input == source.name else None
        begun = past.interrupted.get(output)
        if begun is not None and begun.input == source.name and self._knows(begun):
            return Item(source, output, "restore", "was interrupted", replace=True)
        if written is not None and written.output_bytes == there.signature.bytes and self._is_same(written, source):
            return Item(source, output, "skip", "done before")
        if written is not None and written.output_signature == there.signature and self._knows(written):
            what = "settings" if written.settings != wanted.settings else "input"
            return Item(source, output, "restore", f"the {what} changed", replace=True)
        return self._foreign(source, output)

    def _failure(self, source: Found) -> Record | None:
        """The earlier failure that would happen again: the file caused it, and nothing has changed."""
        last = self._past.inputs.get(source.name)
        is_own = last is not None and last.status == "failed" and last.error_type == "InputError"
        return last if last is not None and is_own and self._is_same(last, source) else None

    def _foreign(self, source: Found, output: str) -> Item:
        """The output exists, and no known run wrote the file as it is."""
        if self._wanted.if_exists == "skip":
            return Item(source, output, "skip", "exists already")
        if self._wanted.if_exists == "error":
            return Item(source, output, "fail", f"its output {output} exists already")
        return Item(source, self._free(source.name, output), "restore")

    def _knows(self, record: Record) -> bool:
        return record.folder == self._wanted.folder

    def _is_same(self, record: Record, source: Found) -> bool:
        return record.settings == self._wanted.settings and record.input_signature == source.signature


def _is_folder(file: Found) -> bool:
    """Whether this is a folder that could not be listed; other folders are not in the list of files."""
    return file.name.endswith("/")


def _matches(name: str, pattern: str) -> bool:
    """Compare a pattern with a slash with the whole name, others with its last part; letter case is ignored."""
    whole = name if "/" in pattern else PurePosixPath(name).name
    return fnmatch.fnmatchcase(whole.lower(), pattern.lower())


def _is_numbered(name: str, output: str) -> bool:
    """Whether `name` is `output` or its renamed form; `a-2-2.jpg` if `a-2.jpg` was edited since."""
    suffix = PurePosixPath(output).suffix
    beginning, end = re.escape(output.removesuffix(suffix)), re.escape(suffix)
    return re.fullmatch(f"{beginning}(-[1-9][0-9]*)*{end}", name) is not None


def _folded(name: str) -> str:
    """One text for all spellings that some file system treats as the same name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
