import numpy as np
import pytest

from depth_sr_ros.lr_kernels import downsample, round_uint8
from training.benchmark.protocols import DKN, P1, P2, crop_to_multiple


def test_p2_rounds_after_each_pass_and_p1_only_at_the_end():
    image = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(float)
    assert not np.array_equal(downsample(image, 4, P1.kernel), np.rint(downsample(image, 4, P1.kernel)))
    lr = downsample(image, 4, P2.kernel, level=1)
    assert np.array_equal(lr, np.rint(lr))
    assert not np.array_equal(lr, round_uint8(downsample(image, 4, "bicubic")))
    assert np.array_equal(P1.finish(P1.bicubic(lr, 4)), np.rint(P1.finish(P1.bicubic(lr, 4))))


def test_the_papers_bicubic_row_is_finite_where_the_lr_map_has_holes():
    lr = np.full((8, 8), 50.0)
    lr[2, 3] = np.nan
    for protocol in (P1, P2, DKN):
        np.testing.assert_allclose(protocol.bicubic(lr, 4), np.full((32, 32), 50.0), atol=1e-9)


def test_scoring_names_rounding_and_border():
    assert "rounded to whole levels" in P1.scoring and "not rounded" in DKN.scoring
    assert "6 pixels" in DKN.scoring and "border" not in P1.scoring


def test_crop_is_top_left_and_too_small_is_refused():
    image = np.arange(35).reshape(5, 7)
    assert np.array_equal(crop_to_multiple(image, 2), image[:4, :6])
    with pytest.raises(ValueError, match="too small for scale 8"):
        crop_to_multiple(image, 8)
