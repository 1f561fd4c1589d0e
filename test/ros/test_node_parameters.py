"""What the node does when parameters change: what it refuses, and when memory is given back; without DDS traffic."""

from __future__ import annotations

import weakref

import pytest
from rclpy.parameter import Parameter

from depth_sr_ros.ros.node import SrNode

METHODS = {"method_single": "bicubic", "method_guided": "dada_rgb"}


@pytest.mark.ros
def test_a_kernel_that_contradicts_consistent_is_refused_by_the_node(ros_context):
    values = {**METHODS, "autostart": False, "consistent": True}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SrNode(context=ros_context, namespace="/kernel", parameter_overrides=overrides)
    try:
        node.trigger_configure()
        (refused,) = node.set_parameters([Parameter("lr_kernel", value="bicubic")])
        assert not refused.successful and "set consistent to false" in refused.reason
        assert node.get_parameter("lr_kernel").value == "auto"
        changes = [Parameter("consistent", value=False), Parameter("lr_kernel", value="bicubic")]
        assert node.set_parameters_atomically(changes).successful
        assert node._pipeline.guided.model.lr_kernel == "bicubic" and not node._pipeline.single.adjustment
        (refused,) = node.set_parameters([Parameter("consistent", value=True)])
        assert not refused.successful
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.ros
def test_cuda_memory_is_given_back_once_nothing_holds_the_methods(ros_context, monkeypatch):
    """torch's cache only shrinks by what no tensor uses, so the order matters: first let go, then empty."""
    values = {**METHODS, "autostart": False}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SrNode(context=ros_context, namespace="/memory", parameter_overrides=overrides)
    held, freed = [], []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: freed.append([ref() is None for ref in held]))
    try:
        node.trigger_configure()
        held.append(weakref.ref(node._pipeline))
        assert node.set_parameters([Parameter("scale", value=2)])[0].successful
        held.append(weakref.ref(node._pipeline))
        assert freed == [[True]], "after the change of methods the old ones are gone"
        node.trigger_cleanup()
        assert freed[1:] == [[True, True]]
    finally:
        node.close()
        node.destroy_node()
