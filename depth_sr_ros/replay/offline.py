"""Replay without ROS: the upsampler on the recording's frames, paired with RGB by stamp."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from depth_sr_ros.camera import RegisteredWarp
from depth_sr_ros.replay.images import decode_colour, decode_depth, decode_intrinsics, stamp_of
from depth_sr_ros.replay.methods import MethodChoice
from depth_sr_ros.replay.reading import Bag, BagError
from depth_sr_ros.replay.scoring import Result
from depth_sr_ros.upsampler import DepthUpsampler
from depth_sr_ros.weights import default_method

SYNC_SLOP_NS = 20_000_000
"""Depth and RGB whose stamps differ by at most this are a pair (20 ms)."""


def run_offline(bag: Bag, choice: MethodChoice, scale: int, **options) -> tuple[str, Iterator[Result]]:
    """Upsample every depth frame of a recording.

    Args:
        bag: see `reading`.
        choice: method; "auto" means guided when the recording has RGB registered to the depth, else single.
        scale: upsampling factor.
        options: passed on to `DepthUpsampler` (device, size, weights, consistent, ...).

    Returns:
        The network's name, and an iterator that upsamples as it is read.

    Raises:
        BagError: guided, but the recording has no RGB or no calibration.
        ValueError: the network does not have this scale or has no weights.
    """
    guided = choice.mode == "guided" or (choice.mode == "auto" and bag.topics.rgb is not None)
    warp = None
    if guided:
        warp = _warp_of(bag, scale)
        if warp is None and choice.mode == "guided":
            raise BagError(
                f"{bag.path.name} has no calibrated RGB, which a guided method needs: it wants an RGB topic and "
                f"camera_infos with a valid K beside depth and RGB; found {bag.topics}"
            )
        guided = warp is not None
    network = choice.network or default_method(guided, scale, options.get("size"), options.get("weights"))[0]
    upsampler = DepthUpsampler(network, scale=scale, **options)
    return network, _results(bag, upsampler, warp)


def _warp_of(bag: Bag, scale: int) -> RegisteredWarp | None:
    cameras = []
    for role in ("depth_info", "rgb_info"):
        message = next(iter(bag.messages(role)), None)
        cameras.append(None if message is None else decode_intrinsics(message))
    depth, rgb = cameras
    return RegisteredWarp(depth.scaled(scale), rgb) if depth and rgb else None


def _results(bag: Bag, upsampler: DepthUpsampler, warp: RegisteredWarp | None) -> Iterator[Result]:
    stamps, times = np.array(bag.index("rgb") if warp else [], np.int64).reshape(-1, 2).T
    for message in bag.messages("depth"):
        stamp = stamp_of(message)
        depth, guide = decode_depth(message), None
        start = time.perf_counter()
        if warp is not None:
            index = int(np.argmin(np.abs(stamps - stamp)))
            if abs(int(stamps[index]) - stamp) > SYNC_SLOP_NS:
                continue  # no guide for this frame: it counts as not delivered
            guide = warp(decode_colour(bag.message_at("rgb", int(times[index]))))
        result = upsampler.upsample(depth, guide)
        yield Result(stamp, result, time.perf_counter() - start)
