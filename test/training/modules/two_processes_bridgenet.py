"""Run as a script: BridgeNet's two optimisers on two CPU processes; each writes its end to <folder>/rank<r>.json."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from tiny import data, same_weights, trainer

from training.modules import BridgeNet
from training.modules.optimisation import Optimisation

STEPS = 2


def fresh() -> BridgeNet:
    torch.manual_seed(0)
    steady = Optimisation(learning_rate=1e-3, schedule="constant", gradient_clip=1.0)
    return BridgeNet(scale=2, size="lite", optimisation=steady)


def main(folder: Path) -> None:
    """Train for two steps, on batches of two patches in either process."""
    task, before = fresh(), fresh()
    fit = trainer(folder, devices=2, strategy="ddp", max_steps=STEPS, max_epochs=-1)
    fit.fit(task, data(validation_scenes=[]))
    weights = b"".join(v.numpy().tobytes() for v in task.state_dict().values())
    parts = zip(task.network.named_children(), before.network.children())
    result = {
        "steps": fit.global_step,
        "weights": hashlib.sha256(weights).hexdigest(),
        "moved": [name for (name, now), then in parts if not same_weights(now, then)],
    }
    (folder / f"rank{fit.global_rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
