"""Pinhole cameras: scale their intrinsics, and bring an RGB image into the depth camera's high-resolution view.

Pixel (0, 0) is the centre of the top-left pixel. Scaling an image by s moves the principal point to
cx' = (cx + 0.5) s - 0.5, because resampling keeps the image's outer borders, not its first pixel's centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .depth import fill_holes, nearest_valid
from .resize import bicubic, repeat

MIN_REGISTERED_VIEW = 0.9
"""Share of the depth view that a registered RGB image must cover; less means that the two do not belong together."""

MIN_WARPED_VIEW = 0.2
"""What `MIN_REGISTERED_VIEW` is for registered RGB: the unregistered sees less by nature."""

STEP = 0.1
"""Relative change of depth within two LR pixels that is a step between surfaces; steep planes stay below."""


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion.

    Attributes:
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels.
        width, height: image size in pixels.

    Raises:
        ValueError: when a focal length or a size is not positive, or a number is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(np.isfinite(numbers)) or self.fx <= 0 or self.fy <= 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"not a camera: {self}; focal lengths and sizes must be positive")

    def scaled(self, scale: float) -> Intrinsics:
        """The camera of the image resampled by `scale` on both axes (half-pixel centres)."""
        return self.resized(round(self.width * scale), round(self.height * scale))

    def resized(self, width: int, height: int) -> Intrinsics:
        """The camera of the image resampled to `width` x `height` pixels (half-pixel centres)."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            self.fx * sx,
            self.fy * sy,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
            width,
            height,
        )

    def cropped(self, x: int, y: int, width: int, height: int) -> Intrinsics:
        """The camera of the image's window of `width` x `height` pixels whose top-left pixel is (x, y)."""
        return Intrinsics(self.fx, self.fy, self.cx - x, self.cy - y, width, height)

    def matrix(self) -> np.ndarray:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])


