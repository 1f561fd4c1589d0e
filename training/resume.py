"""What `--ckpt_path` names is checked before anything is built from it."""

from __future__ import annotations

from pathlib import Path

import torch

from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.checked import check_values
from depth_sr_ros.zoo.import_weights import read_checkpoint

KEYWORDS = ("best", "last", "hpc", "registry")  # of Lightning, for a checkpoint that it looks for itself


def check_resumable(checkpoint: str | Path) -> None:
    """Check that a training can go on from a checkpoint, or be validated or tested with it.

    Raises:
        WeightsError: missing, truncated or damaged, no training's checkpoint, or its weights hold NaN, Inf or numbers
            beyond `checked.MAX_MAGNITUDE`.
    """
    if str(checkpoint).split(":")[0] in KEYWORDS or "://" in str(checkpoint) or Path(checkpoint).is_dir():
        return
    contents = read_checkpoint(Path(checkpoint))
    state = contents.get("state_dict")
    if not isinstance(state, dict) or "pytorch-lightning_version" not in contents:
        raise WeightsError(f"--ckpt_path {checkpoint} is no checkpoint of `python -m training fit`")
    check_values(f"--ckpt_path {checkpoint}", {k: v for k, v in state.items() if isinstance(v, torch.Tensor)})
