"""The samples of several sources as one list: filtered, decoded once, kept in memory while the budget lasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .degradations import Scale
from .sample import RGBDSample, Source, Statistics


@dataclass
class Item:
    """One sample of one source, with what is known of it before it is decoded again."""

    source: int
    index: int
    name: str
    scene: str
    shape: tuple[int, int] | None = None
    statistics: Statistics | None = None
    sample: RGBDSample | None = None


class SampleStore:
    """Random access to the kept samples of `sources`.

    Samples without a valid pixel, or (with `require_guide`) without colour, are left out. Decoding happens when the
    store is built, up to `cache_bytes`; what lies beyond is decoded at every access, and its size is taken to be
    that of its source's first sample.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        keep: Callable[[str], bool],
        require_guide: bool = False,
        cache_bytes: float = 4e9,
    ) -> None:
        """Choose and decode.

        Args:
            sources: where samples come from.
            keep: whether to keep a scene, by the name that `Source.scene_of` gives.
            require_guide: leave out samples without colour.
            cache_bytes: memory that decoded samples may take.
        """
        self.sources = list(sources)
        self.items: list[Item] = []
        used = 0
        for number, source in enumerate(self.sources):
            if require_guide and not source.has_guide:
                continue
            shape = None
            for index, name in enumerate(source.names):
                scene = source.scene_of(index)
                if not keep(scene):
                    continue
                item = Item(number, index, f"{source.layout}/{name}", scene, shape)
                if used < cache_bytes or shape is None:
                    sample = source[index]
                    if np.isnan(sample.depth).all() or (require_guide and sample.guide is None):
                        continue
                    shape = item.shape = sample.depth.shape
                    item.statistics = Statistics.of(sample.depth)
                    used += sample.depth.nbytes + (0 if sample.guide is None else sample.guide.nbytes)
                    item.sample = sample if used <= cache_bytes else None
                self.items.append(item)

    def __len__(self) -> int:
        return len(self.items)

    def append(self, other: SampleStore) -> None:
        """Add the samples of `other` behind these."""
        shift = len(self.sources)
        self.sources += other.sources
        self.items += [replace(item, source=item.source + shift) for item in other.items]

    def load(self, number: int) -> tuple[RGBDSample, Scale, Statistics]:
        """The sample, what its numbers mean, and the statistics of its valid ones."""
        item = self.items[number]
        sample = self.sources[item.source][item.index] if item.sample is None else item.sample
        if item.statistics is None:
            item.statistics = Statistics.of(sample.depth)
        return sample, self._scale(sample, item.statistics.high), item.statistics

    @staticmethod
    def _scale(sample: RGBDSample, high: float) -> Scale:
        # 8-bit disparities are rounded to whole grey levels, whatever the scene's greatest value.
        full = 255.0 if sample.unit == "disparity" and high <= 255 else abs(high) or 1.0
        return Scale(sample.unit, full)
