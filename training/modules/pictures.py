"""The picture that TensorBoard shows of a validation scene."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps

WIDTH = 480  # pixels of one panel, at most


def comparison(depth_lr: torch.Tensor, output: torch.Tensor, depth_hr: torch.Tensor, valid: torch.Tensor) -> np.ndarray:
    """LR depth, output and absolute error side by side, (H, 3 W, 3) uint8.

    Both depth maps share the ground truth's colour scale; the error's scale ends at 2 % of the depth range.

    Args:
        depth_lr: (h, w).
        output: (H, W), like `depth_hr` and `valid` (bool).
    """
    low, high = depth_hr.min(), depth_hr.max()
    extent = (high - low).clamp(min=1e-12)
    enlarged = torch.nn.functional.interpolate(depth_lr[None, None].float(), size=depth_hr.shape)[0, 0]
    error = (output - depth_hr).abs() * valid / extent / 0.02
    step = max(1, -(-depth_hr.shape[1] // WIDTH))
    panels = [
        colormaps[colours](panel.detach().float().cpu().clamp(0, 1).numpy()[::step, ::step])[..., :3]
        for panel, colours in (
            ((enlarged - low) / extent, "viridis"),
            ((output - low) / extent, "viridis"),
            (error, "inferno"),
        )
    ]
    return (np.concatenate(panels, axis=1) * 255).round().astype(np.uint8)
