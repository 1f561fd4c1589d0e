"""Bad input over real DDS: a warning that names what came, a living node, and a correct next frame."""

from __future__ import annotations

import array
import time

import numpy as np
import pytest
from frame_makers import scene
from ros_harness import camera_info, depth_array, header, rgb_message

from depth_sr_ros.ros.encoding import image_message

pytestmark = pytest.mark.ros

DEPTH, RGB = scene()


def good_frame_follows(node, peer, **options) -> None:
    """The node lives, and the next good frame comes out as ever."""
    result = depth_array(peer.exchange(DEPTH, **options))
    assert node.alive()
    assert result.shape == (192, 256) and np.isfinite(result).all()
    np.testing.assert_allclose(result.reshape(48, 4, 64, 4).mean((1, 3)), DEPTH, atol=0.15)


def expect_warning(node, *words: str, timeout: float = 20.0) -> None:
    """One line that the node logged since `node.mark_log()` holds a warning with all `words`."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        lines = [line for line in node.news().splitlines() if "[WARN]" in line]
        if any(all(word in line for word in words) for line in lines):
            return
        time.sleep(0.05)
    pytest.fail(f"no warning with {words} in:\n{node.news()}")


def message(**changes):
    msg = image_message(DEPTH, header(0))
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


REFUSED = {
    "wrong encoding": ({"encoding": "mono16"}, ["unsupported depth encoding 'mono16'", "expected 16UC1", "republish"]),
    "colour on the depth topic": ({"encoding": "bgr8"}, ["unsupported depth encoding 'bgr8'", "32FC1"]),
    "truncated data": ({"data": array.array("B", bytes(1000))}, ["truncated image: 1000 bytes", "expected 12288"]),
    "zero size": ({"width": 0, "height": 0, "data": array.array("B")}, ["image of 0x0", "expected at least 1x1"]),
    "step too small": ({"step": 64}, ["step 64", "expected at least 256 bytes"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_image(node, peer, case):
    changes, words = REFUSED[case]
    node.mark_log()
    stamp = peer.send(message(**changes))
    expect_warning(node, "depth image rejected", *words)
    good_frame_follows(node, peer)
    assert stamp not in peer.images and stamp not in peer.infos
    level, text, _ = peer.next_status()
    assert level == b"\x01" and words[0] in text


def test_warnings_are_throttled_and_counted(node, peer):
    before = int(peer.next_status()[2]["frames_rejected"])
    lines = node.text().count("image: 7 bytes")
    for _ in range(40):
        peer.send(message(data=array.array("B", bytes(7))))
        peer.spin(0.01)
    good_frame_follows(node, peer)
    assert node.text().count("image: 7 bytes") - lines <= 1
    assert int(peer.next_status()[2]["frames_rejected"]) == before + 40


def test_frame_of_nan_only(node, peer):
    node.mark_log()
    result = depth_array(peer.exchange(np.full_like(DEPTH, np.nan)))
    assert result.shape == (192, 256) and np.isnan(result).all(), "invalid in, invalid out, and no gap"
    expect_warning(node, "depth image of 64x48 without any valid pixel", "expected depth")
    good_frame_follows(node, peer)


def test_frame_of_zeros_in_millimetres(node, peer):
    out = peer.exchange(np.zeros((48, 64), np.uint16))
    assert out.encoding == "16UC1" and not depth_array(out).any()
    good_frame_follows(node, peer)


def test_camera_info_with_zero_k(node, peer):
    zero = camera_info(64, 48)
    zero.k = [0.0] * 9
    node.mark_log()
    stamp = peer.send(DEPTH, info=zero)
    peer.receive(stamp)
    expect_warning(node, "uncalibrated camera_info of 'camera' (K = 0)", "expected fx, fy > 0", "calibrate")
    info = peer.receive_info(stamp)
    assert not any(info.k) and (info.width, info.height) == (256, 192), "nothing is invented"
    good_frame_follows(node, peer)


def test_camera_info_of_another_size(node, peer):
    node.mark_log()
    stamp = peer.send(DEPTH, info=camera_info(32, 24))
    peer.receive(stamp)
    expect_warning(node, "32x24", "image of 64x48", "expected equal sizes")
    peer.spin(0.2)
    assert stamp not in peer.infos
    good_frame_follows(node, peer)


def without_image(kind: str, width: int, height: int):
    info = camera_info(width, height)
    if kind == "roi":
        info.roi.height = 10
    else:
        info.binning_x = info.binning_y = 2 * width
    return info


@pytest.mark.parametrize("kind", ["roi", "binning"])
def test_camera_info_whose_roi_or_binning_leaves_no_image(node, peer, kind):
    """Of the depth camera: the image goes out without camera_info. Of the RGB camera: it goes out unguided."""
    words = "ROI of 0x10" if kind == "roi" else "binning 128x128"
    node.mark_log()
    stamp = peer.send(DEPTH, info=without_image(kind, 64, 48), frame=f"{kind}_camera")
    assert depth_array(peer.receive(stamp)).shape == (192, 256)
    expect_warning(node, f"no camera_info goes out: camera_info of '{kind}_camera'", words, "correct the driver")
    stamp = peer.send(DEPTH)  # the malformed one is the latest while this image waits for its own
    assert peer.receive_info(stamp).width == 256
    peer.receive(stamp)
    words = words.replace("128", "512")
    node.mark_log()
    frames = {"frame": f"{kind}_camera", "rgb_frame": f"{kind}_camera"}
    good_frame_follows(node, peer, rgb=RGB, rgb_info=without_image(kind, 256, 192), **frames)
    expect_warning(node, f"RGB cannot guide: camera_info of '{kind}_camera'", words)
    good_frame_follows(node, peer)


def test_resolution_changes_mid_stream(node, peer):
    small, _ = scene(32, 24)
    for depth in (DEPTH, small, DEPTH, small):
        stamp = peer.send(depth)
        out, info = peer.receive(stamp), peer.receive_info(stamp)
        height, width = depth.shape
        assert (out.height, out.width) == (info.height, info.width) == (4 * height, 4 * width)
        assert info.k[2] == pytest.approx(2 * width - 0.5)


def test_stamps_that_go_back(node, peer):
    first = peer.send(DEPTH)
    peer.receive(first)
    loops = int(peer.next_status()[2]["loops"])
    early = first - 5_000_000_000
    node.mark_log()
    for i in range(3):
        peer.exchange(DEPTH, stamp=early + i * 33_000_000)
    expect_warning(node, "depth stamp earlier than the last one", "looped bag")
    assert int(peer.next_status()[2]["loops"]) == loops + 1
    good_frame_follows(node, peer)


RGB_TROUBLE = {
    "another aspect": (
        {"rgb": RGB[:, :120], "rgb_info": "cropped"},
        ["RGB of 120x192", "47 % of the depth view", "expected at least 90 %"],
    ),
    "info of another size": (
        {"rgb": RGB, "rgb_info": camera_info(64, 48)},
        ["64x48", "image of 256x192", "expected equal sizes"],
    ),
    "info with zero K": ({"rgb": RGB, "rgb_info": "zero"}, ["RGB cannot guide", "K = 0", "calibrate"]),
    "unknown encoding": ({"rgb": "jpeg"}, ["RGB cannot guide", "unsupported colour encoding 'jpeg'", "expected"]),
    "truncated": ({"rgb": "truncated"}, ["RGB cannot guide", "truncated image: 99 bytes", "expected"]),
    "another frame": (
        {"rgb": RGB, "rgb_frame": "rgb_optical"},
        ["'rgb_optical' is not registered", "extrinsics"],
    ),
}


@pytest.mark.parametrize("case", RGB_TROUBLE)
def test_bad_rgb_falls_back_to_single_depth(node, peer, case):
    options, words = RGB_TROUBLE[case]
    options = dict(options)
    if isinstance(options["rgb"], str):
        damaged = rgb_message(RGB, header(0))
        if options["rgb"] == "jpeg":
            damaged.encoding = "jpeg"
        else:
            damaged.data = damaged.data[:99]
        options |= {"rgb": damaged, "rgb_info": camera_info(256, 192)}
    if options.get("rgb_info") == "cropped":
        options["rgb_info"] = camera_info(256, 192)
        options["rgb_info"].width = 120
    if options.get("rgb_info") == "zero":
        zero = camera_info(256, 192)
        zero.k = [0.0] * 9
        options["rgb_info"] = zero
    node.mark_log()
    good_frame_follows(node, peer, **options)
    expect_warning(node, *words)
    level, text, _ = peer.next_status()
    assert level == b"\x01" and words[0] in text, text
    good_frame_follows(node, peer)


def test_rgb_of_another_size_with_the_same_view_guides(peer):
    depth, rgb = scene(32, 24)
    peer.set_parameters(mode="guided")
    try:
        outputs = [
            depth_array(peer.exchange(depth, rgb=image))
            for image in (rgb, rgb[::2, ::2], rgb.repeat(2, 0).repeat(2, 1))
        ]
    finally:
        peer.set_parameters(mode="auto")
    for output in outputs[1:]:
        assert np.abs(output - outputs[0]).mean() < 0.02


def test_missing_camera_info(start_node):
    node, peer = start_node("no_info")
    peer.wait_connected()
    node.mark_log()
    assert depth_array(peer.wait_served(DEPTH, info=None)).shape == (192, 256)
    expect_warning(node, "no camera_info on /no_info/depth/camera_info", "expected one")
    peer.spin(0.2)
    assert not peer.infos, "no camera_info is invented"
    level, text, _ = peer.next_status()
    assert level == b"\x01" and "no camera_info" in text
    stamp = peer.send(DEPTH)
    assert peer.receive_info(stamp).width == 256
    node.stop()
