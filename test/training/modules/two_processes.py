"""Run as a script: CTKT's step 2 on two CPU processes; each writes what it ended with to <folder>/rank<r>.json."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import lightning as L
import torch
from tiny import NARROW, Steps, data, same_weights

from training.modules import CTKT


class Watched(CTKT):
    """Keeps a fingerprint of the patches that this process saw; DSRNet learns, DENet teaches."""

    seen = ""

    def students(self):
        return {"dsr"}

    def training_step(self, batch, batch_index):
        self.seen += f"{batch['depth_hr'].double().mean().item():.9f} "
        return super().training_step(batch, batch_index)


def fresh() -> Watched:
    torch.manual_seed(0)
    return Watched(scale=2, size="lite", options=NARROW, affinity_pool=4, step1_epochs=1)


def main(folder: Path) -> None:
    """Train for two epochs, the second in step 2."""
    task = fresh()
    after_step1 = {}

    class KeepTeacher(L.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                after_step1["denet"] = {k: v.clone() for k, v in module.denet.state_dict().items()}
                after_step1["network"] = {k: v.clone() for k, v in module.network.state_dict().items()}

    trainer = L.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=2,
        callbacks=[KeepTeacher()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(task, data(sources=[Steps(), Steps(colour=False)], validation_scenes=[]))
    other = fresh()
    other.denet.load_state_dict(after_step1["denet"])
    other.network.load_state_dict(after_step1["network"])
    weights = b"".join(v.numpy().tobytes() for v in task.state_dict().values())
    result = {
        "weights": hashlib.sha256(weights).hexdigest(),
        "rounds": task.rounds.state_dict(),
        "names": task.seen,
        "teacher_moved": not same_weights(other.denet, task.denet),
        "student_moved": not same_weights(other.network, task.network),
    }
    (folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
