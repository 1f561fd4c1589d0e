"""Replay without ROS: the upsampler on the recording's frames, paired with RGB by stamp."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from depth_sr_ros.camera import MIN_REGISTERED_VIEW, RegisteredWarp
from depth_sr_ros.replay.images import ImageError, decode_colour, decode_depth, decode_intrinsics, stamp_of
from depth_sr_ros.replay.methods import MethodChoice
from depth_sr_ros.replay.reading import Bag, BagError
from depth_sr_ros.replay.scoring import Result
from depth_sr_ros.upsampler import DepthUpsampler
from depth_sr_ros.weights import camera_weights, default_method

SYNC_SLOP_NS = 20_000_000
"""Depth and RGB whose stamps differ by at most this are a pair (20 ms)."""


def run_offline(
    bag: Bag, choice: MethodChoice, scale: int, assume_registered: bool = False, **options
) -> tuple[str, Iterator[Result], list[str]]:
    """Upsample every depth frame of a recording.

    Args:
        bag: see `reading`.
        choice: method; "auto" means guided when the recording has RGB registered to the depth, else single.
        scale: upsampling factor.
        assume_registered: take RGB for registered to depth although their frame_ids differ.
        options: passed on to `DepthUpsampler` (device, size, weights, consistent, ...).

    Returns:
        The network's name, an iterator that upsamples as it is read, and what to tell the user: why RGB was not used.

    Raises:
        BagError: guided, but the recording has no RGB that can guide.
        ValueError: the network does not have this scale or has no weights.
    """
    warp, notes = None, []
    if choice.mode != "single":
        try:
            warp = _warp_of(bag, scale, assume_registered)
        except ImageError as error:
            if choice.mode == "guided":
                raise BagError(f"{bag.path.name} has no RGB that can guide: {error}") from None
            if bag.topics.rgb is not None:
                notes = [f"from depth alone, since RGB cannot guide: {error}"]
    weights, size = options.get("weights"), options.get("size")
    network = choice.network or default_method(warp is not None, scale, size, weights)[0]
    if not weights:
        options["weights"] = camera_weights(network, scale, size or "lite")  # as the node's weights_* = auto
    upsampler = DepthUpsampler(network, scale=scale, **options)
    return network, _results(bag, upsampler, warp), notes


def _warp_of(bag: Bag, scale: int, assume_registered: bool) -> RegisteredWarp:
    """RGB into the HR depth view by the recording's first messages, under the node's rules (ros/guidance.py).

    Raises:
        ImageError: RGB cannot guide, and why.
    """
    first = {role: next(iter(bag.messages(role)), None) for role in ("depth", "depth_info", "rgb", "rgb_info")}
    if missing := [role for role, message in first.items() if message is None]:
        raise ImageError(f"it needs calibrated RGB, but there are no messages for {', '.join(missing)} in {bag.topics}")
    frames = [first[role].header.frame_id for role in ("depth", "rgb")]
    if frames[0] != frames[1] and not assume_registered:
        raise ImageError(
            f"depth is in frame {frames[0]!r} and RGB in {frames[1]!r}, so they are not registered: record the "
            "driver's registered depth, say --assume-registered if they are after all, or replay with --live "
            "--external through a node that has the extrinsics"
        )
    cameras = [
        decode_intrinsics(first[f"{role}_info"], first[role].width, first[role].height) for role in ("depth", "rgb")
    ]
    warp = RegisteredWarp(cameras[0].scaled(scale), cameras[1])
    share = float(warp.seen.mean())
    if share < MIN_REGISTERED_VIEW:
        raise ImageError(
            f"by the camera_infos RGB shows {100 * share:.0f} % of the depth view, at least "
            f"{100 * MIN_REGISTERED_VIEW:.0f} % were expected: they do not belong together"
        )
    return warp


def _results(bag: Bag, upsampler: DepthUpsampler, warp: RegisteredWarp | None) -> Iterator[Result]:
    stamps, times = np.array(bag.index("rgb") if warp else [], np.int64).reshape(-1, 2).T
    for message in bag.messages("depth"):
        stamp = stamp_of(message)
        depth, guide, options = decode_depth(message), None, {}
        start = time.perf_counter()
        if warp is not None:
            index = int(np.argmin(np.abs(stamps - stamp)))
            if abs(int(stamps[index]) - stamp) > SYNC_SLOP_NS:
                continue  # no guide for this frame: it counts as not delivered
            guide = warp(decode_colour(bag.message_at("rgb", int(times[index]))))
            options = {"guide_seen": warp.seen, "stamp": 1e-9 * stamp}
        result = upsampler.upsample(depth, guide, **options)
        yield Result(stamp, result, time.perf_counter() - start)
