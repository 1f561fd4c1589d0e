"""Replay without ROS: the upsampler on the recording's frames, paired with RGB by stamp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from depth_sr_ros.camera import MIN_REGISTERED_VIEW, Extrinsics, Intrinsics, RegisteredWarp, project_guide
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.models import diffuses
from depth_sr_ros.replay.images import ImageError, decode_colour, decode_depth, decode_intrinsics, stamp_of
from depth_sr_ros.replay.methods import MethodChoice
from depth_sr_ros.replay.reading import Bag, BagError
from depth_sr_ros.replay.scoring import Result
from depth_sr_ros.zoo.choice import AUTO, default_method

SYNC_SLOP_NS = 20_000_000
"""Depth and RGB whose stamps differ by at most this are a pair (20 ms)."""

GuideMaker = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""RGB as recorded and the depth (h, w) beside it -> guide (H, W, 3) in the HR depth view, and where RGB saw it (H, W);
`ImageError` where this frame's RGB cannot guide."""


def run_offline(
    bag: Bag,
    choice: MethodChoice,
    scale: int,
    assume_registered: bool = False,
    extrinsics: tuple[float, ...] = (),
    lr_kernel: str | None = None,
    weights: str | Path = AUTO,
    **options,
) -> tuple[DepthUpsampler, Iterator[Result], list[str]]:
    """Upsample every depth frame of a recording.

    Args:
        bag: see `reading`.
        choice: method; "auto" means guided when the recording has RGB that can guide, else single.
        scale: upsampling factor.
        assume_registered: take RGB for registered to depth although their frame_ids differ.
        extrinsics: x y z qx qy qz qw, depth to RGB camera; empty: the pair must be registered.
        lr_kernel: for a diffusion method, see `DepthUpsampler`; as in the node, other methods do not use it.
        weights: see `DepthUpsampler`.
        options: passed on to it (device, size, consistent, ...).

    Returns:
        The upsampler, an iterator that upsamples as it is read, and what to tell the user: why RGB or the
        kernel was not used; complete when the iterator is at its end.

    Raises:
        BagError: guided, but the recording has no RGB that can guide.
        ValueError: the network does not have this scale or has no weights, or bad extrinsics.
    """
    motion = Extrinsics.from_xyz_quaternion(extrinsics) if extrinsics else None
    make_guide, notes = None, []
    if choice.mode != "single":
        try:
            make_guide = _guide_maker(bag, scale, assume_registered, motion)
        except ImageError as error:
            if choice.mode == "guided":
                raise BagError(f"{bag.path.name} has no RGB that can guide: {error}") from None
            if bag.topics.rgb is not None:
                notes = [f"from depth alone, since RGB cannot guide: {error}"]
    network = choice.network or default_method(make_guide is not None, scale, options.get("size"), weights)[0]
    if lr_kernel is not None and not diffuses(network):
        lr_kernel, notes = None, [*notes, f"{network} does not diffuse: lr_kernel is not used"]
    upsampler = DepthUpsampler(network, scale=scale, weights=weights, lr_kernel=lr_kernel, **options)
    return upsampler, _results(bag, upsampler, make_guide, notes), notes


def _guide_maker(bag: Bag, scale: int, assume_registered: bool, extrinsics: Extrinsics | None) -> GuideMaker:
    """RGB into the HR depth view by the recording's first messages, under the node's rules (ros/guidance.py).

    Raises:
        ImageError: RGB cannot guide, and why.
    """
    first = {role: next(iter(bag.messages(role)), None) for role in ("depth", "depth_info", "rgb", "rgb_info")}
    if missing := [role for role, message in first.items() if message is None]:
        raise ImageError(f"it needs calibrated RGB, but there are no messages for {', '.join(missing)} in {bag.topics}")
    frames = [first[role].header.frame_id for role in ("depth", "rgb")]
    if frames[0] != frames[1] and not assume_registered and extrinsics is None:
        raise ImageError(
            f"depth is in frame {frames[0]!r} and RGB in {frames[1]!r}, so they are not registered: give the depth "
            "camera's pose by --extrinsics, record the driver's registered depth, or say --assume-registered if they "
            "are after all"
        )
    camera, camera_rgb = (
        decode_intrinsics(first[f"{role}_info"], first[role].width, first[role].height) for role in ("depth", "rgb")
    )
    if extrinsics is None:
        return _registered(camera.scaled(scale), camera_rgb)
    project = _projected(camera.scaled(scale), camera_rgb, extrinsics)
    if np.isfinite(depth := decode_depth(first["depth"])).any():
        project(decode_colour(first["rgb"]), depth)  # wrong extrinsics are wrong for every frame: say so at once
    return project


def _registered(camera_hr: Intrinsics, camera_rgb: Intrinsics) -> GuideMaker:
    warp = RegisteredWarp(camera_hr, camera_rgb)
    share = float(warp.seen.mean())
    if share < MIN_REGISTERED_VIEW:
        raise ImageError(
            f"by the camera_infos RGB shows {100 * share:.0f} % of the depth view, at least "
            f"{100 * MIN_REGISTERED_VIEW:.0f} % were expected: they do not belong together"
        )
    return lambda rgb, depth: (warp(rgb), warp.seen)


def _projected(camera_hr: Intrinsics, camera_rgb: Intrinsics, extrinsics: Extrinsics) -> GuideMaker:
    def project(rgb: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            return project_guide(rgb, depth, camera_hr, camera_rgb, extrinsics)
        except ValueError as error:
            raise ImageError(str(error)) from None

    return project


def _results(bag: Bag, upsampler: DepthUpsampler, make_guide: GuideMaker | None, notes: list[str]) -> Iterator[Result]:
    stamps, times = np.array(bag.index("rgb") if make_guide else [], np.int64).reshape(-1, 2).T
    unguided: list[str] = []
    for message in bag.messages("depth"):
        stamp = stamp_of(message)
        depth, guide, options = decode_depth(message), None, {}
        start = time.perf_counter()
        if make_guide is not None:
            index = int(np.argmin(np.abs(stamps - stamp)))
            if abs(int(stamps[index]) - stamp) > SYNC_SLOP_NS:
                continue  # no guide for this frame: it counts as not delivered
            rgb = decode_colour(bag.message_at("rgb", int(times[index])))
            try:
                guide, seen = make_guide(rgb, depth)
            except ImageError as error:
                unguided.append(str(error))
                continue  # likewise
            options = {"guide_seen": seen, "stamp": 1e-9 * stamp}
        result = upsampler.upsample(depth, guide, **options)
        yield Result(stamp, result, time.perf_counter() - start)
    if unguided:
        notes.append(f"{len(unguided)} frames left out whose RGB cannot guide, the first because {unguided[0]}")
