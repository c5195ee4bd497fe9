from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from support.manifest_records import WRITTEN, record

from restorect_cli.batch.manifest import Past
from restorect_cli.batch.plan import Item, Planner, Wanted
from restorect_cli.batch.scan import Found, Signature
from restorect_cli.batch.shard import Shard
from restorect_cli.errors import UsageError


def found(name: str, *, size: int = 5, mtime: int = 7, inode: int = 0, problem: str = "") -> Found:
    return Found(name, Signature(size, mtime), (1, inode) if inode else (0, 0), problem)


def items(
    *names: str | Found, past: Past | None = None, there: dict[str, Found] | None = None, **options: Any
) -> list[Item]:
    """The plan for a tree that does not exist; `there` is what the output folder holds."""
    wanted = Wanted(folder="/in", settings="s1", **options)
    files = [name if isinstance(name, Found) else found(name) for name in names]
    return Planner(wanted, past or Past(), (there or {}).get).plan(files)


def outputs(*names: str, **options: Any) -> list[str]:
    return [item.output for item in items(*names, **options) if item.action == "restore"]


def test_tree_is_mirrored_and_formats_kept() -> None:
    names = ["a.jpg", "sub/B.JPG", "sub/deep/c d.tif", "two\nlines.webp", "photo.v2.png"]
    assert outputs(*names) == names


def test_png_for_what_can_only_be_read_and_another_format_when_asked() -> None:
    assert outputs("a.gif", "x/b.bmp") == ["a.png", "x/b.png"]
    assert outputs("a.jpeg", "b.png", format="jpeg") == ["a.jpeg", "b.jpg"]


def test_strays_are_no_jobs() -> None:
    assert outputs("notes.txt", "Thumbs.db", "a.jpg", "noext", "b.jpg.part") == ["a.jpg"]


def test_include_and_exclude() -> None:
    names = ["a.jpg", "b.PNG", "trip/c.jpg", "trip/raw/d.jpg", "e.dat"]
    assert outputs(*names, include=["*.png"]) == ["b.PNG"]
    assert outputs(*names, include=["trip/*"]) == ["trip/c.jpg", "trip/raw/d.jpg"]
    assert outputs(*names, exclude=["trip/raw/*", "A.*"]) == ["b.PNG", "trip/c.jpg"]
    assert outputs(*names, include=["e.*"]) == ["e.png"]


def test_template() -> None:
    assert outputs("x/a.gif", template="{stem}-new.{ext}") == ["x/a-new.png"]
    assert outputs("x/a.gif", "x/a.png", template="{stem}.{source_ext}.{ext}") == ["x/a.gif.png", "x/a.png.png"]


@pytest.mark.parametrize(
    "template",
    [
        *("", "new.{ext}", "{name}", "{stem", "{0}", "../{stem}.{ext}", "{stem.x}", ".{stem}"),
        *("{stem!r}.{ext}", "{stem:>9}.{ext}", "{stem}.xyz", "{stem}.{ext}.bak", "{stem}", "{stem}_x"),
    ],
)
def test_templates_that_cannot_work(template: str) -> None:
    with pytest.raises(UsageError, match="template"):
        Wanted(template=template)


def test_extension_says_what_is_written() -> None:
    with pytest.raises(UsageError, match="says jpeg and --format says png"):
        Wanted(template="{stem}.jpg", format="png")
    jpg, gif = items("a.jpg", "b.gif", template="{stem}.{source_ext}")
    assert jpg.action == "restore" and gif.action == "fail" and "'.gif' files cannot be written" in gif.reason
    (item,) = items("a.jpg", template="{stem}.{source_ext}", format="png")
    assert item.action == "fail" and "says jpeg" in item.reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.jpg", "A.jpg"),
        ("x/a.jpg", "X/a.jpg"),
        ("é.jpg", "e\u0301.jpg"),
        ("a.png", "a.bmp"),
        ("straße.png", "STRASSE.png"),
    ],
)
def test_names_that_some_system_takes_for_one(first: str, second: str) -> None:
    """Exactly one is restored, and the other says who has the name."""
    planned = items(first, second)
    assert sorted(item.action for item in planned) == ["fail", "restore"]
    loser = next(item for item in planned if item.action == "fail")
    assert (first if loser.source.name == second else second) in loser.reason


