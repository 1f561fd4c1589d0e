"""Scores, metrics.json and the picture, on frames whose errors are known."""

import dataclasses
import json

import numpy as np
import pytest

from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.methods import method_settings
from depth_sr_ros.replay.metrics_file import CONTRACT, latency_metrics, write_metrics
from depth_sr_ros.replay.panel import draw_panel
from depth_sr_ros.replay.reading import BagError, open_bag
from depth_sr_ros.replay.scoring import Example, ReplayedFrame, Scorer, most_telling
from depth_sr_ros.replay.topics import Topics
from depth_sr_ros.replay.writing import DEFAULT_TOPICS, BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene

SCALE = 4
CAMERA = default_camera(160, 120)
NO_TRUTH = Topics(DEFAULT_TOPICS.depth, DEFAULT_TOPICS.depth_info, DEFAULT_TOPICS.rgb, DEFAULT_TOPICS.rgb_info, None)


@pytest.fixture(scope="module")
def frame():
    return random_scene(3).render(CAMERA)


@pytest.fixture(scope="module")
def depth_lr(frame):
    return DepthCamera(SCALE).observe_frame(frame)


@pytest.fixture(scope="module")
def bag_path(tmp_path_factory, frame, depth_lr):
    path = tmp_path_factory.mktemp("scoring") / "bag"
    with BagWriter(path, depth_encoding="32FC1") as bag:
        for index in range(3):
            bag.write_frame((index + 1) * 10**8, depth_lr, CAMERA.scaled(1 / SCALE), frame.rgb, CAMERA, frame.depth)
    return path


def score(path, *results, **topics):
    with open_bag(path, **topics) as bag:
        scorer = Scorer(bag, SCALE)
        examples = [scorer.add(r) for r in results]
    return scorer, examples


def test_perfect_result_has_no_error_and_bicubic_its_own(bag_path, frame, depth_lr):
    scorer, _ = score(bag_path, ReplayedFrame(10**8, frame.depth, 0.1))
    totals = scorer.summary()
    bicubic = DepthUpsampler("bicubic", scale=SCALE).upsample(depth_lr)
    valid = np.isfinite(bicubic)
    assert totals["mae_m"] == 0 == totals["rmse_m"]
    assert totals["mae_bicubic_m"] == pytest.approx(np.abs(bicubic - frame.depth)[valid].mean(), rel=1e-6)
    assert totals["rmse_bicubic_m"] > totals["mae_bicubic_m"]
    assert totals["mae_edges_bicubic_m"] > totals["mae_bicubic_m"]
    assert totals["coverage"] == 1
    assert totals["invalid_share_input"] == pytest.approx(np.isnan(depth_lr).mean())


def test_errors_are_pooled_over_frames(bag_path, frame):
    scorer, _ = score(
        bag_path,
        ReplayedFrame(10**8, frame.depth + np.float32(0.1), 0),
        ReplayedFrame(2 * 10**8, frame.depth + np.float32(0.3), 0),
    )
    assert scorer.summary()["mae_m"] == pytest.approx(0.2, rel=1e-4)
    assert scorer.summary()["rmse_m"] == pytest.approx(np.sqrt(0.05), rel=1e-4)


def test_holes_of_the_result_cost_coverage_and_not_error(bag_path, frame):
    holey = frame.depth.copy()
    holey[:60] = np.nan
    totals = score(bag_path, ReplayedFrame(10**8, holey, 0))[0].summary()
    assert totals["mae_m"] == 0
    assert totals["coverage"] == pytest.approx(0.5)
    assert totals["invalid_share_output"] == pytest.approx(0.5)


def test_stamps_without_input_are_not_scored(bag_path, frame):
    scorer, examples = score(bag_path, ReplayedFrame(123, frame.depth, 0))
    assert scorer.unmatched == 1 and examples == [None]
    assert scorer.summary()["mae_m"] is None


def test_other_sizes_are_noted_and_not_compared(bag_path, frame):
    scorer, _ = score(bag_path, ReplayedFrame(10**8, frame.depth[:-4], 0))
    assert scorer.summary()["mae_m"] is None
    assert scorer.notes == ["output is 160x116, input times scale 160x120: not scored"]


def test_without_ground_truth_consistency_remains(bag_path, depth_lr):
    steps = depth_lr.repeat(SCALE, 0).repeat(SCALE, 1)
    totals = score(bag_path, ReplayedFrame(10**8, steps, 0), truth="")[0].summary()
    assert totals["mae_m"] is None and totals["mae_bicubic_m"] is None
    assert totals["lr_consistency_m"] == pytest.approx(0, abs=1e-6)


def test_most_telling_frame_has_the_most_edges():
    flat, step = np.ones((8, 8), np.float32), np.ones((8, 8), np.float32)
    step[:, 4:] = 2
    examples = [Example(i, d[::2, ::2], None, d, d, d) for i, d in enumerate((flat, step, flat))]
    assert most_telling(iter(examples)).stamp_ns == 1
    assert most_telling(iter([])) is None


def test_metrics_file_has_the_contracts_names_and_null(tmp_path):
    metrics = {"extra": float("nan"), "method": "x", "nested": {"a": np.float32(1 / 3)}}
    written = json.loads(write_metrics(metrics, tmp_path / "m.json").read_text())
    assert tuple(written)[: len(CONTRACT)] == CONTRACT
    assert written["mae_m"] is None and written["extra"] is None and written["method"] == "x"
    assert written["nested"]["a"] == pytest.approx(1 / 3, rel=1e-5)


