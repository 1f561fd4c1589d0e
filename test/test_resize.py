import numpy as np
import pytest
import torch
from PIL import Image

from depth_sr_ros.resize import bicubic, bicubic_matrix, block_mean, repeat

SIZES = [(12, 16), (24, 32), (96, 128), (192, 256), (384, 512), (37, 91)]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((48, 64), dtype=np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_truncate_equals_pillow(image, size):
    expected = np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.BICUBIC))
    np.testing.assert_allclose(bicubic(image, size=size, border="truncate"), expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_symmetric_equals_pillow_inside(image, size):
    """MATLAB and Pillow differ at the border only: an image mirrored by hand turns one into the other."""
    mirrored = np.pad(image, 48, mode="symmetric")
    scale_y, scale_x = size[0] / 48, size[1] / 64
    if not ((48 * scale_y).is_integer() and (48 * scale_x).is_integer()):
        pytest.skip("the mirrored image has no integer size at this scale")
    border_y, border_x = round(48 * scale_y), round(48 * scale_x)
    wide = (mirrored.shape[1] * size[1] // 64, mirrored.shape[0] * size[0] // 48)
    pillow = np.asarray(Image.fromarray(mirrored).resize(wide, Image.BICUBIC))
    expected = pillow[border_y : border_y + size[0], border_x : border_x + size[1]]
    np.testing.assert_allclose(bicubic(image, size=size), expected, atol=1e-6)


def test_matlab_values():
    """imresize([0 0 1 0 0 0 0 0], [1 4]) and imresize(delta, 2): Keys' weights at the known phases."""
    down = bicubic(np.eye(1, 8, 2, dtype=np.float64), size=(1, 4))
    np.testing.assert_allclose(down[0, 1], 0.43359375, atol=1e-12)  # h(0.25) / 2 with h(0.25) = 0.8671875
    up = bicubic_matrix(8, 16)
    np.testing.assert_allclose(up[8, 2:6], [-0.0234375, 0.2265625, 0.8671875, -0.0703125], atol=1e-12)


@pytest.mark.parametrize("border", ["symmetric", "truncate"])
@pytest.mark.parametrize("lengths", [(1, 4), (2, 16), (5, 5), (7, 3), (100, 13)])
def test_rows_sum_to_one(lengths, border):
    np.testing.assert_allclose(bicubic_matrix(*lengths, border).sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("size", [*SIZES, (48, 64), (1, 1)])
@pytest.mark.parametrize("border", ["symmetric", "truncate"])
def test_torch_equals_numpy(image, size, border):
    ours = bicubic(torch.from_numpy(image)[None, None].double(), size=size, border=border)
    np.testing.assert_allclose(ours[0, 0], bicubic(image.astype(np.float64), size=size, border=border), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3)])
def test_tiny_images_upsample(shape):
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    up = bicubic(torch.from_numpy(x), scale=4)
    np.testing.assert_allclose(up, bicubic(x, scale=4), atol=1e-12)


def test_bicubic_refuses_bad_arguments(image):
    with pytest.raises(ValueError, match="exactly one"):
        bicubic(image)
    with pytest.raises(ValueError, match="floating"):
        bicubic(np.zeros((4, 4), np.uint16), scale=2)
    with pytest.raises(ValueError, match="border"):
        bicubic(image, scale=2, border="wrap")


def test_block_mean_ignores_nan():
    x = np.array([[1, 3, np.nan, np.nan], [np.nan, 5, np.nan, np.nan]], dtype=np.float32)
    for result in (block_mean(x, 2), block_mean(torch.from_numpy(x), 2).numpy()):
        np.testing.assert_array_equal(result, [[3, np.nan]])
        assert result.dtype == np.float32


def test_block_mean_inverts_repeat(image):
    np.testing.assert_allclose(block_mean(repeat(image, 3), 3), image, rtol=1e-6)
    np.testing.assert_array_equal(repeat(torch.from_numpy(image), 3).numpy(), repeat(image, 3))


def test_block_mean_refuses_uneven_sizes(image):
    with pytest.raises(ValueError, match="crop first"):
        block_mean(image, 5)
