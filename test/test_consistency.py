import pytest
import torch

from depth_sr_ros.consistency import enforce_consistency
from depth_sr_ros.resize import block_mean


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_block_mean_equals_input(adjustment, scale):
    torch.manual_seed(0)
    depth_lr = torch.rand(2, 1, 6, 5, dtype=torch.float64) + 0.5
    depth_lr[0, 0, 2, 3] = torch.nan
    depth = torch.rand(2, 1, 6 * scale, 5 * scale, dtype=torch.float64) + 0.1
    result = enforce_consistency(depth, depth_lr, adjustment)
    valid = torch.isfinite(depth_lr)
    assert torch.allclose(block_mean(result, scale)[valid], depth_lr[valid], atol=1e-12)
    cell = slice(2 * scale, 3 * scale), slice(3 * scale, 4 * scale)
    assert torch.equal(result[0, 0][cell], depth[0, 0][cell])
    assert torch.allclose(enforce_consistency(result, depth_lr, adjustment), result, atol=1e-12)


def test_multiplicative_shifts_where_it_cannot_scale():
    depth = torch.zeros(1, 1, 2, 2)
    result = enforce_consistency(depth, torch.full((1, 1, 1, 1), 3.0), "multiplicative")
    assert torch.equal(result, torch.full((1, 1, 2, 2), 3.0))


def test_bad_arguments():
    with pytest.raises(ValueError, match="adjustment"):
        enforce_consistency(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2), "median")
    with pytest.raises(ValueError, match="integer multiple"):
        enforce_consistency(torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 2, 2))
