"""What one frame of a video leaves to the next: the detail of its solution, as a start for the solver."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch

from ..models.equilibrium import fill_invalid, upsampled
from ..resize import repeat

MAX_GAP = 2.0
"""Seconds between two frames beyond which the older one has nothing to say."""
SAME_SURFACE = 0.05
"""Relative change of an LR pixel up to which it still shows the same surface: above sensors' noise, below a step."""
SAME_SCENE = 0.5
"""Share of the valid LR pixels that must show the same surface; less is a scene cut."""


@dataclass(frozen=True)
class _Memory:
    stamp: float
    camera: Hashable
    depth_lr: torch.Tensor
    detail: torch.Tensor


class WarmStart:
    """Keeps the last solution and turns it into a start for the next frame, where the two show the same scene.

    Only the solution's detail is handed on, its difference from its own upsampled LR depth, and it is put on the new
    frame's upsampled LR depth: so the start agrees with the new measurement from the beginning. A cell takes it only
    if its LR pixel shows the same surface as before (`SAME_SURFACE`); the others, holes included, start cold. No cell
    of another scene, of what moved, or of another view thus starts from what was there before; and the solver takes
    the whole only where its residual does not say that the cold start is better.

    What is offered is forgotten: a frame that fails leaves nothing behind.
    """

    def __init__(self) -> None:
        self._memory: _Memory | None = None

    def offer(self, stamp: float, camera: Hashable, depth_lr: torch.Tensor, cold: torch.Tensor) -> torch.Tensor | None:
        """A start for this frame, or None when the last one says nothing about it.

        Args:
            stamp: seconds; time that went backwards, or on by more than `MAX_GAP`, ends the video.
            camera: whatever determines the view; another one than the last frame's ends the video.
            depth_lr: (1, 1, h, w), NaN invalid.
            cold: (1, 1, H, W), the start without memory.

        Returns:
            (1, 1, H, W), finite, equal to `cold` in cells that changed.
        """
        last, self._memory = self._memory, None
        if last is None or not 0.0 <= stamp - last.stamp <= MAX_GAP or last.camera != camera:
            return None
        if last.depth_lr.shape != depth_lr.shape or last.detail.shape != cold.shape:
            return None
        same = (depth_lr - last.depth_lr).abs() <= SAME_SURFACE * depth_lr.abs()  # False for NaN
        if int(same.sum()) < SAME_SCENE * int(torch.isfinite(depth_lr).sum()):
            return None
        scale = cold.shape[-1] // depth_lr.shape[-1]
        return torch.where(repeat(same, scale), upsampled(fill_invalid(depth_lr), scale) + last.detail, cold)

    def keep(self, stamp: float, camera: Hashable, depth_lr: torch.Tensor, solution: torch.Tensor) -> None:
        """Remember a frame; shapes as in `offer`."""
        scale = solution.shape[-1] // depth_lr.shape[-1]
        detail = solution - upsampled(fill_invalid(depth_lr), scale)
        self._memory = _Memory(stamp, camera, depth_lr, detail)
