"""What the job trains: names, configs, and what is changed in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config_files import load_config, merge

VALIDATION = "no Middlebury 2005 scene; validation on Baby3, Lampshade2, Monopoly, Rocks2"
THIRD = "Middlebury 2006 at third size"
LICENCE = "Apache-2.0; part of the training data is for academic, non-commercial use: see the data sets' own terms"


@dataclass(frozen=True)
class JobEntry:
    """One training of the job.

    Attributes:
        name: of its folder, and what ``--only`` takes.
        config: file in training/configs/.
        changes: laid over the config.
        data: for the card: what it is trained on.
        lr_kernel: for the card.
        notes: for the card: what differs from the published network.
    """

    name: str
    config: str
    changes: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    lr_kernel: str = ""
    notes: str = ""

    def merged(self, *more: dict[str, Any]) -> dict[str, Any]:
        """The whole config with `changes`, then `more`, laid over it."""
        config = load_config(f"base: {self.config}", self.changes.get("data", {}).get("scale"))
        for changes in (self.changes, *more):
            config = merge(config, changes)
        return config


# Width 64 makes 32 MB at x8 and 89 MB at x16 in float16. Multiples of 8 suit a GPU's matrix units.
NARROWER = {8: {"width": 40, "width_lr": 48}, 16: {"width": 24, "width_lr": 24}}


def _dsrnet(scale: int) -> JobEntry:
    changes: dict[str, Any] = {"data": {"scale": scale}}
    notes = "cross-task transfer"
    if scale in NARROWER:
        changes["model"] = {"init_args": {"options": NARROWER[scale]}}
        notes += f"; narrower than published ({NARROWER[scale]}, not 64), so that the file stays under 16 MB"
    return JobEntry(
        f"dsrnet_x{scale}",
        "slice_ctkt.yaml",
        changes,
        f"{THIRD} (17 scenes, both views) and MSG-Net's 70 depth maps (MPI Sintel, Middlebury 2001 and 2006); "
        + VALIDATION,
        "MATLAB bicubic (antialiased)",
        notes,
    )


def _dada(scale: int) -> JobEntry:
    return JobEntry(
        f"dada_x{scale}",
        "slice_dada.yaml",
        {"data": {"scale": scale}},
        f"{THIRD}, shown up to three times as large, with colour (17 scenes, both views) and 16 synthetic scenes; "
        + VALIDATION,
        "block mean",
        "ResNet-50 from random weights, implicit gradient",
    )


ENTRIES = (*(_dsrnet(scale) for scale in (2, 4, 8, 16)), *(_dada(scale) for scale in (4, 8, 16)))


def chosen(entries: Iterable[JobEntry], only: Sequence[str] | None) -> list[JobEntry]:
    """The entries named in `only`, in the job's order; all for None.

    Raises:
        ValueError: for a name that is none of theirs.
    """
    entries = list(entries)
    names = [entry.name for entry in entries]
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise ValueError(f"no entry {', '.join(unknown)}: choose among {', '.join(names)}")
    return [entry for entry in entries if only is None or entry.name in only]
