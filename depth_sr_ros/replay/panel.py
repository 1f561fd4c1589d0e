"""One picture that tells what a replay did: RGB, input, bicubic, result, errors with a colour scale, a zoom."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from depth_sr_ros.atomic import write_file
from depth_sr_ros.replay.scoring import Example
from depth_sr_ros.synthetic.sensor import relative_jump

# Neither colour is in its map, so that a hole cannot pass for a measurement.
DEPTH_HOLE, ERROR_HOLE = "#d8d8d8", "#3f7f93"


def draw_panel(example: Example, path: str | Path, method: str, scale: int, metrics: dict) -> Path:
    """Draw one frame.

    Args:
        example: the frame; without ground truth the error maps are left out.
        path: PNG to write.
        method: name shown above the result.
        scale: upsampling factor.
        metrics: `mae_m`, `mae_bicubic_m`, `frames_in`, `frames_out`, `latency_ms_p50` for the caption.

    Returns:
        `path`.
    """
    depth_maps = [
        (f"input {_size(example.depth_lr)}", _enlarge(example.depth_lr, scale)),
        ("bicubic", example.bicubic),
        (f"result: {method}", example.result),
    ]
    if example.truth is not None:
        depth_maps.append(("ground truth", example.truth))
    low, high = _range(example)
    box = _zoom_window(example)
    columns = len(depth_maps) + 1
    ratio = example.result.shape[0] / example.result.shape[1]
    figure = Figure(figsize=(4.2 * columns, 11.6 * ratio + 1.5), dpi=100, layout="constrained")
    grid = figure.subplots(3, columns)
    colours = matplotlib.colormaps["turbo"].with_extremes(bad=DEPTH_HOLE)
    for column, (title, image) in enumerate(depth_maps, start=1):
        for row, view in enumerate((image, image[box])):
            drawn = grid[row, column].imshow(view, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        grid[0, column].set_title(title)
    figure.colorbar(drawn, ax=grid[:2, columns - 1], label="depth in metres (grey: no measurement)", shrink=0.85)
    _draw_rgb(grid[:2, 0], example, box)
    for axis in grid[0]:
        if axis.has_data():
            axis.add_patch(_outline(box))
    _draw_profile(grid[2, 0], depth_maps, box)
    _draw_errors(figure, grid[2], example, method)
    for axis in grid[:2].flat:
        axis.set_axis_off()
    figure.suptitle(_caption(method, scale, metrics), fontsize=15)
    path = Path(path)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:] or "png")
    write_file(path, picture.getvalue())
    return path


def _draw_rgb(axes: np.ndarray, example: Example, box: tuple[slice, slice]) -> None:
    axes[0].set_title("RGB" if example.rgb is not None else "no RGB in the recording")
    axes[1].set_title("zoom")
    if example.rgb is None:
        return
    height, width = example.result.shape
    rgb = example.rgb
    if rgb.shape[:2] != (height, width):
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    axes[0].imshow(rgb)
    axes[1].imshow(rgb[box], interpolation="nearest")


def _draw_profile(axis: Axes, maps: list[tuple[str, np.ndarray]], box: tuple[slice, slice]) -> None:
    """Depth along the middle row of the zoom: stairs, ramps and overshoot show here as nowhere else."""
    rows, columns = box
    row = (rows.start + rows.stop) // 2
    x = np.arange(columns.start, columns.stop)
    styles = {"input": ("0.6", 1.0, "-"), "bicubic": ("tab:orange", 1.4, "-"), "ground": ("k", 1.4, ":")}
    for title, image in maps:
        colour, width, line = styles.get(title.split()[0], ("tab:blue", 1.8, "-"))  # the rest: the result
        axis.plot(x, image[row, columns], color=colour, lw=width, ls=line, label=title)
    axis.set_title(f"depth along row {row} of the zoom")
    axis.set_xlabel("column")
    axis.set_ylabel("metres")
    axis.legend(fontsize=8, framealpha=0.5)
    axis.grid(alpha=0.3)


def _draw_errors(figure: Figure, axes: np.ndarray, example: Example, method: str) -> None:
    for axis in axes[1:]:
        axis.set_axis_off()
    if example.truth is None:
        axes[1].text(0.05, 0.5, "no ground truth in the recording:\nno errors to show", fontsize=13)
        return
    shared = np.isfinite(example.truth) & np.isfinite(example.result) & np.isfinite(example.bicubic)
    errors = [np.where(shared, np.abs(image - example.truth), np.nan) for image in (example.bicubic, example.result)]
    # The scale ends where 2 % of bicubic's pixels lie beyond, so that the bulk of both maps can be told apart.
    top = 1000 * max(np.nanpercentile(errors[0], 98) if shared.any() else 0, 1e-3)
    colours = matplotlib.colormaps["magma"].with_extremes(bad=ERROR_HOLE)
    for axis, error, title in zip(axes[2:4], errors, ("bicubic", method)):
        drawn = axis.imshow(1000 * error, cmap=colours, vmin=0, vmax=top, interpolation="nearest")
        mean = f"{1000 * np.nanmean(error):.1f} mm" if shared.any() else "no shared pixel"
        axis.set_title(f"|error| of {title}, mean {mean}")
    bar = axes[4].inset_axes([0.0, 0.08, 0.05, 0.84])
    figure.colorbar(drawn, cax=bar, label="millimetres (blue: not compared)", extend="max")
    axes[1].set_axis_on()
    bins = np.geomspace(0.5, max(1000 * np.nanmax(errors[0]), 1), 200) if shared.any() else np.array([0.5, 1])
    for error, title, colour in zip(errors, ("bicubic", method), ("tab:orange", "tab:blue")):
        values = np.sort(1000 * error[shared])
        share = 100 * (1 - np.searchsorted(values, bins) / max(values.size, 1))
        axes[1].plot(bins, share, color=colour, label=title)
    axes[1].set_xscale("log")
    axes[1].set_xlabel("millimetres")
    axes[1].set_ylabel("% of pixels")
    axes[1].set_title("pixels whose error exceeds ...")
    axes[1].legend(fontsize=9)
    axes[1].grid(alpha=0.3)


def _zoom_window(example: Example) -> tuple[slice, slice]:
    """A quarter of the picture where measured depth edges are densest and highest."""
    reference = example.result if example.truth is None else example.truth
    interest = np.minimum(relative_jump(reference), 0.5).astype(np.float32)
    interest -= 0.3 * (~np.isfinite(example.result)).astype(np.float32)
    height, width = (size // 4 for size in reference.shape)
    total = cv2.boxFilter(interest, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_ISOLATED)
    inside = total[: reference.shape[0] - height + 1, : reference.shape[1] - width + 1]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def _outline(box: tuple[slice, slice]) -> Rectangle:
    rows, columns = box
    corner, size = (columns.start, rows.start), (columns.stop - columns.start, rows.stop - rows.start)
    return Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=1.6)


def _range(example: Example) -> tuple[float, float]:
    values = example.depth_lr[np.isfinite(example.depth_lr)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99])
    return float(low), float(max(high, low + 1e-3))


def _enlarge(depth_lr: np.ndarray, scale: int) -> np.ndarray:
    return depth_lr.repeat(scale, 0).repeat(scale, 1)


def _caption(method: str, scale: int, metrics: dict) -> str:
    parts = [f"{method} x{scale}", f"{metrics.get('frames_out')} of {metrics.get('frames_in')} frames"]
    if metrics.get("latency_ms_p50") is not None:
        parts.append(f"latency {metrics['latency_ms_p50']:.0f} ms")
    if metrics.get("mae_m") is not None:
        parts.append(f"MAE {1000 * metrics['mae_m']:.1f} mm, bicubic {1000 * metrics['mae_bicubic_m']:.1f} mm")
    return "   |   ".join(parts)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
