"""DepthUpsampler: the one way to super-resolve a depth map, from Python, the command line and the node."""

from __future__ import annotations

import time
import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..camera import fill_unseen
from ..choices import ADJUSTMENTS, CONSTRAINT_KERNELS
from ..depth import expand_mask, fill_holes, valid_mask
from ..diffusion.consistency import enforce_consistency
from ..models import ResidualNetwork, diffuses, list_models
from ..models.equilibrium import EquilibriumModel
from ..zoo.choice import AUTO, load_model
from .frames import SolveInfo
from .noise import checked_sigma, estimate_sigma
from .precision import autocast_dtype, check_precision
from .tiling import super_resolve_in_tiles
from .warm_start import WarmStart


@dataclass(frozen=True, eq=False)
class UpsampleResult:
    """What one call of `DepthUpsampler.infer` gives.

    Attributes:
        depth: (H * scale, W * scale) float32 in the unit of the input; NaN where invalid.
        solve: how the diffusion ended; None for a method that does not diffuse, or an input without valid depth.
    """

    depth: np.ndarray
    solve: SolveInfo | None = None


class DepthUpsampler:
    """Super-resolves single depth maps by any method of the registry.

    Args:
        method: one of `depth_sr_ros.models.list_models()`.
        scale: integer upsampling factor the method has.
        device: "auto" (CUDA when there is one, else CPU) or any torch device string.
        size: "paper" or "lite"; None takes "lite" where the method has it. Methods without weights ignore it.
        precision: "auto", "float32", "float16", "bfloat16" (autocast). Auto is, for networks, float16 on CUDA, bfloat16
            on a CPU that computes in it, else float32. Diffusion methods run in float32, dada's network included.
        weights: "auto" (or None) for what serves a camera (the variant trained on several LR kernels and sensor noise
            where it ships, see `zoo.choice`), "clean" for MATLAB bicubic LR, a bundled variant's name ("robust"), or a
            .safetensors file.
        consistent: make the block mean of the output equal the valid input: False, True (= "additive"), "additive" or
            "multiplicative".
        fill_holes: False keeps an LR pixel's hole as a hole of scale x scale pixels; True returns the method's own
            guess there (an estimate: nothing was measured).
        tile: edge of a tile in LR pixels to bound the memory of networks; None runs the frame whole, as bicubic and
            diffusion methods always do.
        max_iterations: of a diffusion method's solver per frame; None: the model's own (200 by default).
        time_budget_s: seconds from the call after which a diffusion method returns the solution so far; None: no limit.
            Its network, if it has one, always runs.
        lr_kernel: what the LR depth is of the HR depth, to which a diffusion method holds its result: the "block_mean"
            (what a depth camera's pixel measures) or the MATLAB "bicubic" (what images made for benchmarks often are).
            None: what the weights were trained for, the block mean where they do not say.
        sigma: standard deviation of the noise in depth, in its unit, for methods that take it (`takes_sigma`):
            diffusion methods, which weigh readings by it, and networks that are told it. None: estimated from each
            frame (`noise.estimate_sigma`). 0: none, a diffusion method holds its result to the depth. A number, or
            a map of the shape of depth, finite and at least 0.

    Attributes:
        weights: the stem of the weights file that was taken; None for a method without parameters.
        card: of these weights; None likewise.
        max_iterations, time_budget_s, sigma: as above, free to change between frames.

    Raises:
        ValueError: for an unknown method, scale, size, precision or kernel, weights that do not fit (`WeightsError`),
            an `lr_kernel` for a method that does not diffuse, or "bicubic" (given, or of the weights) together with
            `consistent`: no output has both the block mean and the bicubic reduction of its input.

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
        weights: str | Path | None = AUTO,
        consistent: bool | str = False,
        *,
        fill_holes: bool = False,
        tile: int | None = None,
        max_iterations: int | None = None,
        time_budget_s: float | None = None,
        lr_kernel: str | None = None,
        sigma: float | np.ndarray | None = None,
    ):
        check_precision(precision)
        if not isinstance(consistent, bool) and consistent not in ADJUSTMENTS:
            raise ValueError(f"consistent must be False, True or one of {ADJUSTMENTS}, got {consistent!r}")
        if lr_kernel is not None and lr_kernel not in CONSTRAINT_KERNELS:
            raise ValueError(f"lr_kernel must be None or one of {CONSTRAINT_KERNELS}, got {lr_kernel!r}")
        if tile is not None and tile < 16:
            raise ValueError(f"tile must be at least 16 LR pixels, got {tile}")
        if max_iterations is not None and max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, got {max_iterations}; None is the model's own")
        if time_budget_s is not None and not time_budget_s > 0:
            raise ValueError(f"time_budget_s must be positive, got {time_budget_s}; None is no limit")
        self.sigma: float | np.ndarray | None = None if sigma is None else checked_sigma(sigma)
        self.device = _pick_device(device)
        self.model, self.card, self.weights = load_model(method, scale, size, AUTO if weights is None else weights)
        self.model.to(self.device)
        self.method, self.scale, self.size = method, scale, self.model.size
        self.adjustment = "additive" if consistent is True else consistent
        self._hold_to(lr_kernel)
        self.fill_holes = fill_holes
        self.tile = tile if isinstance(self.model, ResidualNetwork) else None
        self.autocast_dtype = autocast_dtype(precision, self.model, self.device)
        self.max_iterations, self.time_budget_s = max_iterations, time_budget_s
        self._video = WarmStart()
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def _hold_to(self, lr_kernel: str | None) -> None:
        if not isinstance(self.model, EquilibriumModel):
            if lr_kernel is not None:
                raise ValueError(
                    f"lr_kernel={lr_kernel!r} came for {self.method}, which does not diffuse and is held to no kernel: "
                    f"leave it out, or choose one of {', '.join(filter(diffuses, list_models()))}"
                )
            return
        if lr_kernel is not None:
            self.model.hold_to(lr_kernel)
        if self.adjustment and self.model.lr_kernel == "bicubic":
            source = "asked for" if lr_kernel is not None else f"what these weights of {self.method} were trained for"
            raise ValueError(
                f"consistent={self.adjustment!r} makes the block mean equal the input, and lr_kernel 'bicubic' "
                f"({source}) its bicubic reduction: set consistent to False, or lr_kernel to 'block_mean'"
            )

    @property
    def requires_guide(self) -> bool:
        """Whether `upsample` needs an RGB guide."""
        return self.model.requires_guide

    @property
    def takes_sigma(self) -> bool:
        """Whether the network is told the noise of depth."""
        return self.model.accepts_sigma

    def upsample(
        self,
        depth: np.ndarray,
        guide: np.ndarray | None = None,
        guide_seen: np.ndarray | None = None,
        stamp: float | None = None,
        camera: Hashable = None,
        sigma: float | np.ndarray | None = None,
    ) -> np.ndarray:
        """The depth of `infer`, with the same arguments; a warning says when a diffusion ended above its tolerance."""
        result = self.infer(depth, guide, guide_seen, stamp, camera, sigma)
        if (text := self.unconverged(result)) is not None:
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        return result.depth

    def unconverged(self, result: UpsampleResult) -> str | None:
        """What to tell the user of a diffusion that ended above its tolerance though no budget was set; else None."""
        solve = result.solve
        if solve is None or solve.converged or self.max_iterations is not None or self.time_budget_s is not None:
            return None
        return (
            f"{self.method} x{self.scale} ended at a relative residual of {solve.relative_residual:.1e} after "
            f"{solve.iterations} iterations, expected {self.model.tolerance:.1e}: the detail of the output is "
            "unfinished; raise max_iterations"
        )

    def infer(
        self,
        depth: np.ndarray,
        guide: np.ndarray | None = None,
        guide_seen: np.ndarray | None = None,
        stamp: float | None = None,
        camera: Hashable = None,
        sigma: float | np.ndarray | None = None,
    ) -> UpsampleResult:
        """Super-resolve one depth map.

        Args:
            depth: (H, W) float32 metres (any linear unit works); NaN, infinite or <= 0 is invalid.
            guide: (H * scale, W * scale, 3) uint8 RGB in the depth camera's view; required by guided methods, and
                refused by single-depth ones.
            guide_seen: (H * scale, W * scale) bool, False where RGB saw nothing and `guide` has no colour to tell:
                diffusion methods go by depth alone there, other guided networks get the nearest colour that was seen.
                None: all seen.
            stamp: seconds; frames that have one are a video, and a diffusion method starts from the last frame's
                solution where that is worth it (`WarmStart`). The result is the same up to the tolerance. None: every
                frame is on its own.
            camera: whatever determines the view (intrinsics, extrinsics): when it changes, the video begins anew.
            sigma: noise of this frame, as the constructor's; None: the constructor's.

        Returns:
            The depth, (H * scale, W * scale) float32 in the unit of `depth`, NaN where invalid, and what the solver
            did.

        Raises:
            ValueError: for wrong shapes or dtypes, a sigma below 0 or not finite, or a guide missing or unwanted.
        """
        began = time.monotonic()
        depth = np.asarray(depth)
        if depth.ndim != 2 or depth.size == 0 or not np.issubdtype(depth.dtype, np.floating):
            raise ValueError(f"depth must be a floating (H, W) array in metres, got {depth.dtype} {depth.shape}")
        depth = depth.astype(np.float32, copy=False)
        sigma = self.sigma if sigma is None else sigma
        noise = None if sigma is None else checked_sigma(sigma, depth.shape)
        valid = valid_mask(depth)
        if not valid.any():
            self._check_guide(depth, guide, guide_seen)
            shape = (depth.shape[0] * self.scale, depth.shape[1] * self.scale)
            return UpsampleResult(np.full(shape, np.nan, np.float32))
        holes_as_nan = np.where(valid, depth, np.float32(np.nan))
        source = holes_as_nan if self.model.accepts_holes else fill_holes(holes_as_nan)
        guide_tensor = self._check_guide(depth, guide, guide_seen)
        with torch.inference_mode():
            image, told = _image_tensor(source, self.device), self._sigma_tensor(holes_as_nan, noise)
            output, solve = self._run(image, guide_tensor, told, began, stamp, camera)
            if self.adjustment:
                output = enforce_consistency(output, _image_tensor(holes_as_nan, self.device), self.adjustment)
            result = output[0, 0].cpu().numpy()
        if not self.fill_holes and not valid.all():
            result[~expand_mask(valid, self.scale)] = np.nan
        return UpsampleResult(result, solve)

    def _run(
        self,
        source: torch.Tensor,
        guide: torch.Tensor | None,
        sigma: torch.Tensor | None,
        began: float,
        stamp: float | None,
        camera: Hashable,
    ) -> tuple[torch.Tensor, SolveInfo | None]:
        if isinstance(self.model, EquilibriumModel):
            return self._diffuse(self.model, source, guide, sigma, began, stamp, camera)
        enabled = self.autocast_dtype is not None
        with torch.autocast(self.device.type, dtype=self.autocast_dtype or torch.float32, enabled=enabled):
            if self.tile is None or not isinstance(self.model, ResidualNetwork):
                return self.model(source, guide, sigma).float(), None
            return super_resolve_in_tiles(self.model, source, guide, self.tile, sigma=sigma).float(), None

    def _sigma_tensor(self, depth: np.ndarray, sigma: np.ndarray | None) -> torch.Tensor | None:
        """(1, 1, h, w) for a network that takes it; `depth` has NaN where invalid, `sigma` None is to be estimated."""
        if not self.takes_sigma:
            return None
        known = estimate_sigma(depth) if sigma is None else np.broadcast_to(sigma, depth.shape).copy()
        return _image_tensor(known, self.device)

    def _diffuse(
        self,
        model: EquilibriumModel,
        source: torch.Tensor,
        guide: torch.Tensor | None,
        sigma: torch.Tensor | None,
        began: float,
        stamp: float | None,
        camera: Hashable,
    ) -> tuple[torch.Tensor, SolveInfo]:
        model.check_inputs(source, guide)
        assert guide is not None  # `check_inputs` has seen to it
        problem = model.weighed(model.prepare(source, guide), sigma)
        target = problem.target
        if not self.fill_holes:
            problem = model.isolate_holes(problem)
        warm_start = None if stamp is None else self._video.offer(stamp, camera, source, problem.start)
        left = None if self.time_budget_s is None else max(0.0, began + self.time_budget_s - time.monotonic())
        solution, info = model.solve(problem, self.max_iterations, time_budget_s=left, warm_start=warm_start)
        solve = SolveInfo(
            iterations=info.iterations,
            relative_residual=float(info.relative_residual.max()),
            warm=info.warm is not None and bool(info.warm.all()),
            budget_ended=info.budget_ended,
            converged=info.converged,
        )
        if stamp is not None:
            self._video.keep(stamp, camera, source, solution)
        return model.finish(solution, problem._replace(target=target)), solve

    def _check_guide(self, depth: np.ndarray, guide: np.ndarray | None, seen: np.ndarray | None) -> torch.Tensor | None:
        if not self.requires_guide:
            if guide is not None or seen is not None:
                raise ValueError(f"{self.method} is a single-depth method and takes no guide: pass guide=None")
            return None
        expected = (depth.shape[0] * self.scale, depth.shape[1] * self.scale, 3)
        if guide is None:
            raise ValueError(f"{self.method} needs a guide: uint8 RGB of shape {expected}")
        if guide.dtype != np.uint8 or guide.shape != expected:
            raise ValueError(f"{self.method} needs a guide of uint8 {expected}, got {guide.dtype} {guide.shape}")
        if seen is not None:
            if seen.dtype != bool or seen.shape != expected[:2]:
                raise ValueError(f"guide_seen must be bool {expected[:2]}, got {seen.dtype} {seen.shape}")
            if not self.model.accepts_guide_holes:
                guide = fill_unseen(guide, seen)
        # a view of a message is read-only, which torch warns about
        writable = np.require(guide, requirements=["C", "W"])
        tensor = torch.from_numpy(writable).to(self.device).permute(2, 0, 1)[None].float() / 255.0
        if seen is not None and self.model.accepts_guide_holes:
            unseen = torch.from_numpy(~seen).to(self.device)
            tensor.masked_fill_(unseen, torch.nan)
        return tensor


def _pick_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for, but torch sees no CUDA device: use device='auto' or 'cpu'")
    return chosen


def _image_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)
