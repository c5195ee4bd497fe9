from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.manifest_records import record

from restorect_cli.batch.manifest import Past, RunManifest, load_past, manifest_path, read_records
from restorect_cli.batch.shard import WHOLE, Shard
from restorect_cli.errors import DiskFullError, OutputError


def write(path: Path, *records: object) -> None:
    manifest = RunManifest(path)
    for each in records:
        manifest.append(each)  # type: ignore[arg-type]
    manifest.close()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Names with line ends and in no encoding, and failures, survive; one line each."""
    records = [
        record(input="two\nlines.jpg", notes=("first",), seconds=1.25),
        record(input=os.fsdecode(b"\xff.jpg"), status="failed", error="why: é", error_type="InputError"),
    ]
    write(tmp_path / "m", *records)
    assert read_records(tmp_path / "m") == records
    assert len((tmp_path / "m").read_bytes().splitlines()) == 2


def test_torn_last_line_is_ignored_and_the_next_run_begins_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write(path, record(input="a"), record(input="b"))
    path.write_bytes(path.read_bytes()[:-20])
    write(path, record(input="c"))
    assert [each.input for each in read_records(path)] == ["a", "c"]


def test_lines_of_another_version_or_kind_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b'{"input": "a"}\n[1]\nnull\n\xff\xfe\n\n')
    write(path, record())
    later = path.read_bytes().replace(b'{"input": "a.jpg"', b'{"new": 1, "input": "a.jpg"')
    path.write_bytes(later)
    assert read_records(path) == [record()]


def test_absent_one_is_empty(tmp_path: Path) -> None:
    assert read_records(tmp_path / "absent") == []


def test_one_run_at_a_time(tmp_path: Path) -> None:
    first = RunManifest(tmp_path / "m")
    with pytest.raises(OutputError, match="another run"):
        RunManifest(tmp_path / "m")
    first.close()
    RunManifest(tmp_path / "m").close()


def test_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the manifest"):
        RunManifest(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_full_disk() -> None:
    manifest = RunManifest(Path("/dev/full"))
    with pytest.raises(DiskFullError, match="cannot write the manifest"):
        manifest.append(record())
    manifest.close()


def test_shards_write_files_of_their_own_and_read_all(tmp_path: Path) -> None:
    paths = [manifest_path(tmp_path, shard) for shard in (WHOLE, Shard(1, 2), Shard(2, 2))]
    assert len(set(paths)) == 3
    for index, path in enumerate(paths):
        write(path, record(input=str(index)))
    elsewhere = tmp_path / "elsewhere.jsonl"
    write(elsewhere, record(input="own"))
    assert set(load_past(paths[1], tmp_path).inputs) == {"0", "1", "2"}
    assert set(load_past(elsewhere, tmp_path).inputs) == {"0", "1", "2", "own"}


def test_past_knows_the_last_word_and_what_was_interrupted() -> None:
    done, again = record(settings="s1"), record(settings="s2", status="started")
    past = Past([done, again])
    assert past.inputs["a.jpg"] == again and past.done["a.jpg"] == done and past.interrupted["a.jpg"] == again
    past.add(record(input="a.bmp", status="failed"))  # that could not have the name
    assert past.interrupted["a.jpg"] == again
    past.add(record(settings="s2", status="failed"))
    assert past.done["a.jpg"] == done and past.interrupted == {}
    past.add(record(settings="s2"))
    assert past.done["a.jpg"].settings == "s2"
