"""What can be set, once for the node and the offline replay: names, defaults, ranges, choices and their meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, cast

from ..camera import Extrinsics
from ..choices import ADJUSTMENTS, CONSTRAINT_KERNELS, MODES, PRECISIONS, SIZES
from ..models import diffuses, list_models, model_class
from ..zoo.choice import default_method

AUTO = "auto"

Value = str | int | float | bool | tuple[float, ...]


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter as users see it.

    Attributes:
        name: of the parameter and of the field of `Settings`.
        default: value and type; an empty tuple is an empty list of doubles.
        description: meaning, unit, special values.
        minimum, maximum: inclusive range; None where there is none.
        choices: the values that a text may have; () for any.
        read_only: whether it is fixed once the node has started.
    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False


def methods(guided: bool) -> tuple[str, ...]:
    """Names of the registry that need a guide (guided) or take none."""
    return tuple(name for name in list_models() if model_class(name).requires_guide == guided)


def _parameter(
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = (),
    read_only: bool = False,
) -> Any:
    """A field of `Settings`; see `ParameterSpec`. `choices` may be a function where they are not known yet."""
    return field(
        default=default,
        metadata={
            "description": description,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "read_only": read_only,
        },
    )


_WEIGHTS = (
    "auto (what serves a camera: robust ones where they ship), clean (for MATLAB bicubic LR), a bundled variant's "
    "name, or a .safetensors file"
)


@dataclass(frozen=True)
class Settings:
    """A consistent set of parameter values; field names are parameter names (see `parameter_table`)."""

    mode: str = _parameter(
        AUTO,
        "auto: guided by RGB while calibrated RGB arrives in time, else single; single: depth only; "
        "guided: publish nothing rather than an unguided result",
        choices=MODES,
    )
    scale: int = _parameter(
        4,
        "upsampling factor; networks have 2, 4, 8, 16, bicubic and dada_rgb any from 1 to 32",
        minimum=1,
        maximum=32,
    )
    method_single: str = _parameter(
        AUTO,
        "method for depth without RGB; auto: dsrnet where weights ship or are set, else bicubic",
        choices=lambda: (AUTO, *methods(guided=False)),
    )
    method_guided: str = _parameter(
        AUTO,
        "method for depth with RGB; auto: dada where weights ship or are set, else dada_rgb",
        choices=lambda: (AUTO, *methods(guided=True)),
    )
    size: str = _parameter("lite", "network size: lite (for CPUs) or paper (as published)", choices=SIZES)
    device: str = _parameter(AUTO, "auto (CUDA when there is one), cpu, cuda or cuda:N")
    precision: str = _parameter(
        AUTO,
        "auto (float16 on CUDA, bfloat16 on a CPU that computes in it, else float32), float32, float16 or "
        "bfloat16; dada and dada_rgb are always float32",
        choices=PRECISIONS,
    )
    weights_single: str = _parameter(AUTO, f"weights of method_single: {_WEIGHTS}")
    weights_guided: str = _parameter(AUTO, f"weights of method_guided: {_WEIGHTS}")
    tile: int = _parameter(
        0,
        "edge in LR pixels of the tiles that bound a network's memory; 0: the whole frame at once, as bicubic, "
        "dada and dada_rgb always run",
        minimum=0,
        maximum=4096,
    )
    max_iterations: int = _parameter(
        0,
        "most iterations of a diffusion method's solver per frame (dada, dada_rgb); 0: the method's own, 200",
        minimum=0,
        maximum=10_000,
    )
    time_budget_ms: float = _parameter(
        0.0,
        "milliseconds after which a diffusion method (dada, dada_rgb) takes the solution so far, "
        "counted from when RGB is in the depth view; 0: no limit",
        minimum=0.0,
        maximum=60_000.0,
    )
    lr_kernel: str = _parameter(
        AUTO,
        "what the depth image is of the high-resolution depth, to which diffusion methods (dada, dada_rgb) "
        "hold their result: auto (what their weights were trained for), block_mean (a depth camera's pixel) or bicubic "
        "(MATLAB's; not together with consistent); other methods, all single-depth ones among them, do not use it",
        choices=(AUTO, *CONSTRAINT_KERNELS),
    )
    consistent: bool = _parameter(False, "make the block mean of the output equal the valid input")
    consistent_adjustment: str = _parameter(
        "additive",
        "how consistent works: additive (shifts the output's pixels of one input pixel) or "
        "multiplicative (scales them)",
        choices=ADJUSTMENTS,
    )
    fill_holes: bool = _parameter(False, "publish an estimate where the sensor saw nothing; false keeps holes as holes")
    max_depth: float = _parameter(
        0.0, "metres beyond which readings count as invalid; 0: no limit", minimum=0.0, maximum=1000.0
    )
    sigma: float = _parameter(
        -1.0,
        "metres, standard deviation of the noise in depth, for dada and dada_rgb, which weigh readings by it, and for "
        "networks that are told it; below 0: estimated from each frame; 0: depth without noise, to which dada and "
        "dada_rgb hold their output",
        minimum=-1.0,
        maximum=10.0,
    )
    sync_slop: float = _parameter(
        0.02, "seconds by which the stamps of paired depth and RGB may differ", minimum=0.0, maximum=1.0
    )
    extrinsics: tuple[float, ...] = _parameter(
        (),
        "depth to RGB camera, optical frames: x y z (metres) qx qy qz qw; empty: the pair is registered, both images "
        "show the same view",
    )
    extrinsics_from_tf: bool = _parameter(
        False,
        "take the extrinsics from tf_static by the images' frame_ids where they differ (needs the package tf2_ros_py); "
        "overrides assume_registered, and not together with extrinsics",
    )
    assume_registered: bool = _parameter(False, "treat RGB and depth as registered although their frame_ids differ")
    publish_points: bool = _parameter(False, "publish depth_sr/points too (needs sensor_msgs_py)")
    autostart: bool = _parameter(True, "configure and activate at start without a lifecycle manager", read_only=True)

    def check(self) -> None:
        """Check ranges, names, and combinations of method, scale and weights.

        Raises:
            ValueError: naming the value, what was expected and what to do.
        """
        used = {"method_single": self.mode != "guided", "method_guided": self.mode != "single"}
        for spec in parameter_table():
            value = getattr(self, spec.name)
            if used.get(spec.name, True):
                _check_value(spec, value)
                if spec.name in used:
                    self._check_scale(spec.name, value)
        if self.tile != 0 and self.tile < 16:
            raise ValueError(f"tile must be 0 (whole frame) or at least 16 LR pixels, got {self.tile}")
        if self.extrinsics:
            Extrinsics.from_xyz_quaternion(self.extrinsics)
            if self.extrinsics_from_tf:
                raise ValueError(
                    f"extrinsics {list(self.extrinsics)} together with extrinsics_from_tf: expected one source; empty "
                    "extrinsics or set extrinsics_from_tf to false"
                )
        self._check_kernel()

    def _check_scale(self, parameter: str, method: str) -> None:
        if method != AUTO and self.scale not in (scales := model_class(method).scales):
            raise ValueError(f"{parameter} {method!r} has no scale {self.scale}: choose one of {list(scales)}")

    @property
    def uses_lr_kernel(self) -> bool:
        """Whether a method that these settings can run is held to an LR kernel."""
        return self.mode != "single" and (self.method_guided == AUTO or diffuses(self.method_guided))

    def _check_kernel(self) -> None:
        if self.uses_lr_kernel and self.consistent and self.lr_kernel == "bicubic":
            raise ValueError(
                "consistent (the output's block mean equals the input) together with lr_kernel 'bicubic' (its bicubic "
                "reduction does): expected one of them; set consistent to false, or lr_kernel to auto or block_mean"
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


def parameter_table() -> list[ParameterSpec]:
    """Every parameter, in the order of `Settings`."""
    return [
        ParameterSpec(
            item.name,
            cast("Value", item.default),  # every field has one
            item.metadata["description"],
            item.metadata["minimum"],
            item.metadata["maximum"],
            choices() if callable(choices := item.metadata["choices"]) else choices,
            item.metadata["read_only"],
        )
        for item in fields(Settings)
    ]


def _check_value(spec: ParameterSpec, value: Value) -> None:
    if spec.choices and value not in spec.choices:
        raise ValueError(f"{spec.name} must be one of {', '.join(spec.choices)}, got {value!r}")
    if spec.minimum is None or spec.maximum is None or not isinstance(value, (int, float)):
        return
    if not spec.minimum <= value <= spec.maximum:
        raise ValueError(f"{spec.name} must be between {spec.minimum} and {spec.maximum}, got {value}")
