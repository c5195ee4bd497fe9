from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from restorect_cli.errors import UsageError
from restorect_cli.training.data import PairStream
from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.student import SHAPES, Student
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.recipe import Recipe


def test_shares_of_a_batch_make_the_whole_batch(data: Path, recipe: Recipe):
    stream = PairStream(recipe.model_copy(update={"batch": 5}), data)
    whole, parts = stream.batch(7), [stream.batch(7, rank, 2) for rank in range(2)]
    for name in ("y", "x", "thumb", "statistics"):
        for rank, part in enumerate(parts):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rank::2])


def test_shares_of_numbers():
    three = [Ranks(rank, 3) for rank in range(3)]
    assert [ranks.share(torch.arange(7)).tolist() for ranks in three] == [[0, 3, 6], [1, 4], [2, 5]]
    assert [ranks.share_of(4) for ranks in three] == [2, 1, 1]
    assert [ranks.leads for ranks in three] == [True, False, False]
    assert Ranks().total(torch.ones(1)).tolist() == [1]


def test_more_processes_than_samples(data: Path, recipe: Recipe, tmp_path: Path):
    with pytest.raises(UsageError, match="a batch of 2 cannot be shared among 3"):
        Trainer(recipe, data, tmp_path / "run", ranks=Ranks(2, 3))


def run_together(count: int, arguments: list[str]) -> list[str]:
    """Start the program `count` times as torchrun does, and return what each said; gloo, over loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "restorect_cli", *arguments],
            env={**os.environ, **group, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        said = [process.communicate(timeout=240)[0] for process in started]
        assert [process.returncode for process in started] == [0] * count, said
    finally:
        for process in started:
            process.kill()
    return said


def test_two_processes_resume_and_train_as_one(data: Path, recipe: Recipe, tmp_path: Path):
    """A batch of five, so that the shares differ, and a live roll-out; one process starts what two finish."""
    # Not Muon: it makes directions equal in size, and of the weakest ones rounding decides.
    recipe = recipe.model_copy(update={"batch": 5, "consistency": "cheap", "iterations": 5, "optimiser": "adamw"})
    path = tmp_path / "r.toml"
    tables = "".join(
        f'[[source]]\nfolder = "{s.folder}"\ndegrade = "{s.degrade}"\nweight = {s.weight}\n' for s in recipe.source
    )
    keys = recipe.model_dump(exclude={"source"}, exclude_none=True)
    lines = [f"{key} = {list(value) if isinstance(value, tuple) else repr(value)}\n" for key, value in keys.items()]
    path.write_text("".join(lines) + tables)

    whole = Trainer(recipe, data, tmp_path / "whole", threads=1)
    assert whole.train()
    Trainer(recipe, data, tmp_path / "parts", threads=1).train(time_limit=0.0)
    said = run_together(2, ["train", str(path), "--data", str(data), "-o", str(tmp_path / "parts"), "--resume"])
    assert "done" in said[0] and said[1] == ""

    found = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)
    assert found["iteration"] == 5
    torch.manual_seed(recipe.seed)
    start = Student(SHAPES["tiny"]).state_dict()
    for mine, other in ((whole.model.state_dict(), found["model"]), (whole.ema.weights, found["ema"])):
        apart = sum(float((mine[name] - other[name]).square().sum()) for name in start) ** 0.5
        moved = sum(float((mine[name] - start[name]).square().sum()) for name in start) ** 0.5
        assert apart < 0.05 * moved  # bfloat16 sums in another order: 0.6 % measured
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("whole", "parts")]
    assert len(logs[1]) == len(logs[0]) + 1  # one line more, where the first part stopped