@dataclass(frozen=True)
class Extrinsics:
    """The rigid motion from the depth camera's optical frame to the RGB camera's: p_rgb = R p_depth + t (REP 103).

    Attributes:
        rotation: (3, 3) rotation matrix R.
        translation: (3,) metres t.
    """

    rotation: np.ndarray
    translation: np.ndarray

    @classmethod
    def from_xyz_quaternion(cls, values: Sequence[float] | np.ndarray) -> Extrinsics:
        """From [x, y, z, qx, qy, qz, qw]: metres and a quaternion, normalised here.

        Raises:
            ValueError: when there are not seven finite numbers, or the quaternion is zero.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (7,) or not np.isfinite(values).all():
            raise ValueError(f"extrinsics are 7 numbers x y z qx qy qz qw, got {values.tolist()}")
        norm = np.linalg.norm(values[3:])
        if norm < 1e-6:
            raise ValueError("extrinsics: the quaternion qx qy qz qw is zero; identity is 0 0 0 1")
        x, y, z, w = values[3:] / norm
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        return cls(rotation, values[:3].copy())


class RegisteredWarp:
    """Resamples RGB into the HR depth view when both share one optical centre and orientation (registered depth).

    The map depends on the two intrinsics only, so it is computed once and used for every frame.

    Args:
        depth_hr: intrinsics of the high-resolution depth image to be produced.
        rgb: intrinsics of the RGB image.
    """

    def __init__(self, depth_hr: Intrinsics, rgb: Intrinsics):
        self.depth_hr, self.rgb = depth_hr, rgb
        self.identity = depth_hr.width == rgb.width and depth_hr.height == rgb.height
        self.identity &= bool(np.allclose(depth_hr.matrix(), rgb.matrix(), atol=0.05, rtol=1e-4))
        u = (np.arange(depth_hr.width) - depth_hr.cx) / depth_hr.fx * rgb.fx + rgb.cx
        v = (np.arange(depth_hr.height) - depth_hr.cy) / depth_hr.fy * rgb.fy + rgb.cy
        self.seen = ((v > -0.5) & (v < rgb.height - 0.5))[:, None] & ((u > -0.5) & (u < rgb.width - 0.5))
        x, y = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
        self._maps = cv2.convertMaps(x, y, cv2.CV_16SC2)
        self._shrink = rgb.fx / depth_hr.fx

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """(rgb.height, rgb.width, 3) uint8 to (depth_hr.height, depth_hr.width, 3) uint8.

        Pixels that RGB does not see repeat its border; `seen` marks the others.

        Raises:
            ValueError: when the image does not have the size of the RGB intrinsics.
        """
        _check_size(rgb, self.rgb)
        if self.identity:
            return rgb
        if self._shrink > 1.5:
            # bilinear sampling would alias: blur to the target's pixel pitch first
            sigma = 0.5 * np.sqrt(self._shrink**2 - 1)
            rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
        return cv2.remap(rgb, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp_guide(
    rgb: np.ndarray,
    depth_hr: np.ndarray,
    intrinsics_hr: Intrinsics,
    intrinsics_rgb: Intrinsics,
    extrinsics: Extrinsics,
    occlusion_tolerance: float = 0.03,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring RGB of another viewpoint into the HR depth view: project every depth pixel into RGB and sample there.

    Args:
        rgb: (H_rgb, W_rgb, 3) uint8.
        depth_hr: (H, W) float32 metres, an upsampled depth in the depth view (`stepped_surface`); NaN invalid.
        intrinsics_hr: camera of `depth_hr`.
        intrinsics_rgb: camera of `rgb`.
        extrinsics: depth camera to RGB camera.
        occlusion_tolerance: a point is hidden when another one at the same RGB pixel is nearer by more than this
            fraction of its distance.

    Returns:
        guide (H, W, 3) uint8, and seen (H, W) bool: False where RGB cannot tell (outside its image, hidden behind a
        nearer surface, or no depth); guide is 0 there.

    Raises:
        ValueError: when an image does not have the size of its intrinsics.
    """
    _check_size(rgb, intrinsics_rgb)
    _check_size(depth_hr, intrinsics_hr)
    rays_x = (np.arange(intrinsics_hr.width, dtype=np.float32) - intrinsics_hr.cx) / intrinsics_hr.fx
    rays_y = (np.arange(intrinsics_hr.height, dtype=np.float32) - intrinsics_hr.cy) / intrinsics_hr.fy
    rotation = extrinsics.rotation.astype(np.float32)
    shift = extrinsics.translation.astype(np.float32)
    x, y = np.meshgrid(rays_x.astype(np.float32), rays_y.astype(np.float32))
    visible = np.isfinite(depth_hr) & (depth_hr > 0)
    z = np.where(visible, depth_hr, 0).astype(np.float32)
    point = [z * (row[0] * x + row[1] * y + row[2]) + t for row, t in zip(rotation, shift)]
    visible &= point[2] > 1e-3
    distance = np.where(visible, point[2], np.float32(1.0))
    u = point[0] / distance * np.float32(intrinsics_rgb.fx) + np.float32(intrinsics_rgb.cx)
    v = point[1] / distance * np.float32(intrinsics_rgb.fy) + np.float32(intrinsics_rgb.cy)
    visible &= (u > -0.5) & (u < intrinsics_rgb.width - 0.5) & (v > -0.5) & (v < intrinsics_rgb.height - 0.5)
    visible &= ~_hidden(u, v, distance, visible, intrinsics_rgb, intrinsics_hr, occlusion_tolerance)
    u, v = np.where(visible, u, -1e4), np.where(visible, v, -1e4)
    guide = cv2.remap(
        rgb, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    guide[~visible] = 0
    return guide, visible


def project_guide(
    rgb: np.ndarray,
    depth_lr: np.ndarray,
    intrinsics_hr: Intrinsics,
    intrinsics_rgb: Intrinsics,
    extrinsics: Extrinsics,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring RGB of another viewpoint into the HR depth view by the LR depth alone (`warp_guide` on its surface).

    Args:
        rgb: (H_rgb, W_rgb, 3) uint8.
        depth_lr: (h, w) float32 metres, NaN invalid.
        intrinsics_hr: camera of the HR depth, an integer multiple of (h, w).
        intrinsics_rgb: camera of `rgb`.
        extrinsics: depth camera to RGB camera.

    Returns:
        guide (H, W, 3) uint8 and seen (H, W) bool, as `warp_guide`.

    Raises:
        ValueError: no valid depth, less than `MIN_WARPED_VIEW` of the depth view seen, or an image that does not have
            the size of its intrinsics.
    """
    if not np.isfinite(depth_lr).any():
        raise ValueError("unregistered RGB is projected by depth, and this depth image has no valid pixel")
    surface = stepped_surface(fill_holes(depth_lr), intrinsics_hr.width // depth_lr.shape[1])
    guide, seen = warp_guide(rgb, surface, intrinsics_hr, intrinsics_rgb, extrinsics)
    share = float(seen.mean())
    if share < MIN_WARPED_VIEW:
        raise ValueError(
            f"by the extrinsics RGB shows {100 * share:.0f} % of the depth view, at least "
            f"{100 * MIN_WARPED_VIEW:.0f} % were expected: check direction (depth to RGB), metres, quaternion order"
        )
    return guide, seen


def stepped_surface(depth_lr: np.ndarray, scale: int) -> np.ndarray:
    """Upsample depth with steps where surfaces meet: a surface to project RGB by.

    Bicubic upsampling makes ramps and overshoots of a step, depths that neither surface has, which would fetch colours
    from between the two or beside them. Where depth varies by more than `STEP` around a cell, each of its pixels takes
    the nearest or farthest of the 3 x 3 LR depths there, whichever bicubic's is closer to.

    Args:
        depth_lr: (h, w) float32 metres, finite.
        scale: upsampling factor.

    Returns:
        (h * scale, w * scale) float32, everywhere within the 3 x 3 LR depths around the cell.
    """
    window = np.ones((3, 3), np.uint8)
    low, high = (repeat(extreme(depth_lr, window), scale) for extreme in (cv2.erode, cv2.dilate))
    smooth = np.clip(bicubic(depth_lr, scale=scale).astype(np.float32), low, high)
    snapped = np.where(smooth - low < high - smooth, low, high)
    return np.where(high - low > STEP * low, snapped, smooth)


def fill_unseen(guide: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Give pixels that RGB does not see the colour of the nearest one that it does: for networks that take any colour
    for the truth, so that at least no black patch rings the seen.

    Args:
        guide: (H, W, 3) uint8.
        seen: (H, W) bool.

    Returns:
        (H, W, 3) uint8; `guide` itself when all or nothing is seen.
    """
    if seen.all() or not seen.any():
        return guide
    return guide[nearest_valid(seen)]


def _hidden(
    u: np.ndarray,
    v: np.ndarray,
    distance: np.ndarray,
    visible: np.ndarray,
    rgb: Intrinsics,
    depth_hr: Intrinsics,
    tolerance: float,
) -> np.ndarray:
    """(H, W) bool: points behind a nearer one in the RGB view, by a z-buffer no finer than the points are dense."""
    cell = max(1.0, 1.5 * rgb.fx / depth_hr.fx)
    columns, rows = int(rgb.width / cell) + 2, int(rgb.height / cell) + 2
    bins = (np.clip((v + 0.5) / cell, 0, rows - 1).astype(np.int32) * columns) + np.clip(
        (u + 0.5) / cell, 0, columns - 1
    ).astype(np.int32)
    nearest = np.full(rows * columns, np.inf, dtype=np.float32)
    np.minimum.at(nearest, bins[visible], distance[visible])
    return distance > nearest[bins] * (1 + tolerance) + 0.01


def _check_size(image: np.ndarray, camera: Intrinsics) -> None:
    if image.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"image of {image.shape[1]}x{image.shape[0]} with intrinsics for {camera.width}x{camera.height}"
        )
