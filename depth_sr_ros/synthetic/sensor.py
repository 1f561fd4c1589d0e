"""A depth camera model: from exact high-resolution depth to what a real sensor would deliver.

`DepthCamera` chains the effects below in the order in which they arise: shadow of the projector, low resolution,
flying pixels, range noise, lost returns, quantisation. Each is also a function of its own, for degradation lists
in training. Depth is float32 metres with NaN for invalid throughout (a disparity map works where noted).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth_sr_ros.lr_kernels import LEVEL_KERNELS, LR_KERNELS, check_lr_kernel, downsample
from depth_sr_ros.resize import block_mean
from depth_sr_ros.synthetic.scene import Frame

SENSOR_KERNELS = tuple(kernel for kernel in LR_KERNELS if kernel not in LEVEL_KERNELS)
"""LR kernels of a camera that measures metres."""
EDGE_JUMP = 0.04
"""Step between neighbouring pixels that counts as a depth edge, as a fraction of the nearer depth."""


def projector_shadow(depth: np.ndarray, focal_baseline: float) -> np.ndarray:
    """(H, W) bool: surface that the projector (or the second eye), to the camera's right, cannot see.

    A point in column x with disparity d = focal_baseline / z falls into the projector's column x - d. It is in the
    shadow when a point further to the right lands at or before that column. The width of the shadow beside an
    edge is f b (1 / z_near - 1 / z_far) pixels.

    Args:
        depth: (H, W) metres.
        focal_baseline: focal length (pixels of this image) times baseline (metres).
    """
    near = np.nan_to_num(focal_baseline / depth, nan=0.0)
    landing = np.arange(depth.shape[1]) - near
    beyond = np.full_like(landing, np.inf)
    beyond[:, :-1] = np.minimum.accumulate(landing[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return landing > beyond + 0.5


def edge_mask(depth: np.ndarray, jump: float) -> np.ndarray:
    """(H, W) bool: pixels whose 3x3 neighbourhood spans more than `jump` times its nearest depth."""
    return relative_jump(depth) > jump


def relative_jump(depth: np.ndarray) -> np.ndarray:
    """(H, W) span of the valid depths in each pixel's 3x3 neighbourhood, as a fraction of the nearest one; >= 0."""
    low, high = _neighbourhood(depth)
    return np.where(low > 0, (high - low) / np.maximum(low, 1e-6), 0)


def add_flying_pixels(depth: np.ndarray, rng: np.random.Generator, share: float, jump: float = EDGE_JUMP) -> np.ndarray:
    """Let a `share` (0-1) of the pixels on depth edges return a random blend of both sides, in mid air."""
    flying = edge_mask(depth, jump) & (rng.random(depth.shape) < share) & np.isfinite(depth)
    low, high = _neighbourhood(depth)
    blend = low + (high - low) * rng.beta(0.6, 0.6, depth.shape)
    return np.where(flying, blend, depth).astype(np.float32)


def add_range_noise(
    depth: np.ndarray,
    rng: np.random.Generator,
    offset: float,
    growth: float,
    correlation: float = 0.0,
    incidence: np.ndarray | None = None,
) -> np.ndarray:
    """Add Gaussian noise of standard deviation (offset + growth z^2) / max(cos, 0.3).

    Args:
        depth: (H, W) metres.
        rng: source of the noise.
        offset: standard deviation at the camera, metres.
        growth: its growth with the square of the depth, 1 / metres (triangulation: disparity error / (f b)).
        correlation: Gaussian radius over which neighbouring errors agree, pixels; 0 for independent pixels.
        incidence: (H, W) cosine between ray and surface normal; None for surfaces facing the camera.
    """
    noise = rng.standard_normal(depth.shape).astype(np.float32)
    if correlation > 0:
        noise = cv2.GaussianBlur(noise, (0, 0), correlation).astype(np.float32)
        noise /= noise.std() + 1e-12
    sigma = offset + growth * depth**2
    if incidence is not None:
        sigma = sigma / np.maximum(incidence, 0.3)
    return (depth + sigma * noise).astype(np.float32)


