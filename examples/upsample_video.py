"""A depth video: each frame starts from the solution of the frame before it, so it takes fewer iterations.

    .venv/bin/python examples/upsample_video.py

The frames are one still image with new sensor noise each time; the camera then turns to another view (here the
image upside down), and the solver starts cold by itself.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.files import read_depth, read_guide

DATA = Path(__file__).parent / "data"
NOISE_M, RATE_HZ, FRAMES = 0.001, 15, 8


def frames() -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield (stamp in seconds, depth, guide)."""
    depth, guide = read_depth(DATA / "depth.png"), read_guide(DATA / "rgb.jpg")
    rng = np.random.default_rng(0)
    for index in range(FRAMES):
        noisy = depth + rng.normal(0, NOISE_M, depth.shape).astype(np.float32)
        if index < FRAMES - 2:
            yield index / RATE_HZ, noisy, guide
        else:
            yield index / RATE_HZ, noisy[::-1], guide[::-1]


def main() -> None:
    upsampler = DepthUpsampler("dada_rgb", scale=4, time_budget_s=2.0)
    for stamp, depth, guide in frames():
        solve = upsampler.infer(depth, guide, stamp=stamp).solve  # the stamp tells that the frames belong together
        assert solve is not None  # dada_rgb has a solver
        start, residual = "warm" if solve.warm else "cold", solve.relative_residual
        print(f"t = {stamp:.2f} s: {start} start, {solve.iterations} iterations, residual {residual:.1e}")


if __name__ == "__main__":
    main()
