"""Where the extrinsics come from: tf, by the images' frame_ids. Without DDS traffic."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from frame_makers import frame_pair, scene
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from ros_harness import header

from depth_sr_ros.inference.frames import ProblemKind
from depth_sr_ros.inference.guidance import Guide, GuideError, GuideMaker
from depth_sr_ros.ros.node import SrNode
from depth_sr_ros.ros.transforms import TransformError, Transforms

DEPTH, RGB = scene(32, 24)
SHIFT = (-0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def make_guide(maker: GuideMaker, rgb_frame: str = "rgb") -> Guide:
    return maker(frame_pair(DEPTH, RGB, 1.0, "depth", rgb_frame), DEPTH)


# ---- tf, by a module with the names of the real tf2_ros: it is not to be had outside a ROS installation


class TransformException(Exception):
    """As tf2_ros has it."""


class LookupException(TransformException):
    """As tf2_ros has it."""


class Buffer:
    """Static transforms by (target, source)."""

    def __init__(self, cache_time=None, node=None):
        self.transforms = {}

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        self.transforms[transform.header.frame_id, transform.child_frame_id] = transform

    def lookup_transform(self, target_frame, source_frame, time, timeout=None) -> TransformStamped:
        assert time.nanoseconds == 0
        try:
            return self.transforms[target_frame, source_frame]
        except KeyError:
            raise LookupException(f'"{source_frame}" passed to lookupTransform does not exist.') from None


class Listener:
    """Remembers the last one made."""

    last: Listener

    def __init__(self, buffer: Buffer, node, *, spin_thread: bool = False):
        self.buffer, self.node, self.open = buffer, node, True
        type(self).last = self

    def unregister(self) -> None:
        self.open = False


class StaticListener(Listener):
    pass


def rgb_from_depth(x: float) -> TransformStamped:
    """Where the depth camera lies in the RGB camera's frame: what tf has for parent rgb, child depth."""
    message = TransformStamped(header=header(0, "rgb"), child_frame_id="depth")
    message.transform.translation.x, message.transform.rotation.w = x, 1.0
    return message


@pytest.fixture
def tf2_ros(monkeypatch) -> ModuleType:
    module = ModuleType("tf2_ros")
    module.Buffer, module.TransformListener, module.StaticTransformListener = Buffer, Listener, StaticListener
    module.TransformException, module.LookupException = TransformException, LookupException
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return module


@pytest.fixture
def no_tf2_ros(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)  # makes `import tf2_ros` fail wherever the tests run


def test_tf_tells_the_extrinsics(tf2_ros):
    transforms = Transforms(node := object())
    transforms.listen(True)
    listener = StaticListener.last
    assert listener.node is node
    with pytest.raises(TransformError, match=r"'depth' to RGB frame 'rgb'.*does not exist.*start the camera driver"):
        transforms.extrinsics("rgb", "depth")
    listener.buffer.set_transform_static(rgb_from_depth(-0.05), "test")
    extrinsics = transforms.extrinsics("rgb", "depth")
    np.testing.assert_allclose(extrinsics.translation, [-0.05, 0, 0])
    np.testing.assert_allclose(extrinsics.rotation, np.eye(3))
    transforms.listen(True)
    assert StaticListener.last is listener and listener.open
    transforms.listen(False)
    assert not listener.open
    with pytest.raises(TransformError, match="not listened to"):
        transforms.extrinsics("rgb", "depth")


def test_where_there_is_no_listener_for_static_transforms_alone(tf2_ros):
    del tf2_ros.StaticTransformListener
    Transforms(object()).listen(True)
    assert type(Listener.last) is Listener


def test_a_guide_by_tf_is_the_guide_by_the_same_numbers(tf2_ros):
    transforms = Transforms(object())
    transforms.listen(True)
    maker = GuideMaker(4, find_extrinsics=transforms.extrinsics)
    with pytest.raises(GuideError, match="tf has no transform"):
        make_guide(maker)
    StaticListener.last.buffer.set_transform_static(rgb_from_depth(-0.05), "test")
    by_tf, by_hand = make_guide(maker), make_guide(GuideMaker(4, SHIFT))
    np.testing.assert_array_equal(by_tf.pixels, by_hand.pixels)
    assert by_tf.view == by_hand.view
    assert make_guide(maker, "depth").seen is None, "one frame_id is registered, whatever tf says"


def make_node(ros_context, **values) -> SrNode:
    values = {"method_single": "bicubic", "method_guided": "dada_rgb", "autostart": False, **values}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return SrNode(context=ros_context, namespace="/transforms", parameter_overrides=overrides)


@pytest.mark.ros
def test_the_node_listens_to_tf_while_it_is_asked_to(ros_context, tf2_ros):
    node = make_node(ros_context, extrinsics_from_tf=True)
    try:
        node.trigger_configure()
        first = StaticListener.last
        assert first.node is node and first.open
        frame = frame_pair(DEPTH, RGB, 1.0, "depth", "rgb")
        result = node._pipeline.run(frame)
        assert not result.guided and "tf has no transform" in dict(result.problems)[ProblemKind.GUIDE]
        first.buffer.set_transform_static(rgb_from_depth(-0.05), "test")
        assert node._pipeline.run(frame).guided
        (refused,) = node.set_parameters([Parameter("extrinsics", value=list(SHIFT))])
        assert not refused.successful and "expected one source" in refused.reason
        assert node.set_parameters([Parameter("extrinsics_from_tf", value=False)])[0].successful
        assert not first.open and not node._pipeline.run(frame).guided
        assert node.set_parameters([Parameter("extrinsics_from_tf", value=True)])[0].successful
        assert StaticListener.last is not first and StaticListener.last.open
        node.trigger_cleanup()
        assert not StaticListener.last.open
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.ros
def test_a_missing_tf2_ros_is_told(ros_context, no_tf2_ros):
    node = make_node(ros_context, extrinsics_from_tf=True)
    try:
        node.trigger_configure()
        assert "cannot configure: extrinsics_from_tf needs the ROS package tf2_ros" in node._build_error
        assert node.set_parameters([Parameter("extrinsics_from_tf", value=False)])[0].successful
        node.trigger_configure()
        assert node._build_error == ""
        (refused,) = node.set_parameters([Parameter("extrinsics_from_tf", value=True)])
        assert not refused.successful and "tf2-ros-py" in refused.reason
    finally:
        node.close()
        node.destroy_node()
