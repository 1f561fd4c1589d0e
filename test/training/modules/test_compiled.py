"""Compiled training steps: the same weights as uncompiled ones, and checkpoints that know nothing of it."""

from __future__ import annotations

import torch
from tiny import NARROW, data, same_weights, trainer

from training.data import Degrader
from training.data.degradations import WeightedKernel
from training.modules import DADA, CompileNetwork, Supervised
from training.modules.optimisation import Optimisation


class CountedCalls(CompileNetwork):
    """Notes how many of the parts training and validation ran as compiled code."""

    def __init__(self, backend: str = "aot_eager") -> None:  # traces as inductor does, without minutes of C++
        super().__init__(backend)
        self.training, self.validation = [], []

    def on_train_batch_end(self, trainer, pl_module, *args) -> None:
        self.training.append(compiled_count(pl_module))

    def on_validation_batch_end(self, trainer, pl_module, *args) -> None:
        self.validation.append(compiled_count(pl_module))


def compiled_count(task) -> int:
    return sum(part._compiled_call_impl is not None for part in task.compiled_parts())


def test_compiled_steps_train_the_same_weights(tmp_path):
    weights, compiled = [], CountedCalls()
    for callbacks in ([], [compiled]):
        torch.manual_seed(0)
        task = Supervised(scale=2, options=NARROW)
        trainer(tmp_path, callbacks=callbacks, num_sanity_val_steps=0).fit(task, data())
        weights.append(task.network.state_dict())
    assert compiled.training == [1] * 4
    assert compiled.validation and not any(compiled.validation)
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)


def test_depth_normalised_by_frame_runs_compiled_too(tmp_path):
    torch.manual_seed(0)
    ran = []

    def backend(graph, inputs):
        return lambda *values: (ran.append(len(values)), graph.forward(*values))[1]

    task, compiled = Supervised(scale=2, options=NARROW, input_range="frame"), CompileNetwork(backend)
    trainer(tmp_path, callbacks=[compiled], num_sanity_val_steps=0).fit(task, data(batches=2))
    assert len(ran) >= 2, "each of the two steps runs what the backend made, validation does not"
    assert {key.split(".")[0] for key in task.state_dict()} == {"network"}


def test_dada_compiles_what_stands_before_the_solver(tmp_path):
    """Features and prior: the equilibrium's loop depends on its data, and is not for a graph."""
    options = {"prior": "dsrnet", "prior_options": {"size": "lite", **NARROW}, "train_prior": True}
    images = {
        "normalise": "max",
        "require_guide": True,
        "degradation": Degrader(kernels=[WeightedKernel("block_mean")]),
    }
    tasks, compiled = [], CountedCalls("eager")  # without backward's trace: quick, and equal to the bit
    for callbacks in ([], [compiled]):
        torch.manual_seed(0)
        optimisation = Optimisation(learning_rate=2e-3, schedule="constant", gradient_clip=1.0)
        task = DADA(2, "lite", options=options, optimisation=optimisation, solver_iterations=20, prior_weights="fresh")
        before = {name: value.clone() for name, value in task.network.state_dict().items()}
        trainer(tmp_path, callbacks=callbacks, num_sanity_val_steps=0).fit(task, data(batches=2, **images))
        tasks.append(task)
    network = task.network
    parts = set(task.compiled_parts())
    assert {network.features, network.prior} <= parts and network not in parts
    assert compiled.training == [len(task.compiled_parts())] * 2
    assert compiled.validation and not any(compiled.validation)
    assert compiled_count(task) == 0, "what follows the training runs the network itself"
    trained = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"features", "priors"} <= {name.split(".")[0] for name in trained}
    assert same_weights(tasks[0].network, network)
