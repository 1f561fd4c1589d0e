"""The node's parameters: one table, one checked snapshot. The reference text of each is its description here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..camera import Extrinsics
from ..choices import ADJUSTMENTS, CONSTRAINT_KERNELS, MODES, PRECISIONS, SIZES
from ..models import diffuses, list_models, model_class
from ..zoo.choice import default_method

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """A consistent set of parameter values; field names are parameter names."""

    mode: str = "auto"
    scale: int = 4
    method_single: str = AUTO
    method_guided: str = AUTO
    size: str = "lite"
    device: str = "auto"
    precision: str = "auto"
    weights_single: str = AUTO
    weights_guided: str = AUTO
    tile: int = 0
    max_iterations: int = 0
    time_budget_ms: float = 0.0
    lr_kernel: str = AUTO
    consistent: bool = False
    consistent_adjustment: str = "additive"
    fill_holes: bool = False
    max_depth: float = 0.0
    sync_slop: float = 0.02
    extrinsics: tuple[float, ...] = ()
    extrinsics_from_tf: bool = False
    assume_registered: bool = False
    publish_points: bool = False
    autostart: bool = True

    def check(self) -> None:
        """Check what ranges cannot say: names, and combinations of method, scale and weights.

        Raises:
            ValueError: naming the value, what was expected and what to do.
        """
        _one_of("mode", self.mode, MODES)
        _one_of("size", self.size, SIZES)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("lr_kernel", self.lr_kernel, (AUTO, *CONSTRAINT_KERNELS))
        _one_of("consistent_adjustment", self.consistent_adjustment, ADJUSTMENTS)
        if self.tile != 0 and self.tile < 16:
            raise ValueError(f"tile must be 0 (whole frame) or at least 16 LR pixels, got {self.tile}")
        if self.extrinsics:
            Extrinsics.from_xyz_quaternion(self.extrinsics)
            if self.extrinsics_from_tf:
                raise ValueError(
                    f"extrinsics {list(self.extrinsics)} came with extrinsics_from_tf, one source was expected: empty "
                    "extrinsics or set extrinsics_from_tf to false"
                )
        if self.mode != "guided":
            self._check_method("method_single", self.method_single, guided=False)
        if self.mode != "single":
            self._check_method("method_guided", self.method_guided, guided=True)
            self._check_kernel()

    def _check_method(self, parameter: str, method: str, guided: bool) -> None:
        if method == AUTO:
            return
        _one_of(parameter, method, (AUTO, *methods(guided)))
        scales = model_class(method).scales
        if self.scale not in scales:
            raise ValueError(f"{parameter} {method!r} has no scale {self.scale}: choose one of {list(scales)}")

    def _check_kernel(self) -> None:
        used = self.method_guided == AUTO or diffuses(self.method_guided)
        if used and self.consistent and self.lr_kernel == "bicubic":
            raise ValueError(
                "consistent (the output's block mean equals the input) came with lr_kernel 'bicubic' (its bicubic "
                "reduction does), one of them was expected: set consistent to false, or lr_kernel to auto or block_mean"
            )

    def single_method(self) -> tuple[str, str]:
        """The single-depth method to run and, in words, why."""
        if self.method_single != AUTO:
            return self.method_single, "as method_single asks"
        method, why = default_method(False, self.scale, self.size, self.weights_single)
        return method, f"method_single is auto and {why}"

    def guided_method(self) -> tuple[str, str]:
        """The guided method to run and, in words, why."""
        if self.method_guided != AUTO:
            return self.method_guided, "as method_guided asks"
        method, why = default_method(True, self.scale, self.size, self.weights_guided)
        return method, f"method_guided is auto and {why}"

    def lr_kernel_of(self, method: str) -> str | None:
        """The LR kernel for `method`, as `DepthUpsampler` takes it."""
        return None if self.lr_kernel == AUTO or not diffuses(method) else self.lr_kernel

    def upsampler_options(self) -> dict[str, Any]:
        """Keyword arguments that both upsamplers share."""
        return {
            "scale": self.scale,
            "size": self.size,
            "device": self.device,
            "precision": self.precision,
            "consistent": self.consistent and self.consistent_adjustment,
            "fill_holes": self.fill_holes,
            "tile": self.tile or None,
        }


def methods(guided: bool) -> list[str]:
    """Names of the registry that need a guide (guided) or take none."""
    return [name for name in list_models() if model_class(name).requires_guide == guided]


def _one_of(parameter: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{parameter} must be one of {', '.join(choices)}, got {value!r}")


_DESCRIPTIONS = {
    "mode": "auto: guided by RGB while calibrated RGB arrives in time, else single; single: depth only; "
    "guided: publish nothing rather than an unguided result",
    "scale": "upsampling factor; networks have 2, 4, 8, 16, bicubic and dada_rgb any from 1 to 32",
    "method_single": "method for depth without RGB; auto: dsrnet where weights ship or are set, else bicubic",
    "method_guided": "method for depth with RGB; auto: dada where weights ship or are set, else dada_rgb",
    "size": "network size: lite (for CPUs) or paper (as published)",
    "device": "auto (CUDA when there is one), cpu, cuda or cuda:N",
    "precision": "auto (float16 on CUDA, bfloat16 on a CPU that computes in it, else float32), float32, float16 or "
    "bfloat16; dada and dada_rgb are always float32",
    "weights_single": "weights of method_single: auto (what serves a camera: robust ones where they ship), clean (for "
    "MATLAB bicubic LR), a bundled variant's name, or a .safetensors file",
    "weights_guided": "weights of method_guided: auto (what serves a camera: robust ones where they ship), clean (for "
    "MATLAB bicubic LR), a bundled variant's name, or a .safetensors file",
    "tile": "edge in LR pixels of the tiles that bound a network's memory; 0: the whole frame at once, as bicubic, "
    "dada and dada_rgb always run",
    "max_iterations": "of a diffusion method's solver per frame (dada, dada_rgb); 0: the method's own, 200",
    "time_budget_ms": "milliseconds after which a diffusion method (dada, dada_rgb) takes the solution so far, "
    "from when RGB is in the depth view; 0: no limit",
    "lr_kernel": "what the depth image is of the high-resolution depth, to which diffusion methods (dada, dada_rgb) "
    "hold their result: auto (what their weights were trained for), block_mean (a depth camera's pixel) or bicubic "
    "(MATLAB's; not together with consistent); other methods, all single-depth ones among them, do not use it",
    "consistent": "make the block mean of the output equal the valid input",
    "consistent_adjustment": "how consistent does it: additive (shifts the output's pixels of one input pixel) or "
    "multiplicative (scales them)",
    "fill_holes": "publish an estimate where the sensor saw nothing; false keeps holes as holes",
    "max_depth": "metres beyond which readings count as invalid; 0: no limit",
    "sync_slop": "seconds by which the stamps of paired depth and RGB may differ",
    "extrinsics": "depth to RGB camera, optical frames: x y z (metres) qx qy qz qw; empty: the pair is registered",
    "extrinsics_from_tf": "take the extrinsics from tf_static by the images' frame_ids where they differ (needs "
    "tf2_ros); goes before assume_registered",
    "assume_registered": "treat RGB and depth as registered although their frame_ids differ",
    "publish_points": "publish depth_sr/points too (needs sensor_msgs_py)",
    "autostart": "configure and activate at start without a lifecycle manager",
}
_RANGES = {
    "scale": (1, 32),
    "tile": (0, 4096),
    "max_iterations": (0, 10_000),
    "time_budget_ms": (0.0, 60_000.0),
    "max_depth": (0.0, 1000.0),
    "sync_slop": (0.0, 1.0),
}
_READ_ONLY = {"autostart"}


def declare(node: Node) -> None:
    """Declare every parameter on `node`, with description, range and default."""
    for field in fields(Settings):
        descriptor = ParameterDescriptor(description=_DESCRIPTIONS[field.name], read_only=field.name in _READ_ONLY)
        if field.name in _RANGES:
            low, high = _RANGES[field.name]
            if isinstance(low, int):
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
            else:
                descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        if field.name == "extrinsics":
            _declare_empty_double_array(node, field.name, descriptor)
        else:
            node.declare_parameter(field.name, field.default, descriptor)


def _declare_empty_double_array(node: Node, name: str, descriptor: ParameterDescriptor) -> None:
    # rclpy takes [] for a byte array, so the type is declared first; a parameter left without a value would make
    # `ros2 param dump` print nothing, so the empty array is set afterwards
    node.declare_parameter(name, Parameter.Type.DOUBLE_ARRAY, descriptor)
    if node.get_parameter_or(name).value is None:
        node.set_parameters([Parameter(name, Parameter.Type.DOUBLE_ARRAY, [])])


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
