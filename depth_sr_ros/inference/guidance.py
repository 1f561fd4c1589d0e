"""From a colour image to a guide in the high-resolution depth view, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..camera import MIN_REGISTERED_VIEW, Extrinsics, Intrinsics, RegisteredWarp, project_guide
from .calibration import Calibration, distortion_hint
from .frames import FramePair

FindExtrinsics = Callable[[str, str], Extrinsics]
"""Asked with (RGB frame, depth frame); raises ValueError when it does not know."""


class GuideError(ValueError):
    """RGB that cannot guide: says why, what was expected and what to do."""


class Guide(NamedTuple):
    """RGB in the HR depth view.

    Attributes:
        pixels: (H, W, 3) uint8; what stands at unseen pixels has no meaning.
        seen: (H, W) bool, False where RGB cannot tell: hidden from it, or outside its image; None: all seen.
        projected: whether extrinsics brought it here; False for a registered pair.
        view: what the geometry followed from; while it stays the same, so does the view.
    """

    pixels: np.ndarray
    seen: np.ndarray | None
    projected: bool
    view: tuple


class GuideMaker:
    """Brings RGB into the HR depth view: by one cached map when registered, by projection when extrinsics are known.

    Args:
        scale: upsampling factor.
        extrinsics: x y z qx qy qz qw, depth to RGB camera; empty: the pair must be registered.
        assume_registered: take different frame_ids without extrinsics for registered too.
        find_extrinsics: asked where the two frames differ and `extrinsics` is empty; None: nobody to ask.
    """

    def __init__(
        self,
        scale: int,
        extrinsics: tuple[float, ...] = (),
        assume_registered: bool = False,
        find_extrinsics: FindExtrinsics | None = None,
    ):
        self.scale = scale
        self.extrinsics = Extrinsics.from_xyz_quaternion(extrinsics) if extrinsics else None
        self.assume_registered = assume_registered
        self._find_extrinsics = find_extrinsics
        self._warp: RegisteredWarp | None = None
        self._distortion_told: tuple | None = None

    def __call__(self, pair: FramePair, depth: np.ndarray) -> Guide:
        """The guide (h * scale, w * scale) from the RGB of `pair` for its `depth`, (h, w) float32 metres, NaN invalid.

        Raises:
            GuideError: when a camera_info is missing, uncalibrated or of another size, the pair is not registered and
                no extrinsics are known, the views do not overlap, or there is no RGB image that can be read.
        """
        rgb = pair.rgb
        if rgb is None:
            raise GuideError("no RGB image: expected one within sync_slop of the depth image")
        depth_info = _needed(pair.depth_info, "depth/camera_info")
        rgb_info = _needed(pair.rgb_info, "rgb/camera_info")
        extrinsics = self._extrinsics(pair.depth.frame_id, rgb.frame_id)
        try:
            camera_hr = depth_info.intrinsics(depth.shape[1], depth.shape[0]).scaled(self.scale)
            camera_rgb = rgb_info.intrinsics(rgb.width, rgb.height)
            pixels = np.ascontiguousarray(rgb.decode())
        except ValueError as error:
            raise GuideError(f"RGB cannot guide: {error}") from None
        if extrinsics is None:
            return self._registered(pixels, camera_hr, camera_rgb)
        return self._projected(pixels, depth, camera_hr, camera_rgb, extrinsics)

    def distortion_notice(self, guide: Guide, depth_info: Calibration, rgb_info: Calibration) -> str | None:
        """A warning that lens distortion displaces `guide`, once per pair of lenses; None where it does not."""
        lenses = depth_info.distortion, rgb_info.distortion
        # depth registered to raw RGB has the same distortion, and both images then agree pixel by pixel
        harmless = not any(lenses) or (not guide.projected and lenses[0] == lenses[1])
        if harmless or lenses == self._distortion_told:
            return None
        self._distortion_told = lenses
        return distortion_hint("bringing RGB into the depth view", depth_info, rgb_info)

    def _extrinsics(self, depth_frame: str, rgb_frame: str) -> Extrinsics | None:
        """Depth to RGB camera; None for a registered pair."""
        if self.extrinsics is not None or rgb_frame == depth_frame:
            return self.extrinsics
        if self._find_extrinsics is not None:
            try:
                return self._find_extrinsics(rgb_frame, depth_frame)
            except ValueError as error:
                raise GuideError(str(error)) from None
        if self.assume_registered:
            return None
        raise GuideError(
            f"RGB in frame {rgb_frame!r} is not registered to depth in frame {depth_frame!r}, and no extrinsics are "
            "known: expected one frame_id; switch the driver's depth registration on, set extrinsics (depth to RGB) or "
            "extrinsics_from_tf, or set assume_registered if they are registered after all"
        )

    def _registered(self, pixels: np.ndarray, camera_hr: Intrinsics, camera_rgb: Intrinsics) -> Guide:
        if self._warp is None or (self._warp.depth_hr, self._warp.rgb) != (camera_hr, camera_rgb):
            self._warp = RegisteredWarp(camera_hr, camera_rgb)
        share = float(self._warp.seen.mean())
        if share < MIN_REGISTERED_VIEW:
            raise GuideError(
                f"RGB of {camera_rgb.width}x{camera_rgb.height} shows {100 * share:.0f} % of the depth view of "
                f"{camera_hr.width}x{camera_hr.height} (upsampled): expected at least "
                f"{100 * MIN_REGISTERED_VIEW:.0f} % (equal aspect, camera_infos that differ by scale); use the "
                "registered RGB and its own camera_info, or set extrinsics"
            )
        seen = None if share == 1.0 else self._warp.seen
        return Guide(self._warp(pixels), seen, False, (camera_hr, camera_rgb))

    def _projected(
        self,
        pixels: np.ndarray,
        depth: np.ndarray,
        camera_hr: Intrinsics,
        camera_rgb: Intrinsics,
        extrinsics: Extrinsics,
    ) -> Guide:
        try:
            guide, seen = project_guide(pixels, depth, camera_hr, camera_rgb, extrinsics)
        except ValueError as error:
            raise GuideError(str(error)) from None
        motion = (*extrinsics.rotation.ravel(), *extrinsics.translation)
        return Guide(guide, seen, True, (camera_hr, camera_rgb, motion))


def _needed(info: Calibration | None, topic: str) -> Calibration:
    if info is None:
        raise GuideError(f"no {topic}, which guidance needs: publish or remap it, or set mode to single")
    return info
