import cv2
import numpy as np
import pytest
from PIL import Image

from training.benchmark.protocols import (
    DKN,
    P1,
    P2,
    crop_to_multiple,
    downsample,
    imresize_uint8,
    round_uint8,
)


def test_imresize_uint8_is_pillows_8_bit_bicubic_away_from_the_border():
    image = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    ours = imresize_uint8(image, (16, 24))
    pillow = np.asarray(Image.fromarray(image).resize((24, 16), Image.Resampling.BICUBIC), dtype=float)
    # Pillow runs columns first and in fixed point: a rounding apart at most
    assert np.abs(ours - pillow)[2:-2, 2:-2].max() <= 1
    assert np.array_equal(ours, np.rint(ours)) and ours.min() >= 0 and ours.max() <= 255


def test_p2_rounds_after_each_pass_and_p1_only_at_the_end():
    image = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(float)
    assert not np.array_equal(downsample(image, 4, P1.kernel), np.rint(downsample(image, 4, P1.kernel)))
    lr = downsample(image, 4, P2.kernel)
    assert np.array_equal(lr, np.rint(lr))
    assert not np.array_equal(lr, round_uint8(downsample(image, 4, "bicubic")))
    assert np.array_equal(P1.finish(P1.bicubic(lr, 4)), np.rint(P1.finish(P1.bicubic(lr, 4))))


def test_round_uint8_rounds_halves_up_like_matlab_and_clips():
    assert round_uint8(np.array([0.5, 1.5, 2.5, -3.0, 300.0])).tolist() == [1, 2, 3, 0, 255]


@pytest.mark.parametrize("kernel", ["bicubic", "imresize_uint8", "pillow", "block", "nearest", "inter_cubic"])
def test_every_kernel_keeps_a_constant_and_ignores_holes(kernel):
    depth = np.full((24, 32), 50.0)
    depth[3:6, 4:9] = np.nan
    lr = downsample(depth, 4, kernel)
    assert lr.shape == (6, 8)
    np.testing.assert_allclose(lr, 50, atol=1e-9)


def test_block_is_invalid_only_where_a_cell_has_no_valid_pixel():
    depth = np.ones((8, 8))
    depth[:4, :4] = np.nan
    depth[5, 5] = np.nan
    assert np.isnan(downsample(depth, 4, "block")).tolist() == [[True, False], [False, False]]


def test_kernels_differ_on_an_edge_and_inter_cubic_is_opencvs():
    depth = np.random.default_rng(2).uniform(10, 200, (32, 32))
    made = {kernel: downsample(depth, 8, kernel) for kernel in ("bicubic", "block", "nearest", "inter_cubic")}
    assert np.array_equal(made["nearest"], depth[4::8, 4::8])
    assert np.array_equal(made["inter_cubic"], cv2.resize(depth, (4, 4), interpolation=cv2.INTER_CUBIC))
    names = list(made)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(made[one] - made[other]).max() > 1, (one, other)


def test_zero_is_a_valid_disparity_when_holes_are_filled():
    depth = np.zeros((8, 8))
    depth[0, 0] = np.nan
    assert np.array_equal(downsample(depth, 4, "nearest"), np.zeros((2, 2)))


def test_pillow_kernel_is_pillows_float_bicubic():
    depth = np.random.default_rng(3).uniform(0, 10, (48, 64)).astype(np.float32)
    pillow = np.asarray(Image.fromarray(depth).resize((16, 12), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(downsample(depth.astype(float), 4, DKN.kernel), pillow, atol=1e-4)


def test_crop_is_top_left_and_too_small_is_refused():
    image = np.arange(35).reshape(5, 7)
    assert np.array_equal(crop_to_multiple(image, 2), image[:4, :6])
    with pytest.raises(ValueError, match="too small for scale 8"):
        crop_to_multiple(image, 8)
    with pytest.raises(ValueError, match="crop it first"):
        downsample(image.astype(float), 2, "block")
    with pytest.raises(ValueError, match=r"unknown LR kernel 'lanczos'.*inter_cubic"):
        downsample(np.ones((4, 4)), 2, "lanczos")
