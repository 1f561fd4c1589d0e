"""Scenes of `depth_sr_ros.synthetic`, rendered when asked for: no download, exact depth, no licence."""

from __future__ import annotations

from typing import Literal

import numpy as np

from depth_sr_ros.synthetic import default_camera, random_scene

from ..sample import RGBDSample, Source

NEAREST_LEVEL = (136.0, 230.0)
"""Where the greatest disparity of a scene lies, 8-bit levels: least and greatest over Middlebury 2006."""


class SyntheticScenes(Source):
    """`count` scenes with seeds `seed`, `seed` + 1, ...: metres or disparity and RGB, NaN where no ray hits."""

    layout = "synthetic"

    def __init__(
        self,
        count: int = 32,
        *,
        seed: int = 0,
        width: int = 640,
        height: int = 480,
        kind: str = "any",
        unit: Literal["m", "disparity"] = "m",
    ) -> None:
        """Choose the scenes; nothing is rendered yet.

        Args:
            count: number of scenes.
            seed: of the first; keep training and validation ranges apart.
            width: pixels.
            height: pixels.
            kind: one of `depth_sr_ros.synthetic.KINDS`, or "any".
            unit: "m" for metres; "disparity" for whole 8-bit levels as Middlebury's ground truth has them
                (`to_disparity`).

        Raises:
            ValueError: `count` below 1, or another `unit`.
        """
        if count < 1:
            raise ValueError(f"synthetic: count must be at least 1, got {count}")
        if unit not in ("m", "disparity"):
            raise ValueError(f"synthetic: unit must be 'm' or 'disparity', got {unit!r}")
        self.count, self.seed, self.kind, self.unit = count, seed, kind, unit
        self._camera = default_camera(width, height)

    @property
    def names(self) -> list[str]:
        return [f"{self.kind}-{self.seed + index}" for index in range(self.count)]

    def __getitem__(self, index: int) -> RGBDSample:
        if not 0 <= index < self.count:
            raise IndexError(f"synthetic: {self.count} scenes, asked for number {index}")
        seed = self.seed + index
        frame = random_scene(seed, self.kind, motion=0.0).render(self._camera)
        depth = to_disparity(frame.depth, seed) if self.unit == "disparity" else frame.depth
        return RGBDSample(depth, frame.rgb, self.names[index], self.unit)


def to_disparity(depth: np.ndarray, seed: int) -> np.ndarray:
    """Disparity as an 8-bit ground truth stores it: round(k / z), at least 1 (0 marks holes there).

    Args:
        depth: (H, W) metres, NaN invalid, at least one valid pixel.
        seed: draws the scene's k, by which its nearest surface lies at a level within `NEAREST_LEVEL`.

    Returns:
        (H, W) float32 whole levels from 1 to 230, NaN invalid.
    """
    nearest = np.random.default_rng([seed, 2006]).uniform(*NEAREST_LEVEL)
    k = nearest * float(np.nanmin(depth))
    return np.maximum(np.rint(k / depth), 1).astype(np.float32)
