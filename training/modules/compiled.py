"""Training steps compiled by `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
from torch import nn

from .module import DepthSRModule


class CompileNetwork(L.Callback):
    """Compile the network's forward and backward for training patches, which all have one size.

    On two CPU cores, together with ``--trainer.precision bf16-mixed``, a step of DSRNet lite takes 0.57 times as long;
    the first one takes half a minute. Needs a C++ compiler on a CPU. Validation frames come in many sizes and run
    uncompiled. Weights and checkpoints are those of the network itself.

    Args:
        backend: of `torch.compile`: a name, or a function of a graph and its inputs.
    """

    def __init__(self, backend: str | Callable = "inductor") -> None:
        self.backend = backend

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for module in _parts(pl_module):
            module.compile(backend=self.backend, dynamic=False)  # parts of one class differ in size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._calls = [module._compiled_call_impl for module in _parts(pl_module)]
        self._set(pl_module, [None] * len(self._calls))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._set(pl_module, self._calls)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._set(pl_module, [None] * len(list(_parts(pl_module))))

    @staticmethod
    def _set(pl_module: L.LightningModule, calls: list) -> None:
        for module, call in zip(_parts(pl_module), calls):
            module._compiled_call_impl = call


def _parts(module: L.LightningModule) -> list[nn.Module]:
    if not isinstance(module, DepthSRModule):
        raise TypeError(f"CompileNetwork compiles the parts that a DepthSRModule names, got {type(module).__name__}")
    return module.compiled_parts()
