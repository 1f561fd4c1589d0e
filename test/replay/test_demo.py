"""The demo's recording: honest, reproducible, and at a rate that the machine sustains."""

import numpy as np
import pytest

from depth_sr_ros.messages.images import colour_pixels, decode_depth
from depth_sr_ros.replay.demo import DURATION_S, RATES_HZ, SIZE, fitting_rate, make_demo_bag, sustainable_rate
from depth_sr_ros.replay.reading import open_bag
from depth_sr_ros.resize import block_mean
from depth_sr_ros.synthetic.sensor import edge_mask


@pytest.mark.parametrize("scale", [4, 8])
def test_two_seconds_of_noisy_depth_with_exact_truth(tmp_path, scale):
    with open_bag(make_demo_bag(tmp_path / "bag", scale, rate_hz=3)) as bag:
        assert [bag.count(role) for role in ("depth", "rgb", "truth", "depth_info", "rgb_info")] == [6] * 5
        assert bag.duration == pytest.approx(5 / 3, abs=1e-3)
        depths = [decode_depth(m).metres() for m in bag.messages("depth")]
        truths = [decode_depth(m).metres() for m in bag.messages("truth")]
        rgb = colour_pixels(next(iter(bag.messages("rgb")))).astype(float)
    assert truths[0].shape == rgb.shape[:2] == SIZE[::-1]
    assert depths[0].shape == (SIZE[1] // scale, SIZE[0] // scale)
    assert not np.array_equal(truths[0], truths[-1]), "the camera moves"
    holes = np.isnan(depths[0]).mean()
    assert 0.005 < holes < 0.15
    noise = np.abs(depths[0] - block_mean(truths[0], scale))
    assert 0.001 < np.nanmedian(noise) < 0.02
    # Neither kind of edge implies the other, so guidance is not handed the answer.
    colour_edge = np.abs(np.diff(rgb.mean(axis=2), axis=1))[:-1] > 12
    depth_edge = edge_mask(truths[0], 0.04)[:-1, :-1]
    assert (colour_edge & ~depth_edge).sum() > 0.5 * (colour_edge & depth_edge).sum()
    assert (depth_edge & ~colour_edge).sum() > 0.2 * depth_edge.sum()


def test_ten_frames_where_the_machine_follows_5_hz():
    assert [fitting_rate(s) for s in (0.0, 0.05, 0.12, 0.2, 9.0)] == [15, 10, 5, 3, 2]
    assert round(fitting_rate(0.12) * DURATION_S) == 10


def test_rate_suits_the_machine():
    assert sustainable_rate([], 4) == RATES_HZ[0]
    assert sustainable_rate(["bicubic"], 4) in RATES_HZ
