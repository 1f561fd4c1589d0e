"""What the diffusion takes: one check for the loop and the solver, so that both complain in the same words."""

from __future__ import annotations

from torch import Tensor


def check_grid(depth: Tensor, source: Tensor, cv: Tensor, ch: Tensor) -> int:
    """Check that the four tensors describe one batch of grids and return the scale (HR pixels per LR cell side).

    Raises:
        ValueError: naming the tensor, its shape and the expected one.
        TypeError: when dtypes or devices are mixed, or the dtype is not floating.
    """
    if depth.dim() != 4 or depth.shape[1] != 1:
        raise ValueError(f"depth must be (B, 1, H, W), got {tuple(depth.shape)}")
    batch, _, height, width = depth.shape
    if source.dim() != 4 or source.shape[:2] != (batch, 1):
        raise ValueError(f"source must be ({batch}, 1, h, w) like depth, got {tuple(source.shape)}")
    rows, columns = source.shape[-2:]
    scale = height // rows if rows else 0
    if scale < 1 or height != rows * scale or width != columns * scale:
        raise ValueError(
            f"depth {height}x{width} must be a whole multiple, the same on both axes, of source {rows}x{columns}"
        )
    for name, tensor, shape in (
        ("cv", cv, (batch, 1, height - 1, width)),
        ("ch", ch, (batch, 1, height, width - 1)),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape} for depth {tuple(depth.shape)}, got {tuple(tensor.shape)}")
    for name, tensor in (("source", source), ("cv", cv), ("ch", ch)):
        if tensor.dtype != depth.dtype or tensor.device != depth.device:
            raise TypeError(
                f"{name} is {tensor.dtype} on {tensor.device}, depth is {depth.dtype} on {depth.device}: "
                "bring all four to one floating dtype and one device"
            )
    if not depth.is_floating_point():
        raise TypeError(f"depth must be floating, got {depth.dtype}: convert to float32 metres first")
    return scale
