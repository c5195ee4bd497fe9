from __future__ import annotations

import pytest

from restorect_cli.batch.shard import WHOLE, Shard, parse_shard
from restorect_cli.errors import UsageError

NAMES = [f"folder/{index}.jpg" for index in range(2000)]


def test_every_name_is_in_one_shard_and_they_are_about_equal() -> None:
    shards = [Shard(number, 8) for number in range(1, 9)]
    assert all(sum(shard.holds(name) for shard in shards) == 1 for name in NAMES)
    assert all(200 < sum(map(shard.holds, NAMES)) < 300 for shard in shards)


def test_shard_of_a_name_never_changes() -> None:
    """A job array may run on machines of all kinds, and go on after an update."""
    assert [name for name in NAMES[:12] if Shard(3, 8).holds(name)] == ["folder/9.jpg"]


def test_whole() -> None:
    assert all(WHOLE.holds(name) for name in NAMES)


def test_parse() -> None:
    assert parse_shard("3/8") == Shard(3, 8)


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "3/0", "a/b", "-1/2", "3/8/9", " 3/8"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="3/8"):
        parse_shard(text)
