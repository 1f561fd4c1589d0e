"""Scenes of `depth_sr_ros.synthetic`, rendered when asked for: no download, exact depth, no licence."""

from __future__ import annotations

from depth_sr_ros.synthetic import default_camera, random_scene

from ..sample import RGBDSample, Source


class SyntheticScenes(Source):
    """`count` scenes with seeds `seed`, `seed` + 1, ...: metres and RGB, NaN where no ray hits."""

    layout = "synthetic"

    def __init__(
        self, count: int = 32, seed: int = 0, width: int = 640, height: int = 480, kind: str = "any"
    ) -> None:
        """Choose the scenes; nothing is rendered yet.

        Args:
            count: number of scenes.
            seed: of the first; keep training and validation ranges apart.
            width: pixels.
            height: pixels.
            kind: one of `depth_sr_ros.synthetic.KINDS`, or "any".

        Raises:
            ValueError: `count` below 1.
        """
        if count < 1:
            raise ValueError(f"synthetic: count must be at least 1, got {count}")
        self.count, self.seed, self.kind = count, seed, kind
        self._camera = default_camera(width, height)

    @property
    def names(self) -> list[str]:
        return [f"{self.kind}-{self.seed + index}" for index in range(self.count)]

    def __getitem__(self, index: int) -> RGBDSample:
        if not 0 <= index < self.count:
            raise IndexError(f"synthetic: {self.count} scenes, asked for number {index}")
        frame = random_scene(self.seed + index, self.kind, motion=0.0).render(self._camera)
        return RGBDSample(frame.depth, frame.rgb, self.names[index], "m")
