"""DepthUpsampler: the one way to super-resolve a depth map, from Python, the command line and the node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .consistency import ADJUSTMENTS, enforce_consistency
from .depth import expand_mask, fill_holes, valid_mask
from .models import ResidualNetwork
from .tiling import super_resolve_in_tiles
from .weights import load_model

PRECISIONS = ("auto", "float32", "float16", "bfloat16")


class DepthUpsampler:
    """Super-resolves single depth maps by any method of the registry.

    Args:
        method: one of `depth_sr_ros.models.list_models()`.
        scale: integer upsampling factor the method has.
        device: "auto" (CUDA when there is one, else CPU) or any torch device string.
        size: "paper" or "lite"; None takes "lite" where the method has it. Methods without weights ignore it.
        precision: "auto" (float16 autocast for networks on CUDA, float32 on a CPU), "float32", "float16", "bfloat16".
            Diffusion always runs in float32.
        weights: None for the bundled ones, a bundled variant's name ("robust"), or a .safetensors file.
        consistent: make the block mean of the output equal the valid input: False, True (= "additive"), "additive" or
            "multiplicative".
        fill_holes: False keeps an LR pixel's hole as a hole of scale x scale pixels; True returns the method's own
            guess there (an estimate: nothing was measured).
        tile: edge of a tile in LR pixels to bound the memory of networks; None runs the frame whole.

    Raises:
        ValueError: for an unknown method, scale, size or precision, or weights that do not fit (`WeightsError`).

    Example:
        >>> depth_hr = DepthUpsampler("dada_rgb", scale=4).upsample(depth, guide)
    """

    def __init__(
        self,
        method: str = "dsrnet",
        scale: int = 4,
        device: str = "auto",
        size: str | None = None,
        precision: str = "auto",
        weights: str | Path | None = None,
        consistent: bool | str = False,
        fill_holes: bool = False,
        tile: int | None = None,
    ):
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {precision!r}")
        if not isinstance(consistent, bool) and consistent not in ADJUSTMENTS:
            raise ValueError(f"consistent must be False, True or one of {ADJUSTMENTS}, got {consistent!r}")
        if tile is not None and tile < 16:
            raise ValueError(f"tile must be at least 16 LR pixels, got {tile}")
        self.device = _pick_device(device)
        self.model, self.card = load_model(method, scale, size, weights)
        self.model.to(self.device)
        self.method, self.scale, self.size = method, scale, self.model.size
        self.adjustment = "additive" if consistent is True else consistent
        self.fill_holes = fill_holes
        self.tile = tile if isinstance(self.model, ResidualNetwork) else None
        self.autocast_dtype = self._pick_precision(precision)
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)

    @property
    def requires_guide(self) -> bool:
        """Whether `upsample` needs an RGB guide."""
        return self.model.requires_guide

    def upsample(self, depth: np.ndarray, guide: np.ndarray | None = None) -> np.ndarray:
        """Super-resolve one depth map.

        Args:
            depth: (H, W) float32 metres (any linear unit works); NaN, infinite or <= 0 is invalid.
            guide: (H * scale, W * scale, 3) uint8 RGB in the depth camera's view; required by guided methods, and
                refused by single-depth ones.

        Returns:
            (H * scale, W * scale) float32 in the unit of `depth`; NaN where invalid.

        Raises:
            ValueError: for wrong shapes or dtypes, or a guide missing or unwanted.
        """
        depth = np.asarray(depth)
        if depth.ndim != 2 or depth.size == 0 or not np.issubdtype(depth.dtype, np.floating):
            raise ValueError(f"depth must be a floating (H, W) array in metres, got {depth.dtype} {depth.shape}")
        depth = depth.astype(np.float32, copy=False)
        valid = valid_mask(depth)
        if not valid.any():
            self._check_guide(depth, guide)
            return np.full((depth.shape[0] * self.scale, depth.shape[1] * self.scale), np.nan, np.float32)
        holes_as_nan = np.where(valid, depth, np.float32(np.nan))
        source = holes_as_nan if self.model.accepts_holes else fill_holes(holes_as_nan)
        guide_tensor = self._check_guide(depth, guide)
        with torch.inference_mode():
            output = self._run(_image_tensor(source, self.device), guide_tensor)
            if self.adjustment:
                output = enforce_consistency(output, _image_tensor(holes_as_nan, self.device), self.adjustment)
            result = output[0, 0].cpu().numpy()
        if not self.fill_holes and not valid.all():
            result[~expand_mask(valid, self.scale)] = np.nan
        return result

    def _run(self, source: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        enabled = self.autocast_dtype is not None
        with torch.autocast(self.device.type, dtype=self.autocast_dtype or torch.float32, enabled=enabled):
            if self.tile is None:
                return self.model(source, guide).float()
            return super_resolve_in_tiles(self.model, source, guide, self.tile).float()

    def _check_guide(self, depth: np.ndarray, guide: np.ndarray | None) -> torch.Tensor | None:
        if not self.requires_guide:
            if guide is not None:
                raise ValueError(f"{self.method} is a single-depth method and takes no guide: pass guide=None")
            return None
        expected = (depth.shape[0] * self.scale, depth.shape[1] * self.scale, 3)
        if guide is None:
            raise ValueError(f"{self.method} needs a guide: uint8 RGB of shape {expected}")
        if guide.dtype != np.uint8 or guide.shape != expected:
            raise ValueError(f"{self.method} needs a guide of uint8 {expected}, got {guide.dtype} {guide.shape}")
        # a view of a message is read-only, which torch warns about
        writable = np.require(guide, requirements=["C", "W"])
        tensor = torch.from_numpy(writable).to(self.device)
        return tensor.permute(2, 0, 1)[None].float() / 255.0

    def _pick_precision(self, precision: str) -> torch.dtype | None:
        if precision == "auto":
            precision = "float16" if self.device.type == "cuda" else "float32"
        if precision == "float32" or not isinstance(self.model, ResidualNetwork):
            return None
        return getattr(torch, precision)


def _pick_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for, but torch sees no CUDA device: use device='auto' or 'cpu'")
    return chosen


def _image_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)