def test_latencies_in_milliseconds():
    assert latency_metrics([0.1, 0.2, 0.3])["latency_ms_p50"] == pytest.approx(200)
    assert latency_metrics([]) == {"latency_ms_p50": None, "latency_ms_p95": None, "latency_ms_max": None}


@pytest.mark.parametrize("with_truth", [True, False])
@pytest.mark.parametrize("with_rgb", [True, False])
def test_panel_is_drawn_with_and_without_truth_and_rgb(tmp_path, frame, depth_lr, with_truth, with_rgb):
    import cv2

    bicubic = DepthUpsampler("bicubic", scale=SCALE).upsample(depth_lr)
    example = Example(
        0, depth_lr, frame.rgb if with_rgb else None, bicubic, bicubic, frame.depth if with_truth else None
    )
    metrics = {"frames_in": 3, "frames_out": 3, "mae_m": 0.01, "mae_bicubic_m": 0.02}
    picture = cv2.imread(str(draw_panel(example, tmp_path / "p.png", "bicubic", SCALE, metrics)))
    assert picture.shape[0] > 500 and picture.shape[1] > 1000
    assert picture.std() > 30


def test_panel_survives_a_frame_without_any_depth(tmp_path):
    nothing = np.full((24, 32), np.nan, np.float32)
    draw_panel(Example(0, nothing[::2, ::2], None, nothing, nothing, nothing), tmp_path / "p.png", "x", 2, {})
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_method_settings():
    assert method_settings("auto") == {"mode": "auto"}
    assert method_settings("bicubic") == {"mode": "single", "method_single": "bicubic"}
    assert method_settings("dada_rgb") == {"mode": "guided", "method_guided": "dada_rgb"}
    with pytest.raises(ValueError, match=r"magic.*auto, single, guided"):
        method_settings("magic")


def test_offline_guided_replay_beats_bicubic(tmp_path, bag_path):
    progress = []
    metrics = replay(bag_path, tmp_path, Replay(scale=SCALE), lambda *step: progress.append(step))
    assert metrics["frames_in"] == metrics["frames_out"] == 3
    assert metrics["method"] in ("dada", "dada_rgb") and metrics["live"] is False
    assert metrics["weights"] == DepthUpsampler(metrics["method"], SCALE).weights
    assert metrics["mae_m"] < 0.8 * metrics["mae_bicubic_m"]
    assert metrics["latency_ms_p50"] > 0
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert (tmp_path / "panel.png").exists()
    assert progress[-1] == ("upsampling", 3, 3)


def test_offline_bicubic_equals_bicubic(tmp_path, bag_path):
    metrics = replay(bag_path, tmp_path, Replay(method="bicubic", scale=SCALE))
    assert metrics["mae_m"] == metrics["mae_bicubic_m"] > 0
    assert metrics["mae_ratio"] == 1 and metrics["weights"] is None


def test_guided_needs_calibrated_rgb(tmp_path, bag_path):
    with pytest.raises(BagError, match="needs calibrated RGB"):
        replay(bag_path, tmp_path, Replay(method="guided", scale=SCALE), rgb="")
    metrics = replay(bag_path, tmp_path, Replay(method="auto", scale=SCALE), rgb="", truth="")
    assert metrics["method"] in ("dsrnet", "bicubic") and metrics["mae_m"] is None


def test_unregistered_rgb_does_not_guide_unless_said_so(tmp_path, frame, depth_lr):
    with BagWriter(tmp_path / "bag", frame_id="depth", rgb_frame_id="rgb") as bag:
        bag.write_frame(10**8, depth_lr, CAMERA.scaled(1 / SCALE), frame.rgb, CAMERA)
    metrics = replay(tmp_path / "bag", tmp_path, Replay(scale=SCALE))
    assert metrics["method"] in ("dsrnet", "bicubic")
    assert len(metrics["notes"]) == 1 and "'depth'" in metrics["notes"][0] and "'rgb'" in metrics["notes"][0]
    with pytest.raises(BagError, match="assume-registered"):
        replay(tmp_path / "bag", tmp_path, Replay("guided", SCALE))
    metrics = replay(tmp_path / "bag", tmp_path, Replay("guided", SCALE, assume_registered=True))
    assert metrics["method"] in ("dada", "dada_rgb") and metrics["notes"] == []


def test_rgb_of_another_view_does_not_guide(tmp_path, frame, depth_lr):
    other = dataclasses.replace(CAMERA, cx=CAMERA.cx - 60)
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_frame(10**8, depth_lr, CAMERA.scaled(1 / SCALE), frame.rgb, other)
    metrics = replay(tmp_path / "bag", tmp_path, Replay(scale=SCALE))
    assert metrics["method"] in ("dsrnet", "bicubic") and "of the depth view" in metrics["notes"][0]


def test_frame_without_rgb_in_time_is_not_delivered(tmp_path, frame, depth_lr):
    with BagWriter(tmp_path / "bag", NO_TRUTH) as bag:
        bag.write_frame(10**8, depth_lr, CAMERA.scaled(1 / SCALE), frame.rgb, CAMERA)
        bag.write_frame(2 * 10**8, depth_lr, CAMERA.scaled(1 / SCALE))
    metrics = replay(tmp_path / "bag", tmp_path, Replay(method="dada_rgb", scale=SCALE))
    assert (metrics["frames_in"], metrics["frames_out"], metrics["frames_lost"]) == (2, 1, 1)
    assert (metrics["frames_guided"], metrics["frames_unguided"]) == (1, 1) and len(metrics["notes"]) == 2
    metrics = replay(tmp_path / "bag", tmp_path, Replay(method="auto", scale=SCALE))
    assert (metrics["frames_out"], metrics["frames_guided"], metrics["frames_single"]) == (2, 1, 1)
