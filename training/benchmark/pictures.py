"""A picture per scene: input, bicubic, results, and their errors on one colour scale."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depth_sr_ros.atomic import write_file
from depth_sr_ros.resize import repeat

from .runner import CaseOutputs

CROP = 160
"""Edge of the enlarged part, pixels."""


def draw(case: CaseOutputs, folder: Path) -> Path:
    """Write ``<scene>_x<scale>_<kernel>[_noise<sigma>].png``.

    The first row shows whole images, the second the part where bicubic errs most, the third its absolute error, all
    on the same colour scale (its end is bicubic's 99.5th percentile in that part).
    """
    protocol = case.scene.protocol
    bicubic = case.results.get("bicubic")
    if bicubic is None:
        bicubic = protocol.finish(protocol.bicubic(case.depth_lr, case.scale))
    shown = {"LR": repeat(case.depth_lr, case.scale), "bicubic": bicubic, **case.results}
    errors = {name: np.abs(result - case.truth) for name, result in shown.items()}
    part = _worst_part(errors["bicubic"], min(CROP, *case.truth.shape))
    low, high = np.nanpercentile(case.truth, (0.5, 99.5))
    part_low, part_high = np.nanpercentile(case.truth[part], (0.5, 99.5))
    limit = max(float(np.nanpercentile(errors["bicubic"][part], 99.5)), 1e-6)

    columns = 1 + len(shown)
    figure = Figure(figsize=(2.6 * columns + 0.8, 7.2), layout="constrained", dpi=110)
    axes = figure.subplots(3, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    depth_map = matplotlib.colormaps["turbo"].with_extremes(bad="black")
    error_map = matplotlib.colormaps["magma"].with_extremes(bad="black")
    axes[0, 0].set_title("ground truth")
    axes[0, 0].imshow(case.truth, cmap=depth_map, vmin=low, vmax=high)
    _outline(axes[0, 0], part)
    axes[1, 0].imshow(case.truth[part], cmap=depth_map, vmin=part_low, vmax=part_high)
    if (guide := case.scene.guide) is not None:
        axes[2, 0].imshow(guide[part])
        axes[2, 0].set_title("colour", fontsize=8)
    for column, (name, result) in enumerate(shown.items(), start=1):
        axes[0, column].set_title(name, fontsize=9)
        axes[0, column].imshow(result, cmap=depth_map, vmin=low, vmax=high)
        axes[1, column].imshow(result[part], cmap=depth_map, vmin=part_low, vmax=part_high)
        image = axes[2, column].imshow(errors[name][part], cmap=error_map, vmin=0, vmax=limit)
        axes[2, column].set_title(f"mean error {np.nanmean(errors[name]):.3f} (whole image)", fontsize=8)
    figure.colorbar(image, ax=list(axes[2]), shrink=0.9, label=f"|error|, {protocol.unit}")
    noise = f", noise {case.noise:g}" if case.noise else ""
    figure.suptitle(f"{case.scene.name}, x{case.scale}, LR kernel {case.lr_kernel}{noise}")
    suffix = f"_noise{case.noise:g}" if case.noise else ""
    name = case.scene.name.replace("/", "_")
    path = folder / f"{name}_x{case.scale}_{case.lr_kernel}{suffix}.png"
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_file(path, picture.getvalue())
    return path


def _worst_part(error: np.ndarray, edge: int) -> tuple[slice, slice]:
    """The square of `edge` pixels with the largest summed error."""
    total = np.pad(np.nan_to_num(error).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[edge:, edge:] - total[:-edge, edge:] - total[edge:, :-edge] + total[:-edge, :-edge]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return slice(int(y), int(y) + edge), slice(int(x), int(x) + edge)


def _outline(axis: Axes, part: tuple[slice, slice]) -> None:
    y, x = part
    axis.plot(
        [x.start, x.stop, x.stop, x.start, x.start], [y.start, y.start, y.stop, y.stop, y.start], "w-", linewidth=1.2
    )
