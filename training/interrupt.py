"""An interrupted training saves what it can be resumed from, and says how."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

RESUME = "resume.ckpt"  # the name that trainer.yaml gives the checkpoint of every 500 steps


class Interrupted(KeyboardInterrupt):
    """A run was ended by SIGINT or SIGTERM; the message says what was saved and how to go on.

    Attributes:
        code: the exit status, 128 + the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class SaveOnInterrupt(Callback):
    """Writes `RESUME` beside the run's other checkpoints when SIGINT or SIGTERM ends its training.

    The first SIGINT ends the training after the step in progress, so that a resumed run sees the same patches as one
    that was never interrupted. A second one, or one during validation, ends it at once.

    Attributes:
        signal: what ended the run, or None.
        step: optimiser steps made until then.
        saved: the checkpoint, or None where there was nothing to save or it could not be written.
        problem: why it could not be written, or "".
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.step = 0
        self.saved: Path | None = None
        self.problem = ""
        self._asked = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers

        def ask(number: int, frame: FrameType | None) -> None:
            if self._asked or not trainer.training:
                raise KeyboardInterrupt
            self._asked = True
            print("interrupted: ending after this step (once more: at once)", file=sys.stderr)

        signal.signal(signal.SIGINT, ask)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._asked:
            self._save(trainer)
            raise KeyboardInterrupt

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException):
            self.signal = signal.SIGTERM
        elif isinstance(exception, KeyboardInterrupt):
            self.signal = signal.SIGINT
        else:
            return
        if self.saved is None:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.step = trainer.global_step
        # several processes save together, and not all of them need to have been interrupted
        if trainer.state.fn != "fit" or self.step == 0 or trainer.world_size > 1:
            return
        folder = getattr(trainer.checkpoint_callback, "dirpath", None) or trainer.default_root_dir
        path = Path(folder) / RESUME
        try:
            trainer.save_checkpoint(path, weights_only=False)
        except (OSError, RuntimeError) as error:
            self.problem = str(error)
        else:
            self.saved = path

    def interrupted(self, arguments: list[str]) -> Interrupted:
        """What to raise, with the command that goes on.

        Args:
            arguments: of ``python -m training``.
        """
        number = self.signal or signal.SIGINT
        if self.saved is not None:
            go_on = f"saved {self.saved}; go on with: {resuming(arguments, self.saved)}"
        elif self.problem:
            go_on = f"the checkpoint could not be written: {self.problem}"
        elif self.step == 0:
            go_on = "nothing to save"
        else:
            go_on = f"go on from the last {RESUME} with --ckpt_path"
        return Interrupted(f"interrupted by {number.name} at step {self.step}: {go_on}", 128 + number)


def resuming(arguments: list[str], checkpoint: Path) -> str:
    """The shell command of `arguments` that starts from `checkpoint`."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument != "--ckpt_path" and not argument.startswith("--ckpt_path="):
            kept.append(argument)
        skip = argument == "--ckpt_path"
    return shlex.join(["python", "-m", "training", *kept, "--ckpt_path", str(checkpoint)])
