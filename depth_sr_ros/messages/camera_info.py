"""sensor_msgs/CameraInfo to a `Calibration`."""

from __future__ import annotations

from collections.abc import Sequence

from ..inference.calibration import Calibration, RegionOfInterest
from .protocols import CameraInfoMessage, stamp_ns


def decode_camera_info(message: CameraInfoMessage) -> Calibration:
    """The content of `message`, checked only where it is used (see `Calibration.intrinsics`)."""
    roi = message.roi
    return Calibration(
        stamp_ns=stamp_ns(message),
        frame_id=message.header.frame_id,
        width=message.width,
        height=message.height,
        k=_floats(message.k),
        d=_floats(message.d),
        distortion_model=message.distortion_model,
        r=_floats(message.r),
        p=_floats(message.p),
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi=RegionOfInterest(roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, values))
