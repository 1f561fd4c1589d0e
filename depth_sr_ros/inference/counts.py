"""How many frames came in, came out, and why others did not: counted alike by the node and by the offline replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .frames import ProblemKind


@dataclass
class FrameCounts:
    """Counters since the start.

    Attributes:
        received: depth images.
        guided, single: frames that came out, with RGB and by depth alone.
        problems: how often each kind was met; a frame may meet several.
    """

    received: int = 0
    guided: int = 0
    single: int = 0
    problems: Counter[ProblemKind] = field(default_factory=Counter)

    @property
    def out(self) -> int:
        """Frames that came out."""
        return self.guided + self.single

    def add_output(self, guided: bool) -> None:
        """A frame came out."""
        self.guided += guided
        self.single += not guided

    def add_problems(self, kinds: Iterable[ProblemKind]) -> None:
        """A frame met these."""
        self.problems.update(kinds)

    def copy(self) -> FrameCounts:
        return FrameCounts(self.received, self.guided, self.single, Counter(self.problems))

    def rows(self) -> dict[str, int]:
        """Name to number, as the diagnostics and metrics.json show them."""
        return {
            "frames_in": self.received,
            "frames_out": self.out,
            "frames_guided": self.guided,
            "frames_single": self.single,
            "frames_unguided": self.problems[ProblemKind.UNGUIDED],
            "frames_rejected": self.problems[ProblemKind.REJECTED],
            "frames_failed": self.problems[ProblemKind.FAILED],
            "frames_dropped": self.problems[ProblemKind.DROPPED],
            "loops": self.problems[ProblemKind.LOOPED],
        }
