import pytest
import torch

from depth_sr_ros.diffusion.consistency import bound_to_neighbours, enforce_consistency
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


@pytest.mark.parametrize("scale", [2, 5])
def test_bounded_output_keeps_its_means_and_stays_within_the_measured_range(scale):
    torch.manual_seed(1)
    depth_lr = torch.rand(2, 1, 7, 6) + 0.5
    depth_lr[1, 0, 3, 3] = torch.nan
    free = enforce_consistency(torch.randn(2, 1, 7 * scale, 6 * scale), depth_lr)
    bounded = bound_to_neighbours(free, depth_lr)
    valid = torch.isfinite(depth_lr)
    assert (free.amax() > 2) and (free.amin() < 0)
    torch.testing.assert_close(block_mean(bounded, scale)[valid], depth_lr[valid], atol=1e-5, rtol=0)
    for b, y, x in valid.permute(0, 2, 3, 1).squeeze(-1).nonzero().tolist():
        around = depth_lr[b, 0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        around = around[torch.isfinite(around)]
        cell = bounded[b, 0, y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
        assert around.min() <= cell.min() and cell.max() <= around.max()
    hole = (1, 0, slice(3 * scale, 4 * scale), slice(3 * scale, 4 * scale))
    assert torch.equal(bounded[hole], free[hole])


def test_bounding_leaves_what_is_within_bounds():
    depth_lr = torch.rand(1, 1, 5, 5) + 0.5
    depth = depth_lr.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(bound_to_neighbours(depth, depth_lr), depth)
