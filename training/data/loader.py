"""The training loader: one order of patches per (seed, epoch), shared out over devices, resumable inside an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from .patches import PatchDataset


class PatchSampler(DistributedSampler):
    """Yields (epoch, index) of this device's patches, from `start` on.

    The patches are random already, so their order is plain counting; device r of R takes r, r + R, ... . It is a
    DistributedSampler so that Lightning does not put its own in its place.
    """

    def __init__(self, dataset: PatchDataset, devices: int = 1, rank: int = 0, epoch: int = 0) -> None:
        super().__init__(dataset, num_replicas=devices, rank=rank, shuffle=False, drop_last=True)
        self.start = 0
        self.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch
        for number in range(self.start, self.num_samples):
            yield epoch, self.rank + number * self.num_replicas


class PatchLoader(DataLoader):
    """A DataLoader whose position in the epoch is saved in checkpoints and restored from them."""

    def __init__(
        self,
        dataset: PatchDataset,
        sampler: PatchSampler,
        batch_size: int,
        current_epoch: Callable[[], int] | None = None,
        **options: Any,
    ) -> None:
        """Set up the loader.

        Args:
            dataset: what to read.
            sampler: this device's share of it.
            batch_size: patches per batch.
            current_epoch: asked at the start of every pass; None: the epoch that the sampler was set to.
            options: of DataLoader.
        """
        super().__init__(dataset, batch_size=batch_size, sampler=sampler, drop_last=True, **options)
        self._patches, self._step = sampler, batch_size
        self._current_epoch = current_epoch
        self._position = {"epoch": sampler.epoch, "batch": 0}

    def __iter__(self) -> Iterator[dict]:  # type: ignore[override]  # a generator around the library's iterator
        sampler = self._patches
        # Lightning calls set_epoch too, but one too high after a restart from a checkpoint at the end of an epoch.
        if self._current_epoch is not None:
            sampler.set_epoch(self._current_epoch())
        epoch = sampler.epoch
        # A position from the end of another epoch says nothing about this one.
        done = self._position["batch"] if self._position["epoch"] == epoch else 0
        done = 0 if done >= len(self) else done
        sampler.start = done * self._step
        for number, batch in enumerate(super().__iter__(), start=done + 1):
            self._position = {"epoch": epoch, "batch": number}
            yield batch
        self._position = {"epoch": epoch + 1, "batch": 0}

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of batches handed out in it."""
        return dict(self._position)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from `state` when its epoch is the next to be read."""
        self._position = {"epoch": int(state["epoch"]), "batch": int(state["batch"])}
