"""Names that options take, each list in one place. It imports nothing: `depth-sr --help` must not wait for torch."""

from __future__ import annotations

CONSTRAINT_KERNELS = ("block_mean", "bicubic")
"""LR kernels (`depth_sr_ros.lr_kernels`) whose LR map a diffusion can be held to."""
ADJUSTMENTS = ("additive", "multiplicative")
"""How HR pixels are moved until their LR map is the given one: by a shift, or by a factor, of each cell."""
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
"""Floating-point types of networks; auto: the fastest that is as accurate on the device."""
SIZES = ("paper", "lite")
"""Sizes of networks; a network may have one of them only."""
MODES = ("auto", "single", "guided")
"""Whether RGB guides: where it arrives, never, always."""
