"""What every network of the registry is: scale, guide and normalisation handled once, here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, cast

import torch
from torch import nn

from ..choices import SIZES
from ..resize import bicubic


class DepthSRModel(nn.Module, ABC):
    """A depth super-resolution model: ``model(depth_lr, guide) -> depth_hr`` in the unit of ``depth_lr``.

    A subclass sets `scales`, `requires_guide`, `accepts_holes` and `sizes`, and implements `super_resolve`.

    Args:
        scale: integer upsampling factor, one of `scales`.
        size: one of `sizes`: "paper" (as published) or "lite" (for two CPU cores).

    Raises:
        ValueError: for a scale or size that the model does not have.
    """

    name: str = ""
    scales: tuple[int, ...] = (2, 4, 8, 16)
    sizes: tuple[str, ...] = SIZES
    requires_guide: bool = False
    accepts_holes: bool = False
    """True when NaN in depth_lr is understood as "no constraint here"; else the caller fills holes first."""
    accepts_guide_holes: bool = False
    """True when a guide pixel of NaN is understood as "no colour seen here"; else the caller fills it by the nearest
    colour, and the model takes that for the truth."""
    accepts_sigma: bool = False
    """True when the model takes the noise of depth_lr as a second input."""

    def __init__(self, scale: int, size: str = "lite"):
        super().__init__()
        if scale not in self.scales:
            raise ValueError(f"{self.name or type(self).__name__} has scales {self.scales}, got {scale}")
        if size not in self.sizes:
            raise ValueError(f"{self.name or type(self).__name__} has sizes {self.sizes}, got {size!r}")
        self.scale = scale
        self.size = size

    def forward(
        self, depth_lr: torch.Tensor, guide: torch.Tensor | None = None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Super-resolve a batch.

        Args:
            depth_lr: (B, 1, h, w) floating, any linear unit; finite unless `accepts_holes`.
            guide: (B, 3, h * scale, w * scale) RGB in [0, 1] in the depth view; required when `requires_guide`,
                refused otherwise. Finite unless `accepts_guide_holes`.
            sigma: standard deviation of the noise in `depth_lr`, in its unit: finite, at least 0, of a shape that
                expands to (B, 1, h, w). None: 0, depth without noise. Refused unless `accepts_sigma`.

        Returns:
            (B, 1, h * scale, w * scale) in the unit of `depth_lr`.

        Raises:
            ValueError: for a wrong shape, or a guide or sigma missing or unwanted.
        """
        self.check_inputs(depth_lr, guide)
        if sigma is None:
            return self.super_resolve(depth_lr, guide)
        if not self.accepts_sigma:
            raise ValueError(f"{self.name} takes no sigma with these weights: pass sigma=None")
        try:
            sigma = sigma.expand_as(depth_lr)
        except RuntimeError:
            raise ValueError(
                f"{self.name} expects sigma to expand to depth_lr's {tuple(depth_lr.shape)}, got {tuple(sigma.shape)}"
            ) from None
        return cast("TakesSigma", self).super_resolve(depth_lr, guide, sigma)

    @abstractmethod
    def super_resolve(self, depth_lr: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        """The model itself; shapes as in `forward`, already checked.

        A model that `accepts_sigma` has one more argument, see `TakesSigma`.
        """

    def check_inputs(self, depth_lr: torch.Tensor, guide: torch.Tensor | None) -> None:
        """Raise ValueError, saying what came and what was expected, when the shapes do not fit."""
        if depth_lr.ndim != 4 or depth_lr.shape[1] != 1:
            raise ValueError(f"{self.name} expects depth_lr of shape (B, 1, h, w), got {tuple(depth_lr.shape)}")
        if not self.requires_guide:
            if guide is not None:
                raise ValueError(f"{self.name} is a single-depth method and takes no guide: pass guide=None")
            return
        if guide is None:
            raise ValueError(f"{self.name} is a guided method: pass guide (B, 3, h * {self.scale}, w * {self.scale})")
        batch, _, height, width = depth_lr.shape
        expected = (batch, 3, height * self.scale, width * self.scale)
        if tuple(guide.shape) != expected:
            raise ValueError(f"{self.name} expects guide of shape {expected}, got {tuple(guide.shape)}")


class ResidualNetwork(DepthSRModel):
    """A network that sees depth normalised to its own range and adds detail to the bicubic upsampling.

    With r = max - min of each sample's depth_lr and d = (depth_lr - min) / r in [0, 1],
    ``depth_hr = min + r * (bicubic(d) + detail(d, guide))``. So the result follows any shift and positive scale of
    the unit: metres, millimetres and disparity all work with the same weights.
    """

    tile_overlap: int = 32
    """LR pixels around a tile that its result depends on noticeably."""
    tile_step: int = 1
    """LR pixels of which a tile's first row and column must be a multiple: the network's coarsest cells."""

    def super_resolve(
        self, depth_lr: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        depth, low, extent = self.normalise(depth_lr)
        return low + extent * self.super_resolve_normalised(depth, guide, None if sigma is None else sigma / extent)

    def normalise(self, depth_lr: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """d in [0, 1], min and r = max - min, such that depth_lr = min + r * d; min and r are (B, 1, 1, 1)."""
        low = depth_lr.amin(dim=(1, 2, 3), keepdim=True)
        extent = depth_lr.amax(dim=(1, 2, 3), keepdim=True) - low
        # a constant image has no range: any finite divisor gives d = 0, and the output stays the constant
        extent = torch.where(extent > 0, extent, torch.ones_like(extent))
        return (depth_lr - low) / extent, low, extent

    def super_resolve_normalised(
        self, depth: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        """bicubic(d) + detail for d (B, 1, h, w) in [0, 1]; the entry for tiles, whose range is the whole image's.

        `sigma` (B, 1, h, w), in the unit of d, for a network that `accepts_sigma`.
        """
        detail = self.detail(depth, guide) if sigma is None else cast("TakesSigma", self).detail(depth, guide, sigma)
        return bicubic(depth, scale=self.scale) + detail.to(depth.dtype)

    @abstractmethod
    def detail(self, depth: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        """The learned part: (B, 1, h * scale, w * scale) to be added to the bicubic upsampling of `depth`.

        A network that `accepts_sigma` has one more argument, see `TakesSigma`.
        """


class TakesSigma(Protocol):
    """The methods of a `ResidualNetwork` that `accepts_sigma`; `sigma` (B, 1, h, w) in the unit of the depth."""

    def super_resolve(
        self, depth_lr: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor: ...

    def detail(
        self, depth: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor: ...
