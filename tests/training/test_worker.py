from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from restorect_cli.errors import InputError, RestorectError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.data import PairStream
from restorect_cli.training.loop import Trainer
from restorect_cli.training.worker import in_a_worker


def test_the_data_are_the_same_bit_for_bit(data: Path, recipe: Recipe):
    stream = PairStream(recipe, data)
    with in_a_worker(stream, 2, 1, 2) as batches:
        for iteration in (2, 3, 4):
            one, two = stream.batch(iteration, 1, 2), batches.batch(iteration, 1, 2)
            assert all(np.array_equal(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))


def test_a_run_with_a_worker_is_the_same_run(data: Path, recipe: Recipe, tmp_path: Path):
    plain = Trainer(recipe, data, tmp_path / "plain", threads=1)
    plain.train()
    parts = recipe.model_copy(update={"workers": 1})
    Trainer(parts, data, tmp_path / "parts", threads=1).train(time_limit=0.0)
    second = Trainer(parts, data, tmp_path / "parts", threads=1, resume=True)
    assert second.train() and second.batches is second.stream
    pairs = zip(plain.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_goes_wrong_in_the_worker_is_said_by_the_one_who_asked(
    data: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    def fail(self: PairStream, iteration: int, rank: int, ranks: int) -> None:
        raise InputError("no such picture", "put it back") if iteration else os._exit(1)

    monkeypatch.setattr(PairStream, "batch", fail)
    stream = PairStream(recipe, data)
    with in_a_worker(stream, 1, 0, 1) as batches, pytest.raises(InputError, match="no such picture: put it back"):
        batches.batch(1)
    with in_a_worker(stream, 0, 0, 1) as batches, pytest.raises(RestorectError, match="the process .* ended"):
        batches.batch(0)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_run(data: Path, tmp_path: Path, how: signal.Signals):
    """Ctrl-C saves and says so; after a kill the worker finds nobody reading."""
    (tmp_path / "r.toml").write_text(
        'task = "denoise"\nnet = "tiny"\niterations = 100000\nbatch = 2\ncrop_px = 32\nworkers = 1\n'
        '[[source]]\nfolder = "photos"\ndegrade = "gaussian"\nweight = 1\n'
    )
    words = [sys.executable, "-m", "restorect_cli", "train", "r.toml", "--data", "data", "-o", "run", "--threads", "1"]
    run = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run/recipe.json").exists() or not children(run.pid):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        (worker,) = children(run.pid)
        if how == signal.SIGINT:
            os.killpg(run.pid, how)  # as a terminal does: to both
        else:
            run.kill()
        err = run.communicate(timeout=60)[1]
    finally:
        run.kill()
    if how == signal.SIGINT:
        assert run.returncode == 130 and "everything is saved in run" in err and "Traceback" not in err
        assert (tmp_path / "run/checkpoint.pt").exists()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
