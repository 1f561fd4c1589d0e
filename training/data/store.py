"""The samples of several sources as one list: filtered, decoded once, kept in memory while the budget lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .sample import DepthUnit, MapStatistics, RGBDSample, Source

NO_VALID_PIXEL = "without a valid pixel"
NO_COLOUR = "without colour, which require_guide asks for"
HELD_OUT = "held out for validation, or not among the scenes asked for"
NAMED = 3  # maps named per reason


@dataclass
class Item:
    """One sample of one source, with what is known of it without decoding it again."""

    source: int
    index: int
    name: str
    scene: str
    shape: tuple[int, int]
    statistics: MapStatistics
    sample: RGBDSample | None = None


class SampleStore:
    """Random access to the kept samples of `sources`.

    Every sample is decoded once when the store is built, so that all checks are made of all samples. Those without a
    valid pixel, without colour (with `require_guide`) or that `unusable` speaks against are left out: `left_out` says
    why. Decoded samples stay in memory up to `cache_bytes`; the others are decoded again at every access.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        keep: Callable[[str], bool],
        require_guide: bool = False,
        cache_bytes: float = 4e9,
        unusable: Callable[[RGBDSample], str | None] = lambda sample: None,
    ) -> None:
        """Choose and decode.

        Args:
            sources: where samples come from.
            keep: whether to keep a scene, by the name that `Source.scene_of` gives.
            require_guide: leave out samples without colour.
            cache_bytes: memory that decoded samples may take.
            unusable: the reason to leave a sample out, or None.

        Raises:
            ValueError, OSError: a file that cannot be read, with its name.
        """
        self.sources = list(sources)
        self.items: list[Item] = []
        self.left_out: dict[str, list[str]] = {}
        """Names of the samples that are not among `items`, by the reason."""
        used = 0
        for number, source in enumerate(self.sources):
            for index, own in enumerate(source.names):
                name, scene = f"{source.layout}/{own}", source.scene_of(index)
                if not keep(scene):
                    self._leave_out(HELD_OUT, name)
                    continue
                if require_guide and not source.has_guide:
                    self._leave_out(NO_COLOUR, name)
                    continue
                sample = source[index]
                reason = _fault(sample, require_guide) or unusable(sample)
                if reason:
                    self._leave_out(reason, name)
                    continue
                used += sample.depth.nbytes + (0 if sample.guide is None else sample.guide.nbytes)
                shape = sample.depth.shape[0], sample.depth.shape[1]
                kept = sample if used <= cache_bytes else None
                self.items.append(Item(number, index, name, scene, shape, MapStatistics.of(sample.depth), kept))

    def _leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)

    def faults(self) -> str:
        """How many samples were left out for which reason, other than by choice, and the first names; "" for none."""
        return self._account(reason for reason in self.left_out if reason != HELD_OUT)

    def account(self) -> str:
        """How many samples of how many are left, and why the others are not."""
        total = len(self.items) + sum(map(len, self.left_out.values()))
        return f"{len(self.items)} of {total} maps are left; {self._account(self.left_out) or 'none was left out'}"

    def _account(self, reasons: Iterable[str]) -> str:
        parts = []
        for reason in reasons:
            names = self.left_out[reason]
            more = f", {len(names) - NAMED} more" if len(names) > NAMED else ""
            parts.append(f"{len(names)} {reason} ({', '.join(names[:NAMED])}{more})")
        return "; ".join(parts)

    def __len__(self) -> int:
        return len(self.items)

    def append(self, other: SampleStore) -> None:
        """Add the samples of `other` behind these."""
        shift = len(self.sources)
        self.sources += other.sources
        self.items += [replace(item, source=item.source + shift) for item in other.items]
        for reason, names in other.left_out.items():
            self.left_out[reason] = [*self.left_out.get(reason, []), *names]

    def load(self, number: int) -> tuple[RGBDSample, DepthUnit, MapStatistics]:
        """The sample, what its numbers mean, and the statistics of its valid ones."""
        item = self.items[number]
        sample = self.sources[item.source][item.index] if item.sample is None else item.sample
        return sample, DepthUnit.of(sample.unit, item.statistics.high), item.statistics


def _fault(sample: RGBDSample, require_guide: bool) -> str | None:
    if not np.isfinite(sample.depth).any():
        return NO_VALID_PIXEL
    return NO_COLOUR if require_guide and sample.guide is None else None