def test_the_image_that_keeps_its_name_goes_first() -> None:
    bmp, png = items("a.bmp", "a.png")
    assert (bmp.action, png.action) == ("fail", "restore")


def test_rename_gives_each_a_name() -> None:
    assert outputs("a.bmp", "a.gif", "a.png", if_exists="rename") == ["a-2.png", "a-3.png", "a.png"]


def test_names_do_not_depend_on_the_shard() -> None:
    names = [f"{index}.{ext}" for index in range(40) for ext in ("bmp", "png", "gif")]
    whole = {item.source.name: item.output for item in items(*names, if_exists="rename")}
    parts = [items(*names, if_exists="rename", shard=Shard(number, 3)) for number in (1, 2, 3)]
    assert {item.source.name: item.output for part in parts for item in part} == whole
    assert sum(map(len, parts)) == len(names)


def test_files_that_arrive_later_do_not_take_a_name() -> None:
    planner = Planner(Wanted(), Past(), lambda name: None)
    (first,), (second,), (again,) = (
        planner.plan([found("a.bmp")]),
        planner.plan([found("a.gif")]),
        planner.plan([found("a.bmp")]),
    )
    assert (first.action, second.action, again.action) == ("restore", "fail", "restore")


def test_long_names() -> None:
    fits, longer = items("x" * 251 + ".bmp", "y" * 251 + ".jpg", format="webp", include=["*"])
    assert fits.action == longer.action == "fail"  # .webp is a byte longer than .bmp and .jpg
    (kept,) = items("é" * 125 + ".jpeg")
    assert kept.action == "restore"


def test_what_cannot_be_read_fails_with_its_reason() -> None:
    broken, folder = items(found("loop.jpg", problem="too many links"), found("secret/", problem="cannot be listed"))
    assert (broken.action, broken.reason) == ("fail", "too many links")
    assert (folder.action, folder.reason) == ("fail", "cannot be listed")


def test_an_original_is_never_a_target() -> None:
    """As where the output folder holds a link to it; not even with overwrite."""
    (item,) = items(found("a.jpg", inode=9), there={"a.jpg": found("a.jpg", inode=9)}, if_exists="overwrite")
    assert item.action == "fail" and "original" in item.reason


def test_folder_in_the_way() -> None:
    (item,) = items("a.jpg", there={"a.jpg": found("a.jpg", problem="it is a folder")}, if_exists="overwrite")
    assert item.action == "fail"


OURS = found("a.jpg", size=50, mtime=70)
EDITED = found("a.jpg", size=51, mtime=99)
DONE = record(**WRITTEN)


