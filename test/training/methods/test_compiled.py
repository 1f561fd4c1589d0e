"""Compiled training steps: the same weights as uncompiled ones, and checkpoints that know nothing of it."""

from __future__ import annotations

import torch
from tiny import NARROW, data, trainer

from training.methods import CompileNetwork, Supervised


class CountedCalls(CompileNetwork):
    """Notes whether training and validation went through compiled code."""

    def __init__(self) -> None:
        super().__init__(backend="aot_eager")  # traces as inductor does, without minutes of C++
        self.training, self.validation = [], []

    def on_train_batch_end(self, trainer, pl_module, *args) -> None:
        self.training.append(pl_module.network._compiled_call_impl is not None)

    def on_validation_batch_end(self, trainer, pl_module, *args) -> None:
        self.validation.append(pl_module.network._compiled_call_impl is not None)


def test_compiled_steps_train_the_same_weights(tmp_path):
    weights, compiled = [], CountedCalls()
    for callbacks in ([], [compiled]):
        torch.manual_seed(0)
        task = Supervised(scale=2, options=NARROW)
        trainer(tmp_path, callbacks=callbacks, num_sanity_val_steps=0).fit(task, data())
        weights.append(task.network.state_dict())
    assert compiled.training == [True] * 4
    assert compiled.validation and not any(compiled.validation)
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)
