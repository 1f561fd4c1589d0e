"""The offline replay goes on where a frame cannot: by depth alone, or with the next frame, and it counts why."""

from __future__ import annotations

import numpy as np
import pytest

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.inference.frames import ProblemKind
from depth_sr_ros.inference.settings import Settings
from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.offline import OfflineReplay
from depth_sr_ros.replay.reading import open_bag
from depth_sr_ros.replay.topics import IMAGE
from depth_sr_ros.replay.writing import DEFAULT_TOPICS, BagWriter

SCALE, FRAMES = 4, 6
STEP_NS = 100_000_000
CAMERA = Intrinsics(200.0, 200.0, 79.5, 59.5, 160, 120)
SETTINGS = Settings(method_single="bicubic", method_guided="dada_rgb", scale=SCALE)


def frame(index: int, height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A step that moves: LR depth, RGB, ground truth."""
    left = np.arange(width)[None].repeat(height, 0) < width // 4 + 12 * index
    truth = np.where(left, 1.0, 2.0).astype(np.float32)
    rgb = np.where(left[..., None], (200, 50, 50), (40, 80, 160)).astype(np.uint8)
    return truth.reshape(height // SCALE, SCALE, width // SCALE, SCALE).mean((1, 3)).astype(np.float32), rgb, truth


class Camera(BagWriter):
    """A driver with faults.

    Args:
        short: topic whose image of the third frame is cut short.
        rgb_shift_ns: added to the stamps of RGB.
        unpadded: the depth images have padded rows, but not the last one.
        garbled: the third depth message is no message at all.
    """

    def __init__(self, path, short="", rgb_shift_ns=0, unpadded=False, garbled=False, **options):
        super().__init__(path, **options)
        self.short, self.rgb_shift_ns, self.unpadded, self.garbled = short, rgb_shift_ns, unpadded, garbled

    def _header(self, topic, stamp_ns):
        is_rgb = topic in (DEFAULT_TOPICS.rgb, DEFAULT_TOPICS.rgb_info)
        return super()._header(topic, stamp_ns + self.rgb_shift_ns * is_rgb)

    def _write(self, topic, kind, stamp_ns, message):
        third = stamp_ns == 3 * STEP_NS
        if kind == IMAGE and topic == self.short and third:
            message.data = message.data[:100]
        if kind == IMAGE and topic == DEFAULT_TOPICS.depth and self.unpadded:
            rows = np.pad(message.data.reshape(message.height, -1), ((0, 0), (0, 16)))
            message.step, message.data = rows.shape[1], rows.ravel()[:-16]
        if topic == DEFAULT_TOPICS.depth and third and self.garbled:
            self._writer.write(self._connections[topic], stamp_ns, b"\x00\x01\x00\x00" + b"\x07" * 12)
            return
        super()._write(topic, kind, stamp_ns, message)


def write(path, camera: Intrinsics = CAMERA, **faults):
    with Camera(path, **faults) as bag:
        for index in range(FRAMES):
            depth, rgb, truth = frame(index)
            bag.write_frame((index + 1) * STEP_NS, depth, camera.scaled(1 / SCALE), rgb, camera, truth)
    return path


def run(path, settings: Settings = SETTINGS) -> tuple[list, OfflineReplay]:
    with open_bag(path) as bag:
        offline = OfflineReplay(bag, settings)
        return list(offline.frames()), offline


def test_every_frame_is_guided_and_nothing_is_noted(tmp_path):
    frames, offline = run(write(tmp_path / "bag"))
    assert [frame.stamp_ns for frame in frames] == [(index + 1) * STEP_NS for index in range(FRAMES)]
    assert (offline.counts.received, offline.counts.guided, offline.counts.single) == (FRAMES, FRAMES, 0)
    assert offline.notes() == [] and not offline.counts.problems


def test_rows_whose_last_lacks_its_padding_are_read(tmp_path):
    padded, _ = run(write(tmp_path / "padded", unpadded=True))
    plain, _ = run(write(tmp_path / "plain"))
    for one, other in zip(padded, plain, strict=True):
        np.testing.assert_array_equal(one.depth, other.depth)


@pytest.mark.parametrize(
    ("faults", "kind", "frames_out", "guided"),
    [
        ({"short": DEFAULT_TOPICS.depth}, ProblemKind.REJECTED, FRAMES - 1, FRAMES - 1),
        ({"garbled": True}, ProblemKind.REJECTED, FRAMES - 1, FRAMES - 1),
        ({"short": DEFAULT_TOPICS.rgb}, ProblemKind.GUIDE, FRAMES, FRAMES - 1),
    ],
)
def test_one_damaged_image_costs_one_frame_at_most(tmp_path, faults, kind, frames_out, guided):
    frames, offline = run(write(tmp_path / "bag", **faults))
    assert (len(frames), offline.counts.guided, offline.counts.received) == (frames_out, guided, FRAMES)
    assert offline.counts.problems == {kind: 1}
    (note,) = offline.notes()
    assert f"1 of {FRAMES} frames" in note


def test_a_damaged_ground_truth_is_not_compared(tmp_path):
    path = write(tmp_path / "bag", short=DEFAULT_TOPICS.truth)
    metrics = replay(path, tmp_path / "out", Replay("bicubic", SCALE))
    assert metrics["frames_out"] == FRAMES and metrics["mae_m"] > 0
    assert len(metrics["notes"]) == 1 and "truncated" in metrics["notes"][0]


def test_rgb_beyond_the_slop_leaves_depth_alone(tmp_path):
    path = write(tmp_path / "bag", rgb_shift_ns=30_000_000)
    frames, offline = run(path)
    assert len(frames) == offline.counts.single == FRAMES
    (note,) = offline.notes()
    assert "sync_slop 0.02 s" in note and "0.030" in note
    assert run(path, Settings(method_single="bicubic", method_guided="dada_rgb", sync_slop=0.04))[1].counts.guided


def test_a_change_of_resolution_does_not_end_it(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for index, (height, width) in enumerate([(120, 160), (60, 80), (120, 160)]):
            depth, rgb, truth = frame(index, height, width)
            camera = CAMERA.resized(width, height)
            bag.write_frame((index + 1) * STEP_NS, depth, camera.scaled(1 / SCALE), rgb, camera, truth)
    frames, offline = run(tmp_path / "bag")
    assert [frame.depth.shape for frame in frames] == [(120, 160), (60, 80), (120, 160)]
    assert offline.counts.guided == 3
    assert replay(tmp_path / "bag", tmp_path / "out", Replay("dada_rgb", SCALE))["frames_out"] == 3


def test_frames_that_fail_are_counted_and_the_next_one_comes_out(tmp_path):
    path = write(tmp_path / "bag")
    with open_bag(path) as bag:
        offline = OfflineReplay(bag, Settings(mode="single", method_single="bicubic"))
        upsample, calls = offline.pipeline.single.upsample, []

        def fails_once(depth):
            calls.append(depth)
            if len(calls) == 3:  # the first is the warm-up
                raise RuntimeError("out of memory")
            return upsample(depth)

        offline.pipeline.single.upsample = fails_once
        frames = list(offline.frames())
    assert len(frames) == FRAMES - 1 and offline.counts.problems == {ProblemKind.FAILED: 1}


def test_no_frame_is_dropped_however_many_wait(tmp_path):
    """At 200 Hz a dozen frames wait for RGB that does not come; the node would skip to the newest."""
    depth, rgb, _ = frame(0)
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_frame(10**9, depth, CAMERA.scaled(1 / SCALE), rgb, CAMERA)
        for index in range(1, 40):
            bag.write_frame(10**9 + index * 5_000_000, depth, CAMERA.scaled(1 / SCALE))
    frames, offline = run(tmp_path / "bag")
    assert len(frames) == 40 and offline.counts.single > 30
    assert [frame.stamp_ns for frame in frames] == sorted(frame.stamp_ns for frame in frames)


def test_what_is_scored_is_what_the_node_would_publish(tmp_path):
    millimetres, _ = run(write(tmp_path / "mm"))
    metres, _ = run(write(tmp_path / "m", depth_encoding="32FC1"))
    for one, other in zip(millimetres, metres, strict=True):
        np.testing.assert_array_equal(one.depth, (np.rint(one.depth * 1000) / 1000).astype(np.float32))
        np.testing.assert_allclose(one.depth, other.depth, atol=2e-3)
    assert any((frame.depth != (np.rint(frame.depth * 1000) / 1000).astype(np.float32)).any() for frame in metres)