@pytest.mark.parametrize(
    ("records", "there", "if_exists", "action", "replace", "reason"),
    [
        # nothing there
        ([], None, "skip", "restore", False, ""),
        ([DONE], None, "skip", "restore", False, ""),
        # a file that we know nothing of
        ([], OURS, "skip", "skip", False, "exists already"),
        ([], OURS, "error", "fail", False, "exists already"),
        ([], OURS, "overwrite", "restore", True, ""),
        # done before
        ([DONE], OURS, "skip", "skip", False, "done before"),
        ([DONE], OURS, "error", "skip", False, "done before"),
        ([DONE], OURS, "rename", "skip", False, "done before"),
        ([DONE], OURS, "overwrite", "restore", True, ""),
        # done with other settings, or from another input
        ([dataclasses.replace(DONE, settings="s0")], OURS, "skip", "restore", True, "the settings changed"),
        ([dataclasses.replace(DONE, input_mtime_ns=6)], OURS, "skip", "restore", True, "the input changed"),
        # and changed by somebody since: theirs now
        ([dataclasses.replace(DONE, settings="s0")], EDITED, "skip", "skip", False, "exists already"),
        # made of a file of the same name in another folder
        ([dataclasses.replace(DONE, input_mtime_ns=6, folder="/else")], OURS, "skip", "skip", False, "exists already"),
        # killed in the middle
        ([record(status="started")], OURS, "skip", "restore", True, "was interrupted"),
        ([record(status="started")], None, "skip", "restore", False, ""),
        ([record(status="started")], OURS, "error", "restore", True, "was interrupted"),
        ([record(status="started", folder="/else")], OURS, "skip", "skip", False, "exists already"),
        ([record(status="started", input="a.gif")], OURS, "skip", "skip", False, "exists already"),
        # called off before anything was written
        ([DONE, record(status="started"), record(status="dropped")], EDITED, "skip", "skip", False, "exists already"),
        ([record(status="started"), record(status="dropped")], None, "skip", "restore", False, ""),
        # failed before
        ([record(status="failed", error="torn", error_type="InputError")], None, "skip", "fail", False, "torn"),
        ([record(status="failed", error="full", error_type="OutputError")], None, "skip", "restore", False, ""),
        ([record(status="failed", error_type="UnavailableError")], None, "skip", "restore", False, ""),
        ([record(status="failed", error_type="InputError", settings="s0")], None, "skip", "restore", False, ""),
        ([record(status="failed", error_type="InputError", input_bytes=4)], None, "skip", "restore", False, ""),
    ],
)
def test_what_is_there_and_what_is_remembered(
    records: list[Any], there: Found | None, if_exists: Any, action: str, replace: bool, reason: str
) -> None:
    (item,) = items("a.jpg", past=Past(records), there={"a.jpg": there} if there else {}, if_exists=if_exists)
    assert (item.action, item.replace) == (action, replace) and reason in item.reason


def test_retry_failed() -> None:
    past = Past([record(status="failed", error_type="InputError")])
    (item,) = items("a.jpg", past=past)
    assert item.failed_before
    (item,) = items("a.jpg", past=past, retry_failed=True)
    assert item.action == "restore"


def test_renamed_one_is_found_again() -> None:
    past = Past([record(output="a-2.jpg", **WRITTEN)])
    there = {"a.jpg": EDITED, "a-2.jpg": OURS}
    (item,) = items("a.jpg", past=past, there=there, if_exists="rename")
    assert (item.output, item.action) == ("a-2.jpg", "skip")


def test_renamed_one_is_found_again_after_it_was_renamed_once_more() -> None:
    """a-2.jpg was edited, so that the next result became a-2-2.jpg; with nothing changed there is nothing to do."""
    past = Past([record(output="a-2.jpg", **WRITTEN), record(output="a-2-2.jpg", **WRITTEN)])
    there = {"a.jpg": EDITED, "a-2.jpg": EDITED, "a-2-2.jpg": OURS}
    (item,) = items("a.jpg", past=past, there=there, if_exists="rename")
    assert (item.output, item.action) == ("a-2-2.jpg", "skip")


def test_only_numbers_make_a_renamed_one() -> None:
    for former in ("a-x.jpg", "a-.jpg", "a-02.jpg", "ab-2.jpg", "a-2-x.jpg", "a-2.jpg.jpg"):
        past = Past([record(output=former, **WRITTEN)])
        (item,) = items("a.jpg", past=past, there={former: OURS}, if_exists="rename")
        assert (item.output, item.action) == ("a.jpg", "restore")


def test_renamed_one_does_not_keep_an_extension_that_lies() -> None:
    past = Past([record(output="a-2.jpg", **WRITTEN)])
    (item,) = items("a.jpg", past=past, there={"a-2.jpg": OURS}, if_exists="rename", format="png")
    assert (item.output, item.action) == ("a.png", "restore")
