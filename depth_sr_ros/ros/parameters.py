"""The node's parameters: declared from `inference.settings`, and read back as checked `Settings`."""

from __future__ import annotations

from dataclasses import fields

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..inference.settings import ParameterSpec, Settings, parameter_table


def declare(node: Node) -> None:
    """Declare every parameter on `node`, with description, range and default."""
    for spec in parameter_table():
        if isinstance(spec.default, tuple):
            _declare_empty_double_array(node, spec.name, _descriptor(spec))
        else:
            node.declare_parameter(spec.name, spec.default, _descriptor(spec))


def read(node: Node, changes: list[Parameter] | None = None) -> Settings:
    """The node's parameters as checked `Settings`, with `changes` that are not committed yet on top.

    Raises:
        ValueError: when they do not go together (see `Settings.check`).
    """
    values = {field.name: node.get_parameter(field.name).value for field in fields(Settings)}
    values.update({change.name: change.value for change in changes or [] if change.name in values})
    values["extrinsics"] = tuple(values["extrinsics"])
    settings = Settings(**values)
    settings.check()
    return settings


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description, read_only=spec.read_only)
    if spec.choices:
        descriptor.additional_constraints = f"one of {', '.join(spec.choices)}"
    if spec.minimum is None or spec.maximum is None:
        return descriptor
    if isinstance(spec.default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(spec.minimum), to_value=int(spec.maximum), step=1)]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(spec.minimum), to_value=float(spec.maximum), step=0.0)
        ]
    return descriptor


def _declare_empty_double_array(node: Node, name: str, descriptor: ParameterDescriptor) -> None:
    # rclpy takes [] for a byte array, so the type is declared first; a parameter left without a value would make
    # `ros2 param dump` print nothing, so the empty array is set afterwards
    node.declare_parameter(name, Parameter.Type.DOUBLE_ARRAY, descriptor)
    if node.get_parameter_or(name).value is None:
        node.set_parameters([Parameter(name, Parameter.Type.DOUBLE_ARRAY, [])])
