"""From an entry's checkpoint to float16 weights and their card, in parts where a file is too large."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from depth_sr_ros.atomic import write_file
from depth_sr_ros.zoo.choice import weights_path
from depth_sr_ros.zoo.weight_files import save_weights

from ..export import card_of, read_checkpoint
from .entries import LICENCE, JobEntry
from .pack import sha256


def export(entry: JobEntry, checkpoint: Path, folder: Path, mad: float, how: str, max_mb: float) -> dict[str, Any]:
    """Write float16 weights and card to `folder`; a file above `max_mb` megabytes (10^6 bytes) as parts.

    Args:
        entry: for the card.
        checkpoint: of `python -m training fit`.
        folder: made when missing.
        mad: on the validation scenes, for the card.
        how: for the card: how long it was trained, on what.
        max_mb: largest file.

    Returns:
        {"file", "sha256", "bytes" of the whole file, "parts": names, the file's own alone where it is small enough}.
    """
    model, saved = read_checkpoint(checkpoint)
    card = card_of(
        model,
        saved,
        data=entry.data,
        lr_kernel=entry.lr_kernel,
        date=datetime.date.today().isoformat(),
        scores={"validation": mad},
        notes="; ".join(filter(None, [f"MAD in 8-bit disparity levels, LR by {entry.lr_kernel}", entry.notes, how])),
        licence=LICENCE,
    )
    path = folder / weights_path(model.name, model.scale, model.size).name
    save_weights(model, path, card, half=True)
    whole = {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
    return whole | {"parts": [part.name for part in split(path, int(max_mb * 1e6))]}


def split(path: Path, limit: int) -> list[Path]:
    """Replace a file of more than `limit` bytes by ``NAME.part00``, ``NAME.part01``, ...; `cat` joins them again."""
    for stale in path.parent.glob(f"{path.name}.part*"):
        stale.unlink()
    data = path.read_bytes()
    if len(data) <= limit:
        return [path]
    parts: list[Path] = []
    for start in range(0, len(data), limit):
        parts.append(path.with_name(f"{path.name}.part{len(parts):02d}"))
        write_file(parts[-1], data[start : start + limit])
    path.unlink()
    return parts
