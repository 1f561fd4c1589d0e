"""Outputs are replaced as a whole or not at all, and what is reported is what the file holds."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from depth_sr_ros import atomic
from depth_sr_ros.atomic import write_file, write_files
from depth_sr_ros.cli import main
from depth_sr_ros.files import read_depth, write_depth
from depth_sr_ros.replay.metrics_file import write_metrics


@contextmanager
def largest_file(size: int):
    """No file grows beyond `size` bytes meanwhile: a write fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def noise(side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 9, (side, side)).astype(np.float32)


def test_content_permissions_links_and_folders(tmp_path):
    write_file(tmp_path / "a/b/c.txt", "grün\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "grün\n".encode()
    old = tmp_path / "old"
    old.write_bytes(b"x")
    old.chmod(0o640)
    (tmp_path / "link").symlink_to("old")
    write_file(tmp_path / "link", b"y")
    assert old.read_bytes() == b"y" and (tmp_path / "link").is_symlink() and stat.S_IMODE(old.stat().st_mode) == 0o640
    assert names(tmp_path) == ["a", "link", "old"]
    mask = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("suffix", [".png", ".npy", ".tiff", ".pfm", ".pgm"])
def test_a_full_disk_keeps_the_previous_depth_map(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    write_depth(path, np.full((4, 4), 2, np.float32))
    before = path.read_bytes()
    with largest_file(1000), pytest.raises(OSError) as error:
        write_depth(path, noise())
    assert error.value.errno == errno.EFBIG and error.value.filename == str(path)
    assert path.read_bytes() == before and names(tmp_path) == [path.name]


def test_a_full_disk_keeps_previous_metrics(tmp_path):
    path = write_metrics({"frames_in": 3}, tmp_path / "metrics.json")
    with largest_file(50), pytest.raises(OSError):
        write_metrics({"frames_in": 4, "notes": ["x" * 100]}, path)
    assert json.loads(path.read_text())["frames_in"] == 3 and names(tmp_path) == ["metrics.json"]


def test_files_that_belong_together_are_replaced_together(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(b"old")
    with largest_file(1000), pytest.raises(OSError) as error:
        write_files([(tmp_path / "a", b"new"), (tmp_path / "b", bytes(2000))])
    assert error.value.filename == str(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"old" and names(tmp_path) == ["a", "b"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a", b"x")
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file/below"):
        with pytest.raises(OSError) as error:
            write_file(path, b"x")
        assert error.value.filename == str(path)
    with pytest.raises(OSError) as error:
        write_file("/dev/full", b"x")
    assert error.value.errno == errno.ENOSPC


def test_pipes_are_written_to(tmp_path):
    code = "from depth_sr_ros.atomic import write_file; write_file('/dev/stdout', 'through')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"through"


WRITER = """
import sys, numpy as np
from depth_sr_ros.files import write_depth
depth = np.random.default_rng(0).uniform(1, 9, (300, 300)).astype(np.float32)
print("ready", flush=True)
while True:
    write_depth(sys.argv[1], depth)
"""


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_kill_at_any_time_leaves_a_whole_file(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    write_depth(path, noise(300))
    for delay in (0.01, 0.033, 0.071):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.kill()
        assert read_depth(path).shape == (300, 300)


def upsample(capsys, *arguments: str) -> tuple[int, dict, str]:
    code = main(["upsample", *arguments, "--method", "bicubic", "--scale", "2", "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_the_summary_is_of_what_was_written(tmp_path, capsys):
    depth = np.full((16, 16), 3, np.float32)
    depth[:, 8:] = 80  # 16-bit millimetres end at 65.5 m
    depth[:2] = np.nan
    np.save(tmp_path / "d.npy", depth)
    for suffix in (".png", ".npy", ".pfm"):
        out = tmp_path / f"o{suffix}"
        code, summary, _ = upsample(capsys, str(tmp_path / "d.npy"), "-o", str(out))
        written = read_depth(out)
        valid = np.isfinite(written)
        assert code == 0 and summary["invalid_share"] == pytest.approx(1 - valid.mean(), abs=1e-6)
        assert summary["min_m"] == pytest.approx(written[valid].min())
        assert summary["max_m"] == pytest.approx(written[valid].max())
    assert summary["max_m"] > 70


def test_float_millimetres_are_refused_as_png_and_warned_of_otherwise(tmp_path, capsys):
    np.save(tmp_path / "d.npy", np.full((16, 16), 1500, np.float32))
    code, summary, error = upsample(capsys, str(tmp_path / "d.npy"), "-o", str(tmp_path / "o.png"))
    assert code == 2 and "metres" in summary["error"] and not (tmp_path / "o.png").exists()
    code, summary, error = upsample(capsys, str(tmp_path / "d.npy"), "-o", str(tmp_path / "o.npy"))
    assert code == 0 and "warning" in error and "metres" in error


def test_nothing_valid_is_no_wrong_unit(tmp_path):
    written = write_depth(tmp_path / "d.png", np.full((4, 4), np.nan, np.float32))
    assert np.isnan(written).all() and np.isnan(read_depth(tmp_path / "d.png")).all()
