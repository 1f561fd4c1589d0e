"""What the benchmark can run: every method of the registry, and classical guided filters from OpenCV."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.depth import expand_mask, fill_holes
from depth_sr_ros.models import create_model, diffuses, list_models, model_class
from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.choice import AUTO, CLEAN, bundled_cards, is_weights_file

TUNED_FILE = Path(__file__).with_name("tuned.json")


class Run(Protocol):
    """What a method does with a map, see `Method.upsample`."""

    def __call__(self, depth_lr: np.ndarray, guide: np.ndarray | None, sigma: float | None) -> np.ndarray: ...


@dataclass(frozen=True)
class RowOptions:
    """RowOptions of a run that its methods share; filters without weights ignore the first three.

    Attributes:
        size: "paper", "lite" or None (the method's default).
        weights: as in DepthUpsampler; None: "clean", and of a diffusion method "auto", the ones held to the block mean
            (its clean ones are held to the bicubic kernel: a row of their own, name:bicubic).
        device, precision: as in DepthUpsampler.
        consistent: project every result so that its block mean equals the LR input: False, "additive" or
            "multiplicative".
        constraint: the kernel that diffusion methods hold their result to, "block_mean" or "bicubic"; None: their own.
        self_ensemble: average over the eight flips and transpositions of the input.
    """

    size: str | None = None
    weights: str | None = None
    device: str = "auto"
    precision: str = "auto"
    consistent: bool | str = False
    constraint: str | None = None
    self_ensemble: bool = False


@dataclass(frozen=True)
class RowSpec:
    """A row to be: a method and how it runs.

    Attributes:
        spec: as `build_row` takes it.
    """

    spec: str
    options: RowOptions = RowOptions()


@dataclass
class BenchmarkRow:
    """A method ready to run at one scale.

    Attributes:
        label: what its table row says.
        guided: whether it needs an RGB guide.
        parameters: number of learned values; None where the question makes no sense.
        weights: stem of the weights file; None without.
        run: (depth_lr (h, w) float32, guide (H, W, 3) uint8 or None, sigma) -> (H, W) float32, see `upsample`.
        note: where the weights or filter settings come from.
    """

    label: str
    guided: bool
    parameters: int | None
    weights: str | None
    run: Run
    note: str = ""
    options: RowOptions = field(default_factory=RowOptions)

    def upsample(self, depth_lr: np.ndarray, guide: np.ndarray | None, sigma: float | None = 0.0) -> np.ndarray:
        """Super-resolve one map; the guide is dropped for single-depth methods.

        Args:
            depth_lr: (h, w) float32.
            guide: (H, W, 3) uint8, or None.
            sigma: noise of depth_lr as in `DepthUpsampler`, for methods that take it; None: estimated.

        Raises:
            ValueError: when a guided method gets no guide.
        """
        if self.guided and guide is None:
            raise ValueError(f"{self.label} needs an RGB guide, and this scene has none")
        guide = guide if self.guided else None
        if self.options.self_ensemble:
            return self_ensemble(partial(self.run, sigma=sigma), depth_lr, guide)
        return self.run(depth_lr, guide, sigma)


def available_methods() -> list[str]:
    """Every name that `build_row` takes."""
    return [*list_models(), *FILTERS]


def shipped_entries() -> list[RowSpec]:
    """Every method of the registry that can run as installed: those without weights, and all weights that ship."""
    entries = []
    for name in list_models():
        cls = model_class(name)
        if not any(True for _ in create_model(name, cls.scales[-1]).parameters()):
            entries.append(RowSpec(name))
    for card in bundled_cards():
        default = "lite" if "lite" in model_class(card.method).sizes else model_class(card.method).sizes[0]
        spec = f"{card.method}:{card.variant}" if card.variant else card.method
        entries.append(RowSpec(spec, RowOptions(size=None if card.size == default else card.size)))
    return list(dict.fromkeys(entries))


def build_row(spec: str, scale: int, options: RowOptions | None = None) -> BenchmarkRow:
    """Build a method by name.

    Args:
        spec: a name of `available_methods()`, or ``name:weights`` for other weights of that method ("dsrnet:robust",
            or the path of a .safetensors file), which then win over `options.weights`.
        scale: integer upsampling factor.
        options: shared options.

    Raises:
        ValueError: for an unknown name, a scale the method lacks, or missing weights (`WeightsError`).
    """
    options = options or RowOptions()
    name, _, variant = spec.partition(":")
    if name in FILTERS:
        return _filter_method(name, scale, options)
    if name not in list_models():
        raise ValueError(f"unknown method {name!r}: choose from {', '.join(available_methods())}")
    if not any(True for _ in create_model(name, scale, options.size).parameters()):
        options = replace(options, weights=None)  # shared by all methods of the run: meant for those that have weights
    if not diffuses(name):
        options = replace(options, constraint=None)  # likewise: meant for those that are held to a kernel
    asked = variant or options.weights
    upsampler = DepthUpsampler(
        name,
        scale,
        device=options.device,
        precision=options.precision,
        size=options.size,
        weights=asked or (AUTO if diffuses(name) else CLEAN),
        consistent=options.consistent,
        lr_kernel=options.constraint,
    )
    parameters = sum(p.numel() for p in upsampler.model.parameters())
    card = upsampler.card
    if card and card.variant and not asked:
        # the only weights that ship would stand in a table as a second measurement under another name
        raise WeightsError(
            f"no weights without a variant of {name} x{scale} ship, only {name}:{card.variant}: ask for that"
        )
    note = f"{card.size} weights of {card.date}, trained on {card.lr_kernel} LR" if card else ""
    shown = Path(asked).stem if asked and is_weights_file(asked) else card.variant if card else ""
    return BenchmarkRow(
        label=_label(name, shown, options),
        guided=upsampler.requires_guide,
        parameters=parameters,
        weights=upsampler.weights,
        run=lambda depth_lr, guide, sigma: upsampler.upsample(depth_lr, guide, sigma=sigma),
        note=note,
        options=options,
    )


def _label(name: str, weights: str, options: RowOptions) -> str:
    flags = {
        f"{options.constraint} constraint": options.constraint,
        "consistent": options.consistent,
        "multiplicative": options.consistent == "multiplicative",
        "self-ensemble": options.self_ensemble,
    }
    extras = [extra for extra in (weights, options.size, *(flag for flag, on in flags.items() if on)) if extra]
    return f"{name} ({', '.join(extras)})" if extras else name


def self_ensemble(
    run: Callable[[np.ndarray, np.ndarray | None], np.ndarray], depth_lr: np.ndarray, guide: np.ndarray | None
) -> np.ndarray:
    """Mean of a method's results over the eight symmetries of the square, each turned back."""
    results = []
    for turns in range(4):
        for mirror in (False, True):
            turned = _turn(depth_lr, turns, mirror)
            result = run(turned, None if guide is None else _turn(guide, turns, mirror))
            result = np.fliplr(result) if mirror else result
            results.append(np.rot90(result, -turns).astype(np.float64))
    return (reduce(np.add, results) / 8).astype(np.float32)


def _turn(image: np.ndarray, turns: int, mirror: bool) -> np.ndarray:
    image = np.rot90(image, turns)
    return np.ascontiguousarray(np.fliplr(image) if mirror else image)


def guided_filter(up: np.ndarray, guide: np.ndarray, scale: int, radius: float, eps: float) -> np.ndarray:
    """He et al.'s guided filter; radius in LR pixels, eps on the [0, 1] colour scale."""
    return cv2.ximgproc.guidedFilter(guide, up, max(1, round(radius * scale)), eps * 255.0**2)


def joint_bilateral(
    up: np.ndarray, guide: np.ndarray, scale: int, sigma_space: float, sigma_colour: float
) -> np.ndarray:
    """Joint bilateral filter; sigma_space in LR pixels, sigma_colour on the [0, 1] colour scale."""
    sigma = sigma_space * scale
    diameter = 2 * max(1, round(1.5 * sigma)) + 1
    return cv2.ximgproc.jointBilateralFilter(guide.astype(np.float32), up, diameter, sigma_colour * 255, sigma)


def fast_global_smoother(
    up: np.ndarray, guide: np.ndarray, scale: int, strength: float, sigma_colour: float
) -> np.ndarray:
    """Min et al.'s fast global smoother (weighted least squares); strength relative to scale^2."""
    return cv2.ximgproc.fastGlobalSmootherFilter(guide, up, strength * scale**2, sigma_colour * 255)


FILTERS: dict[str, Callable[..., np.ndarray]] = {
    "guided_filter": guided_filter,
    "joint_bilateral": joint_bilateral,
    "fast_global_smoother": fast_global_smoother,
}


def tuned_settings(name: str, scale: int) -> dict[str, float]:
    """A filter's settings at a scale, as ``python -m training.benchmark tune`` found them.

    Raises:
        ValueError: when that scale was never tuned.
    """
    by_scale = json.loads(TUNED_FILE.read_text())["settings"].get(name, {})
    if str(scale) not in by_scale:
        raise ValueError(
            f"{name} was not tuned at scale {scale} (only {', '.join(by_scale) or 'none'}): "
            f"run 'python -m training.benchmark tune --scales {scale}'"
        )
    return by_scale[str(scale)]


def apply_filter(
    name: str, depth_lr: np.ndarray, guide: np.ndarray, scale: int, settings: dict[str, float]
) -> np.ndarray:
    """Bicubic upsampling followed by one of `FILTERS`; LR holes stay holes. Returns (H, W) float32."""
    invalid = ~np.isfinite(depth_lr)
    source = fill_holes(depth_lr) if invalid.any() else depth_lr.astype(np.float32)
    result = FILTERS[name](bicubic(source, scale=scale), guide, scale, **settings)
    if invalid.any():
        result[expand_mask(invalid, scale)] = np.nan
    return result


def _filter_method(name: str, scale: int, options: RowOptions) -> BenchmarkRow:
    settings = tuned_settings(name, scale)

    def run(depth_lr: np.ndarray, guide: np.ndarray | None, sigma: float | None) -> np.ndarray:
        assert guide is not None  # the method is guided
        return apply_filter(name, depth_lr, guide, scale, settings)

    plain = RowOptions(self_ensemble=options.self_ensemble)
    note = ", ".join(f"{key} {value:g}" for key, value in settings.items())
    return BenchmarkRow(
        label=_label(name, "", plain), guided=True, parameters=None, weights=None, run=run, note=note, options=plain
    )
