"""Guided, single, and the way between them without a gap."""

from __future__ import annotations

import time

import numpy as np
import pytest
from frame_makers import scene
from ros_harness import camera_info, depth_array

from depth_sr_ros import DepthUpsampler

pytestmark = pytest.mark.ros

DEPTH, RGB = scene()


def both_methods(depth: np.ndarray, rgb: np.ndarray) -> dict[str, np.ndarray]:
    guided = DepthUpsampler("dada_rgb", scale=4).upsample(depth, rgb)
    single = DepthUpsampler("bicubic", scale=4).upsample(depth)
    assert np.abs(guided - single).max() > 0.05, "the two methods must be told apart by their output"
    return {"guided": guided, "single": single}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return both_methods(DEPTH, RGB)


@pytest.fixture
def mode(peer):
    """Sets the mode, and auto again afterwards."""

    def set_mode(mode: str) -> None:
        (result,) = peer.set_parameters(mode=mode)
        assert result.successful, result.reason
        if mode != "single":
            peer.wait_connected()

    yield set_mode
    set_mode("auto")


def kind_of(msg, expected) -> str:
    result = depth_array(msg)
    errors = {name: float(np.abs(result - value).max()) for name, value in expected.items()}
    best = min(errors, key=errors.get)
    assert errors[best] < 1e-3, errors
    return best


def test_auto_uses_rgb_when_it_is_there(peer, expected):
    assert kind_of(peer.exchange(DEPTH, rgb=RGB), expected) == "guided"
    assert kind_of(peer.exchange(DEPTH), expected) == "single"


@pytest.mark.parametrize(("offset_ms", "kind"), [(15, "guided"), (-15, "guided"), (30, "single"), (-30, "single")])
def test_the_slop_decides(peer, expected, offset_ms, kind):
    peer.spin(0.6)  # RGB of the last test is over, so stamps do not mix
    stamp = peer.next_stamp(1_000_000_000)
    peer.send(DEPTH, stamp=stamp, rgb=RGB, rgb_stamp=stamp + offset_ms * 1_000_000)
    assert kind_of(peer.receive(stamp), expected) == kind


def test_rgb_that_arrives_after_depth_still_guides(peer, expected):
    peer.exchange(DEPTH, rgb=RGB)
    kinds = []
    for _ in range(6):  # the wait follows the lateness seen lately, which a busy machine changes at any time
        stamp = peer.send(DEPTH)
        peer.spin(0.015)
        came_before_rgb = stamp in peer.images
        peer.send_rgb(RGB, stamp)
        kinds.append((kind_of(peer.receive(stamp), expected), came_before_rgb))
    assert ("guided", False) in kinds, f"the node waits for RGB while RGB is alive: {kinds}"
    assert all(kind == "single" for kind, came_before_rgb in kinds if came_before_rgb)


def test_late_rgb_guides_again_after_its_camera_info_was_bad(peer, expected):
    """RGB 15 ms after depth pairs only if waited for, also after a time in which it was of no use."""
    kinds = []
    for i in range(50):
        stamp = peer.send(DEPTH, stamp=peer.next_stamp(60_000_000))
        peer.spin(0.015)
        bad = camera_info(64, 48) if i < 12 else "fitting"
        peer.send_rgb(RGB, stamp, info=bad)
        kinds.append(kind_of(peer.receive(stamp), expected))
        peer.spin(0.045)
    assert set(kinds[:12]) == {"single"}
    # a busy machine delays single messages beyond the wait; RGB that is given up on for good guides none at all
    assert kinds[-20:].count("guided") >= 10, kinds


def test_auto_changes_over_and_back_without_a_gap(peer):
    depth, rgb = scene(32, 24)  # small: the guided method must keep up with the rate on a busy machine
    references = both_methods(depth, rgb)
    period, count = 0.12, 30
    sent, start = [], time.monotonic()
    for i in range(count):
        stamp = peer.next_stamp(120_000_000)
        if i >= 2:
            # no more than two frames under way: a node slowed by other programs would be right to skip the third
            peer.receive(sent[i - 2])
        if i < 10 or i >= 20:
            peer.send_rgb(rgb, stamp)
            peer.spin(0.2 if i in (0, 20) else 0.01)  # after a silence of RGB the node does not wait for it
        sent.append(peer.send(depth, stamp=stamp))
        peer.spin(max(0.0, start + (i + 1) * period - time.monotonic()))
    peer.receive(sent[-1])
    assert peer.order == sent, "every frame came out, in order"
    kinds = [kind_of(peer.images[stamp], references) for stamp in sent]
    assert kinds == ["guided"] * 10 + ["single"] * 10 + ["guided"] * 10


def test_single_mode_does_not_even_subscribe_to_rgb(peer, mode, expected):
    mode("single")
    topic = peer.node.resolve_topic_name("rgb/image_raw")
    peer.spin_until(lambda: peer.node.count_subscribers(topic) == 0, 5.0, "rgb is unsubscribed")
    assert kind_of(peer.exchange(DEPTH, rgb=RGB), expected) == "single"


def test_guided_mode_publishes_nothing_without_rgb_and_says_why(node, peer, mode, expected):
    mode("guided")
    assert kind_of(peer.exchange(DEPTH, rgb=RGB), expected) == "guided"
    stamp = peer.send(DEPTH)
    level, text, _ = peer.next_status(count=2)
    assert stamp not in peer.images and stamp not in peer.infos
    assert level == b"\x02" and "mode guided publishes nothing" in text and "sync_slop" in text
    stamp = peer.send(DEPTH, rgb=RGB, rgb_frame="elsewhere")
    level, text, _ = peer.next_status(count=2)
    assert stamp not in peer.images
    assert level == b"\x02" and "'elsewhere'" in text and "extrinsics" in text
    assert kind_of(peer.exchange(DEPTH, rgb=RGB), expected) == "guided"


def test_unregistered_rgb_guides_with_extrinsics(peer, mode, expected):
    """Identity extrinsics between two frames: the projection must reproduce the registered guide."""
    mode("guided")
    try:
        (result,) = peer.set_parameters(extrinsics=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        assert result.successful, result.reason
        result = depth_array(peer.exchange(DEPTH, rgb=RGB, rgb_frame="rgb_optical"))
        assert np.abs(result - expected["guided"]).mean() < 0.005
        peer.set_parameters(extrinsics=[50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        stamp = peer.send(DEPTH, rgb=RGB, rgb_frame="rgb_optical")
        level, text, _ = peer.next_status(count=2)
        assert stamp not in peer.images and level == b"\x02" and "% of the depth view" in text
    finally:
        peer.set_parameters(extrinsics=[])


def test_assume_registered_overrides_frame_ids(peer, expected):
    peer.set_parameters(assume_registered=True)
    try:
        assert kind_of(peer.exchange(DEPTH, rgb=RGB, rgb_frame="rgb_optical"), expected) == "guided"
    finally:
        peer.set_parameters(assume_registered=False)


def test_rgb_out_of_step_is_hinted_at(peer, expected):
    for _ in range(14):
        stamp = peer.next_stamp(100_000_000)
        peer.send(DEPTH, stamp=stamp, rgb=RGB, rgb_stamp=stamp - 45_000_000)
        peer.spin(0.1)
    assert kind_of(peer.receive(stamp), expected) == "single"
    level, text, _ = peer.next_status()
    assert level == b"\x01" and "nearest to depth is 0.0" in text and "raise sync_slop" in text
