"""What is published for a frame, and what is reported where something cannot be; without DDS traffic."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

from frame_makers import calibration, frame_pair, scene
from sensor_msgs.msg import CameraInfo, Image

from depth_sr_ros.inference.frames import ProblemKind
from depth_sr_ros.messages.camera_info import decode_camera_info
from depth_sr_ros.messages.images import decode_depth
from depth_sr_ros.ros.outputs import Outputs

DEPTH, RGB = scene(32, 24)
LARGE = DEPTH.repeat(4, 0).repeat(4, 1)
LENS = (0.1, -0.05, 0.0, 0.0, 0.0)


def publish(pair) -> tuple[dict, list]:
    """The messages that go out for `pair` by their type, and what is reported."""
    publisher, reported = Mock(), []
    node = Mock(create_lifecycle_publisher=Mock(return_value=publisher))
    Outputs(node, reported.append, Mock()).publish(pair, LARGE)
    return {type(call.args[0]): call.args[0] for call in publisher.publish.call_args_list}, reported


def test_image_and_info_carry_the_stamp_of_the_input():
    pair = frame_pair(DEPTH, RGB, stamp=12.5, depth_lens=LENS)
    messages, reported = publish(pair)
    assert not reported
    image, info = decode_depth(messages[Image]), decode_camera_info(messages[CameraInfo])
    assert (image.stamp_ns, image.frame_id) == (info.stamp_ns, info.frame_id) == (pair.depth.stamp_ns, "camera")
    assert info == replace(pair.depth_info.scaled(32, 24, 4), stamp_ns=pair.depth.stamp_ns)


def test_a_camera_info_that_does_not_serve_is_reported():
    pair = frame_pair(DEPTH, None)
    uncalibrated = calibration(32, 24, k=(0.0,) * 9)
    for info, goes_out in ((None, False), (calibration(16, 12), False), (uncalibrated, True)):
        messages, reported = publish(replace(pair, depth_info=info))
        assert Image in messages and (CameraInfo in messages) == goes_out
        assert [problem.kind for problem in reported] == [ProblemKind.CAMERA_INFO]


def test_lens_distortion_of_points_is_told_once(monkeypatch):
    publisher = Mock()
    node = Mock(create_lifecycle_publisher=Mock(return_value=publisher))
    monkeypatch.setattr("depth_sr_ros.ros.outputs.points_message", lambda depth, camera, head: "cloud")
    told = []
    outputs = Outputs(node, told.append, Mock())
    outputs.offer_points(True, active=True)
    for lens in ((), LENS, LENS):
        outputs.publish(frame_pair(DEPTH, RGB, depth_lens=lens), LARGE)
    assert [call.args[0] for call in publisher.publish.call_args_list].count("cloud") == 3
    ((kind, text),) = told
    assert kind is ProblemKind.DISTORTION and "the point cloud does not undo" in text
