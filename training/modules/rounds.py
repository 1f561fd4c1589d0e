"""Rounds of collaborative training, and both networks' errors in the last one (CTKT eqs. 1 and 2)."""

from __future__ import annotations

import math


class Rounds:
    """Sums both networks' absolute errors over a round; at its end they become the errors that decide the roles.

    Args:
        steps: batches of a round; None: an epoch.

    Attributes:
        error_dsr: e_dsr of the last whole round, in units of the maps' range; NaN before the first one has ended.
        error_de: e_de, likewise.
    """

    def __init__(self, steps: int | None = None):
        if steps is not None and steps < 1:
            raise ValueError(f"a round needs at least one step, got {steps}")
        self.steps = steps
        self.error_dsr = self.error_de = math.nan
        self._sums = [0.0, 0.0, 0.0]
        self._batches = 0

    def over(self, batch_index: int) -> bool:
        """Whether a round has ended before batch `batch_index` of the epoch."""
        return self._batches > 0 and (batch_index == 0 if self.steps is None else self._batches >= self.steps)

    def next(self) -> None:
        """Close the round: its mean errors become `error_dsr` and `error_de`; kept when it had no sample in colour."""
        dsr, de, pixels = self._sums
        if pixels > 0:
            self.error_dsr, self.error_de = dsr / pixels, de / pixels
        self._sums, self._batches = [0.0, 0.0, 0.0], 0

    def add(self, dsr: float, de: float, pixels: float) -> None:
        """Add a batch: sums of absolute errors over `pixels` valid pixels."""
        self._sums = [a + b for a, b in zip(self._sums, (dsr, de, pixels))]
        self._batches += 1

    def state_dict(self) -> dict[str, float | int | list[float]]:
        """Everything that a resumed run needs."""
        return {"error_dsr": self.error_dsr, "error_de": self.error_de, "sums": self._sums, "batches": self._batches}

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state_dict`'s result."""
        self.error_dsr, self.error_de = state["error_dsr"], state["error_de"]
        self._sums, self._batches = list(state["sums"]), state["batches"]
