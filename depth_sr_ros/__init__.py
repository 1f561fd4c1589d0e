"""High-resolution depth from low-resolution depth cameras, live in ROS 2.

>>> from depth_sr_ros import DepthUpsampler
>>> depth_hr = DepthUpsampler(method="bicubic", scale=4).upsample(depth)  # float32 metres, NaN invalid
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inference.upsampler import DepthUpsampler

__version__ = "0.1.0"
__all__ = ["DepthUpsampler", "__version__"]


def __getattr__(name: str) -> object:
    # torch takes seconds to import; `depth-sr --help` and the launch file should not wait for it
    if name == "DepthUpsampler":
        from .inference.upsampler import DepthUpsampler

        return DepthUpsampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