def quantise_range(depth: np.ndarray, step: float) -> np.ndarray:
    """Round to multiples of `step` metres (0.001: 16UC1)."""
    return (np.rint(depth / step) * step).astype(np.float32)


def quantise_disparity(depth: np.ndarray, focal_baseline: float, step: float) -> np.ndarray:
    """Round the disparity focal_baseline / depth to multiples of `step` pixels: steps that grow as z^2."""
    disparity = np.rint(focal_baseline / depth / step) * step
    with np.errstate(divide="ignore"):
        return np.where(disparity > 0, focal_baseline / disparity, np.nan).astype(np.float32)


@dataclass(frozen=True)
class DepthCamera:
    """A depth camera; the defaults are a time-of-flight camera indoors, `structured_light` gives another kind.

    Attributes:
        scale: high-resolution pixels per sensor pixel, each axis.
        kernel: one of `SENSOR_KERNELS`.
        noise_offset: range noise at the camera, metres (standard deviation).
        noise_growth: its growth with z^2, 1 / metres; 0.0003 (time of flight) adds 2.7 mm at 3 m,
            0.0014 (triangulation) 13 mm.
        noise_correlation: radius of agreement between neighbouring errors, sensor pixels.
        flying: share (0-1) of the sensor pixels on depth edges that hang between both sides.
        edge_loss: share (0-1) of the sensor pixels on depth edges that return nothing.
        edge_jump: step that counts as an edge, as a fraction of the nearer depth.
        min_signal: weakest return that still gives a depth: infrared reflectance * cos(incidence) / z^2, 1 for a
            white surface facing the camera at 1 m. Dark, slanted and far surfaces fall below it.
        max_gloss: highlight strength (0-1) above which the sensor is blinded.
        baseline: metres from camera to projector (or second eye), which is to its right; 0 casts no shadow.
        speckle: share (0-1) of isolated lost pixels.
        min_range, max_range: working range, metres.
        range_step: quantisation of the depth, metres; 0 for none. 0.001 is what 16UC1 holds.
        disparity_step: quantisation of the disparity, in pixels of the high-resolution image (a triangulating camera
            matches at full resolution and is binned afterwards); 0 for none; needs `baseline`.

    Raises:
        ValueError: unknown kernel, or `disparity_step` without `baseline`.
    """

    scale: int = 4
    kernel: str = "block_mean"
    noise_offset: float = 0.001
    noise_growth: float = 0.0003
    noise_correlation: float = 0.0
    flying: float = 0.03
    edge_loss: float = 0.05
    edge_jump: float = EDGE_JUMP
    min_signal: float = 0.0025
    max_gloss: float = 0.35
    baseline: float = 0.0
    speckle: float = 0.001
    min_range: float = 0.2
    max_range: float = 10.0
    range_step: float = 0.001
    disparity_step: float = 0.0

    def __post_init__(self) -> None:
        check_lr_kernel(self.kernel, SENSOR_KERNELS)
        if self.disparity_step > 0 and self.baseline <= 0:
            raise ValueError("disparity_step needs a baseline above 0 m: disparity is focal * baseline / depth")

    @classmethod
    def ideal(cls, scale: int = 4, kernel: str = "block_mean") -> DepthCamera:
        """Low resolution and nothing else."""
        return cls(
            scale,
            kernel,
            **dict.fromkeys(
                ("noise_offset", "noise_growth", "flying", "edge_loss", "min_signal", "speckle", "range_step"), 0.0
            ),
            max_gloss=np.inf,
            min_range=0.0,
            max_range=np.inf,
        )

    @classmethod
    def structured_light(cls, scale: int = 4, kernel: str = "block_mean") -> DepthCamera:
        """A triangulating camera with a 75 mm baseline: noise grows as z^2, disparity comes in eighths of a pixel,
        and the projector's shadow lies beside near objects."""
        return cls(
            scale,
            kernel,
            noise_offset=0.0005,
            noise_growth=0.0014,
            noise_correlation=0.6,
            flying=0.02,
            edge_loss=0.15,
            baseline=0.075,
            disparity_step=0.125,
        )

    def observe_frame(self, frame: Frame, seed: int = 0) -> np.ndarray:
        """What the camera sees of a rendered frame: (H / scale, W / scale) float32 metres, NaN for holes.

        The randomness depends on `seed` and the frame's time.
        """
        rng = np.random.default_rng([seed, round(frame.time * 1e6)])
        return self.observe(
            frame.depth,
            rng,
            focal=frame.camera.fx,
            incidence=frame.incidence,
            infrared=frame.infrared,
            gloss=frame.gloss,
        )

    def observe(
        self,
        depth: np.ndarray,
        rng: np.random.Generator,
        *,
        focal: float | None = None,
        incidence: np.ndarray | None = None,
        infrared: np.ndarray | None = None,
        gloss: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the camera sees of an exact depth map.

        Args:
            depth: (H, W) metres, NaN invalid; `scale` divides both sizes.
            rng: source of all randomness.
            focal: focal length of `depth` in pixels; needed when `baseline` is set.
            incidence: (H, W) cosine between ray and surface normal; None: all surfaces face the camera.
            infrared: (H, W) reflectance 0-1; None: 0.6 everywhere.
            gloss: (H, W) highlight strength 0-1; None: matt.

        Returns:
            (H / scale, W / scale) float32 metres, NaN for holes.

        Raises:
            ValueError: `scale` does not divide the size, or `focal` is missing.
        """
        if self.baseline > 0 and focal is None:
            raise ValueError("a camera with a baseline needs the focal length in pixels: pass focal")
        exact, focal_baseline = depth, (focal or 0.0) * self.baseline
        if self.baseline > 0:
            exact = np.where(projector_shadow(depth, focal_baseline), np.nan, depth)
        cosine = None if incidence is None else block_mean(incidence, self.scale)
        result = downsample(exact, self.scale, self.kernel)
        edges = edge_mask(result, self.edge_jump)
        if self.flying > 0:
            result = add_flying_pixels(result, rng, self.flying, self.edge_jump)
        signal = 1 / np.maximum(result, 0.05) ** 2
        signal = signal * (0.6 if infrared is None else block_mean(infrared, self.scale))
        signal = signal * (1 if cosine is None else cosine)
        # Two samples of the same surface never return exactly the same light: holes get ragged borders.
        lost = signal < self.min_signal * rng.normal(1, 0.2, result.shape)
        lost |= edges & (rng.random(result.shape) < self.edge_loss)
        lost |= rng.random(result.shape) < self.speckle
        if gloss is not None:
            lost |= block_mean(gloss, self.scale) > self.max_gloss
        if self.noise_offset > 0 or self.noise_growth > 0:
            result = add_range_noise(result, rng, self.noise_offset, self.noise_growth, self.noise_correlation, cosine)
        lost |= ~((result >= self.min_range) & (result <= self.max_range))
        if self.disparity_step > 0:
            result = quantise_disparity(result, focal_baseline, self.disparity_step)
        if self.range_step > 0:
            result = quantise_range(result, self.range_step)
        return np.where(lost, np.nan, result).astype(np.float32)


def _neighbourhood(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest valid depth in each 3x3 neighbourhood; invalid ones are ignored."""
    kernel = np.ones((3, 3), np.uint8)
    low = cv2.erode(np.nan_to_num(depth, nan=np.inf).astype(np.float32), kernel)
    high = cv2.dilate(np.nan_to_num(depth, nan=-np.inf).astype(np.float32), kernel)
    low, high = np.where(np.isfinite(low), low, 0), np.where(np.isfinite(high), high, 0)
    return low, np.maximum(high, low)
