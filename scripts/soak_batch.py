"""Runs `restorect batch` through a bad night: odd and broken files, kills, a full disk; reports what it found.

    python scripts/soak_batch.py                             2,000 images, 20 kills; about an hour on two cores
    python scripts/soak_batch.py --images 200 --kills 5      a quick look

The picture files are made here. The disk is a small tmpfs, which only root may mount; without it that part is left out.
Exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

COMMAND = [sys.executable, "-m", "restorect_cli", "batch"]
BAD_SHARE = 0.03
MEMORY_GROWTH = 1.10


def make_images(folder: Path, count: int) -> set[str]:
    """`count` small images, one in ten of an odd kind, 3 % broken, and a circle of links; returns the broken names."""
    rng = np.random.default_rng(0)
    bad: set[str] = set()
    for index in range(count):
        place = folder / f"day {index % 7}"
        place.mkdir(parents=True, exist_ok=True)
        height, width = (int(side) for side in rng.integers(24, 220, 2))
        smooth = Image.fromarray(rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)).resize((width, height))
        noisy = np.clip(np.asarray(smooth) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
        image = Image.fromarray(noisy)
        if rng.random() < BAD_SHARE or index in range(5):
            bad.add(str(make_bad(place / f"bad-{index}.jpg", image, index % 5).relative_to(folder)))
        elif index % 10 == 0:
            make_odd(place, image, index)
        else:
            image.save(place / f"{index}.{('jpg', 'png', 'webp')[index % 3]}", quality=90)
    (folder / "circle").symlink_to(folder)
    return bad


def make_bad(path: Path, image: Image.Image, kind: int) -> Path:
    image.save(path, quality=95)
    if kind == 0:  # cut short
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == 1:
        path.write_bytes(b"")
    elif kind == 2:
        path.write_text("not an image at all\n" * 20)
    elif kind == 3 and os.geteuid() != 0:  # root may read everything
        path.chmod(0)
    else:
        path.unlink()
        path.symlink_to(path.name)
    return path


def make_odd(folder: Path, image: Image.Image, index: int) -> None:
    """Good, but unusual: in its colours, its frames or its name."""
    kind = index // 10 % 9
    if kind == 0:
        image.convert("CMYK").save(folder / f"cmyk-{index}.jpg")
    elif kind == 1:
        image.convert("L").save(folder / f"grey-{index}.png")
    elif kind == 2:
        image.quantize(32).save(folder / f"palette-{index}.png")
    elif kind == 3:
        deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(deep).save(folder / f"deep-{index}.png")
    elif kind == 4:
        image.save(folder / f"moving-{index}.gif", save_all=True, append_images=[image.rotate(180)])
    elif kind == 5:
        image.save(folder / f"two words\nand two lines {index}.png")
    elif kind == 6:
        image.save(folder / f"Ünïcödé 写真 {index}.jpg")
    elif kind == 7:
        image.save(folder / (f"{index}-".ljust(251, "x") + ".png"))
    else:
        image.save(folder / f"UPPER {index}.JPG")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape"
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, str]], list[str]]:
    """Exit code, records of --json, and the lines on standard error."""
    out, err = process.communicate()
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.splitlines()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, temporary ones included."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".restorect.jsonl"
    }


def resident_megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def watch_memory(process: subprocess.Popen[str], manifest: Path, warm: int) -> tuple[float, float]:
    """Megabytes after the first `warm` images (the most in a second around it) and at the end (last samples)."""
    samples: list[tuple[int, float]] = []
    while process.poll() is None:
        done = manifest.read_text().count('"status": "done"') if manifest.is_file() else 0
        size = resident_megabytes(process.pid)
        if size:
            samples.append((done, size))
        time.sleep(0.2)
    after_warm = [size for done, size in samples if done >= warm][:5]
    return max(after_warm, default=0.0), max(size for _, size in samples[-6:-1])


def undisturbed(photos: Path, output: Path, bad: set[str], warm: int) -> tuple[float, list[str]]:
    """Seconds, and the promises broken."""
    began = time.monotonic()
    output.parent.mkdir()
    log = output.parent / "log.jsonl"
    with log.open("w") as out, (output.parent / "errors.txt").open("w") as err:
        arguments = [*COMMAND, str(photos), "-r", "-o", str(output), "--task", "denoise", "--json"]
        process = subprocess.Popen(arguments, stdout=out, stderr=err, text=True)
        first, last = watch_memory(process, output / ".restorect.jsonl", warm)
    seconds = time.monotonic() - began
    records = [json.loads(line) for line in log.read_text().splitlines()]
    failed = {os.path.relpath(record["input"], photos) for record in records if record["status"] == "failed"}
    done = sum(record["status"] == "done" for record in records)
    print(f"undisturbed: exit code {process.returncode}, {done} done, {len(failed)} failed, {seconds:.0f} s")
    print(f"memory: {first:.0f} MB after {warm} images, {last:.0f} MB at the end")
    files = sum(path.is_file() or path.is_symlink() for path in photos.rglob("*")) - 1  # without the circle
    broken = []
    if process.returncode != 1 or failed != bad or done != files - len(bad):
        broken.append(f"good or bad ones differ: {sorted(failed ^ bad)[:5]}, {files - len(bad)} good ones")
    if last > MEMORY_GROWTH * first:
        broken.append(f"memory grew from {first:.0f} to {last:.0f} MB")
    return seconds, broken


def killed(photos: Path, output: Path, reference: dict[str, bytes], kills: int, seconds: float) -> list[str]:
    """Kill it at random moments, let it finish, and compare byte by byte."""
    chance = random.Random(0)
    arguments = [str(photos), "-r", "-o", str(output), "--task", "denoise", "--json"]
    count = seen_half = 0
    while count < kills:
        process = start(*arguments)
        try:
            process.communicate(timeout=chance.uniform(0.3, max(4.0, 2 * seconds / kills)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            count += 1
            names = tree(output) if output.is_dir() else {}
            finals = {name: data for name, data in names.items() if not name.endswith(".part")}
            seen_half += sum(reference.get(name) != data for name, data in finals.items())
        else:
            shutil.rmtree(output)  # it got through: once more from the beginning
    code, _, _ = finish(start(*arguments))
    result = tree(output)
    left = [name for name in result if name.endswith(".part")]
    differing = sorted(name for name in result.keys() | reference.keys() if result.get(name) != reference.get(name))
    print(f"{kills} kills: exit code {code}, {len(differing)} files differ, {len(left)} temporary files, ", end="")
    print(f"{seen_half} half-written ones seen under a final name")
    return ["a killed run left traces"] if left or differing or seen_half or code != 1 else []


def disk_full(photos: Path, root: Path, reference: dict[str, bytes]) -> list[str]:
    """A disk with room for half of it; then with room for all."""
    disk = root / "disk"
    disk.mkdir()
    half = sum(map(len, reference.values())) // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={half},nr_inodes=100k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        print("disk full: left out, mounting a tmpfs is not allowed here")
        return []
    try:
        arguments = [str(photos), "-r", "-o", str(disk / "out"), "--task", "denoise", "--quiet"]
        code, _, errors = finish(start(*arguments, "--exclude", "bad-*"))
        partial = {name: data for name, data in tree(disk / "out").items()}
        whole = sum(reference.get(name) == data for name, data in partial.items())
        print(f"disk full: exit code {code}, {whole} of {len(partial)} files whole; it said: {errors}")
        subprocess.run(["mount", "-o", f"remount,size={4 * half + 50_000_000}", str(disk)], check=True)
        again, _, _ = finish(start(*arguments))
        differing = tree(disk / "out") != reference
        print(f"with room again: exit code {again}, {'differs' if differing else 'all as in the undisturbed run'}")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return ["disk full"] if code != 1 or len(errors) != 1 or whole != len(partial) or differing or again != 1 else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = root / "photos"
        bad = make_images(photos, wanted.images)
        seconds, broken = undisturbed(photos, root / "whole" / "out", bad, min(200, wanted.images // 4))
        reference = tree(root / "whole" / "out")
        broken += killed(photos, root / "killed", reference, wanted.kills, seconds)
        broken += disk_full(photos, root, reference)
    for promise in broken:
        print(f"BROKEN: {promise}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
