"""What a camera_info says: the calibration of a camera, and of the image upsampled from it (REP 104)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..camera import Intrinsics


class CalibrationError(ValueError):
    """A camera_info that does not describe its image: says what it holds, what was expected and what to do."""


@dataclass(frozen=True)
class RegionOfInterest:
    """The window of the sensor that an image shows, in unbinned pixels; zero width and height: all of it."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Calibration:
    """The content of a sensor_msgs/CameraInfo.

    Attributes:
        stamp_ns: header.stamp in nanoseconds.
        frame_id: of the camera's optical frame.
        width, height: size in pixels at which the camera was calibrated.
        k: K, 9 numbers row by row, of the raw image; fx = 0 in an uncalibrated camera.
        d: coefficients of the lens distortion.
        distortion_model: names the meaning of `d`.
        r: R, 9 numbers, the rectification.
        p: P, 12 numbers, of the rectified image.
        binning_x, binning_y: sensor pixels in an image pixel; 0 is 1.
        roi: cut out of the sensor before binning.
    """

    stamp_ns: int
    frame_id: str
    width: int
    height: int
    k: tuple[float, ...]
    d: tuple[float, ...] = ()
    distortion_model: str = ""
    r: tuple[float, ...] = (0.0,) * 9
    p: tuple[float, ...] = (0.0,) * 12
    binning_x: int = 0
    binning_y: int = 0
    roi: RegionOfInterest = RegionOfInterest()

    @property
    def stamp(self) -> float:
        """header.stamp in seconds."""
        return seconds(self.stamp_ns)

    @property
    def is_calibrated(self) -> bool:
        """Whether K is set; a driver without calibration sends zeros (REP 104)."""
        return self.k[0] > 0 and self.k[4] > 0 and all(map(math.isfinite, self.k))

    @property
    def distortion(self) -> tuple[float, ...]:
        """D without trailing zeros, so that models of different length compare; () for none."""
        coefficients = list(self.d)
        while coefficients and coefficients[-1] == 0:
            coefficients.pop()
        return tuple(coefficients)

    def fits(self, width: int, height: int) -> bool:
        """Whether this can be the camera_info of an image of `width` x `height`; an uncalibrated one fits any."""
        try:
            return not self.is_calibrated or bool(self.intrinsics(width, height))
        except CalibrationError:
            return False

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """The camera of the image of `width` x `height` pixels that this belongs to.

        K holds for the unbinned sensor: the region of interest is cut out of it first, then binning divides (REP 104).

        Raises:
            CalibrationError: K is not set, ROI or binning leave no image, or the sizes do not belong together.
        """
        if not self.is_calibrated:
            raise CalibrationError(
                f"uncalibrated camera_info of {self.frame_id!r} (K = 0): expected fx, fy > 0; calibrate the camera or "
                "set its camera_info_url"
            )
        try:
            camera = self._windowed()
        except ValueError:
            raise CalibrationError(
                f"camera_info of {self.frame_id!r} for {self.width}x{self.height} pixels with an ROI of "
                f"{self.roi.width}x{self.roi.height} and binning {self.binning_x}x{self.binning_y} leaves no image: "
                "expected zeros (all of it, no binning) or fitting values; correct the driver's camera_info"
            ) from None
        if (camera.width, camera.height) != (width, height):
            raise CalibrationError(
                f"camera_info of {self.frame_id!r} for {camera.width}x{camera.height} pixels (binning and ROI applied) "
                f"with an image of {width}x{height}: expected equal sizes; remap the camera_info that belongs to this "
                "image"
            )
        return camera

    def scaled(self, width: int, height: int, scale: int) -> Calibration:
        """That of the image upsampled by `scale` from the image of `width` x `height` that this belongs to.

        K and P follow with half-pixel centres: cx' = (cx + 0.5) s - 0.5; distortion and R do not depend on the size.
        Binning and ROI are folded into K and P, since the output has neither. An uncalibrated K stays zero.

        Raises:
            CalibrationError: this does not belong to an image of that size.
        """
        plain = replace(
            self, width=width * scale, height=height * scale, binning_x=0, binning_y=0, roi=RegionOfInterest()
        )
        if not self.is_calibrated:
            return plain
        camera = self.intrinsics(width, height).scaled(scale)
        ratio_x, ratio_y = camera.fx / self.k[0], camera.fy / self.k[4]
        # both matrices see the same crop and the same resampling: pixel u goes to u * ratio + offset
        offset_x, offset_y = camera.cx - self.k[2] * ratio_x, camera.cy - self.k[5] * ratio_y
        pixel_map = np.array([[ratio_x, 0.0, offset_x], [0.0, ratio_y, offset_y], [0.0, 0.0, 1.0]])
        k = pixel_map @ np.reshape(self.k, (3, 3))
        p = pixel_map @ np.reshape(self.p, (3, 4))
        return replace(plain, k=tuple(k.ravel().tolist()), p=tuple(p.ravel().tolist()))

    def _windowed(self) -> Intrinsics:
        """The camera after ROI and binning; ValueError when no pixel is left."""
        camera = Intrinsics(self.k[0], self.k[4], self.k[2], self.k[5], max(1, self.width), max(1, self.height))
        roi = self.roi
        if (roi.width or roi.height) and (roi.width, roi.height) != (self.width, self.height):
            camera = camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
        bin_x, bin_y = max(1, self.binning_x), max(1, self.binning_y)
        if bin_x > 1 or bin_y > 1:
            camera = camera.resized(camera.width // bin_x, camera.height // bin_y)
        return camera


def distortion_hint(use: str, *cameras: Calibration) -> str:
    """What to tell the user of distorted images of `cameras` that serve for `use`."""
    names = " and ".join(sorted({repr(camera.frame_id) for camera in cameras if camera.distortion}))
    return (
        f"lens distortion in camera_info of {names} (D is not zero), which {use} does not undo: expected undistorted "
        "images; remap to rectified topics whose camera_info has D = 0 (reported once)"
    )


def seconds(stamp_ns: int) -> float:
    """A stamp in seconds, rounded the same way wherever stamps are compared."""
    whole, rest = divmod(stamp_ns, 1_000_000_000)
    return whole + 1e-9 * rest
