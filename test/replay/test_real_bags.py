"""Recordings made from real RGB-D frames; skipped where they are not."""

import numpy as np
import pytest
from real_bags import KINECT_EXTRINSICS, SETS, UNREGISTERED, make_bag

from depth_sr_ros.messages.images import decode_depth
from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.reading import BagError, open_bag
from depth_sr_ros.resize import block_mean


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", SETS)
def test_real_frames_are_scored(data_set, tmp_path, name, scale):
    storage = "sqlite3" if scale == 2 else "mcap"
    path = make_bag(data_set(name), tmp_path / "bag", scale, frames=2, storage=storage)
    with open_bag(path) as bag:
        truth, depth_lr = (decode_depth(next(iter(bag.messages(role)))).metres() for role in ("truth", "depth"))
    np.testing.assert_allclose(depth_lr, block_mean(truth, scale), atol=5.1e-4)
    metrics = replay(path, tmp_path / "out", Replay(method="bicubic", scale=scale))
    assert metrics["frames_out"] == 2 and metrics["notes"] == []
    assert 0.0005 < metrics["mae_m"] < 0.1
    assert metrics["coverage"] > 0.99  # block mean needs one valid pixel per cell: nothing measured is lost
    assert metrics["invalid_share_output"] == pytest.approx(metrics["invalid_share_input"], abs=1e-6)
    assert (tmp_path / "out" / "panel.png").exists()


def test_unregistered_rgb_guides_by_extrinsics_alone(data_set, tmp_path):
    path = make_bag(data_set(UNREGISTERED), tmp_path / "bag", 8, frames=2)
    metrics = replay(path, tmp_path / "out", Replay(method="auto", scale=8))
    assert metrics["method"] == "dsrnet" and metrics["frames_out"] == 2
    assert any("'rgb_optical_frame'" in note for note in metrics["notes"])
    assert (metrics["frames_single"], metrics["frames_guided"]) == (2, 0)
    assert metrics["mae_m"] < metrics["mae_bicubic_m"]
    with pytest.raises(BagError, match="no RGB that can guide"):
        replay(path, tmp_path / "out", Replay(method="guided", scale=8))
    guided = replay(path, tmp_path / "guided", Replay(method="dada_rgb", scale=8, extrinsics=KINECT_EXTRINSICS))
    assert guided["frames_out"] == 2 and guided["notes"] == []
    assert guided["mae_m"] < 0.8 * guided["mae_bicubic_m"]
