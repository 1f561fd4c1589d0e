"""Small scenes for the diffusion tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from depth_sr_ros.diffusion import edge_coefficients
from depth_sr_ros.resize import bicubic, block_mean


@dataclass
class Problem:
    """Everything a solve takes, in one dtype."""

    depth: Tensor
    source: Tensor
    cv: Tensor
    ch: Tensor

    def __iter__(self):
        return iter((self.depth, self.source, self.cv, self.ch))


def make_problem(
    scale: int,
    cells: tuple[int, int] = (4, 5),
    batch: int = 1,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    near: float = 1.0,
    far: float = 3.0,
    kappa: float = 0.1,
    device: torch.device | str = "cpu",
) -> Problem:
    """A near disc before a slanted far plane, seen by a guide whose colours follow the disc, with weak texture."""
    generator = torch.Generator().manual_seed(seed)
    height, width = cells[0] * scale, cells[1] * scale
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    depths, guides = [], []
    for index in range(batch):
        inside = (y - 0.45 * height + index) ** 2 + (x - 0.5 * width - index) ** 2 < (0.32 * height) ** 2
        depths.append(torch.where(inside, near + 0.01 * x, far - 0.02 * y.double()))
        colour = torch.stack([torch.where(inside, 0.8, 0.2), torch.where(inside, 0.3, 0.5), 0.4 + 0.0 * x])
        guides.append(colour + 0.02 * torch.rand(3, height, width, generator=generator))
    truth = torch.stack(depths)[:, None].double()
    source = block_mean(truth, scale)
    cv, ch = edge_coefficients(torch.stack(guides).double(), kappa)
    return Problem(*(t.to(device, dtype).clone() for t in (bicubic(source, scale=scale), source, cv, ch)))
