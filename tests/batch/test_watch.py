from __future__ import annotations

import itertools

from restorect_cli.batch.scan import Found, Signature
from restorect_cli.batch.watch import LONGEST_PAUSE_SECONDS, Retries, arrivals


def listings(*looks: dict[str, tuple[int, int]]) -> list[list[str]]:
    """What is reported when a folder shows these files (size, time) at one look after the other."""
    queue = [[Found(name, Signature(*facts)) for name, facts in look.items()] for look in looks]
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return not queue

    reported = [[found.name for found in ready] for ready in arrivals(lambda: queue.pop(0), wait, 2.0, Retries())]
    assert waits == [2.0] * len(looks)
    return reported


def test_a_file_is_complete_when_it_was_the_same_twice() -> None:
    assert listings({"a": (1, 1)}) == []
    assert listings({"a": (1, 1)}, {"a": (2, 1)}, {"a": (2, 2)}) == []
    assert listings({"a": (1, 1)}, {"a": (2, 2)}, {"a": (2, 2)}) == [["a"]]


def test_each_is_given_once_and_again_when_it_changes() -> None:
    same, changed = {"a": (1, 1)}, {"a": (1, 5)}
    assert listings(same, same, same, changed, changed, changed) == [["a"], ["a"]]


def test_files_come_and_go() -> None:
    a, both, b = {"a": (1, 1)}, {"a": (1, 1), "b": (1, 1)}, {"b": (1, 1)}
    assert listings(a, both, both, b, b) == [["a"], ["b"]]
    assert listings(a, a, {}, a, a) == [["a"], ["a"]]


def test_an_empty_file_has_not_begun() -> None:
    assert listings({"a": (0, 1)}, {"a": (0, 1)}, {"a": (9, 2)}, {"a": (9, 2)}) == [["a"]]


def test_broken_links_wait() -> None:
    looks = iter([True, False])
    found = [Found("a", Signature(1, 1), problem="it is a link to nothing")]
    assert list(arrivals(lambda: found, lambda seconds: not next(looks), 1.0, Retries())) == []


def test_what_could_not_be_opened_is_given_again_after_growing_pauses() -> None:
    file, retries = Found("a", Signature(1, 1)), Retries()
    waited, given_at = 0.0, []

    def wait(seconds: float) -> bool:
        nonlocal waited
        waited += seconds
        return waited > 5 * LONGEST_PAUSE_SECONDS

    for ready in arrivals(lambda: [file], wait, 10.0, retries):
        assert ready == [file]
        given_at.append(waited)
        retries.add(file)
    pauses = [later - earlier for earlier, later in itertools.pairwise(given_at)]
    wanted = [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert all(want <= pause <= want + 20.0 for want, pause in zip(wanted, pauses, strict=False)) and len(pauses) >= 8


def test_a_file_that_changed_meanwhile_is_not_given_twice() -> None:
    before, after = Found("a", Signature(1, 1)), Found("a", Signature(1, 5))
    retries, looks = Retries(), itertools.chain([before] * 3, [after] * 100)
    waits = iter([False] * 100 + [True])
    given = []
    for ready in arrivals(lambda: [next(looks)], lambda seconds: next(waits), 10.0, retries):
        given += ready
        if ready == [before]:
            retries.add(before)
    assert given == [before, after]
