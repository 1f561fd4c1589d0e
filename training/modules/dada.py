"""DADA: features learned through a diffusion's equilibrium, "Guided Depth Super-Resolution by Deep Anisotropic
Diffusion", CVPR 2023."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from depth_sr_ros.diffusion import diffuse_adjust
from depth_sr_ros.models.dada import DADA as Network
from depth_sr_ros.models.dada import Frame, check_prior
from depth_sr_ros.models.equilibrium import DiffusionProblem
from depth_sr_ros.models.unet import ResNet50UNet
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.choice import CLEAN, load_model
from depth_sr_ros.zoo.import_weights import read_checkpoint
from depth_sr_ros.zoo.weight_files import read_tensors

from ..losses import l1_loss
from .input_range import InputRange, check_input_range
from .module import Batch, DepthSRModule
from .optimisation import Optimisation


class DADA(DepthSRModule):
    """Minimise the L1 distance between the equilibrium and the ground truth, over valid pixels.

    Invalid LR cells put no constraint on the diffusion (they are NaN to the network), and pixels without ground truth
    none on the loss. The multiplicative adjustment (of the unrolled loop) needs positive depth: let the data divide,
    not shift (``data.normalise=max`` or ``none``).

    Args:
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network, such as ``prior: dsrnet``.
        optimisation: optimiser and schedule; None: the paper's (Adam 1e-4, weight decay 1e-5, times 0.9 every 100
            epochs, gradient norm at most 0.01).
        gradient: "implicit" (of the equilibrium itself, by one more solve; not in the paper) or "unrolled" (the
            paper's: a random number of iterations without gradient, then `n_grad` with it).
        solver_iterations: the implicit gradient's budget in training, forward and backward.
        n_pre: the paper's N_pre: 0 to n_pre - 1 iterations without gradient come first, drawn anew for each step.
        n_grad: the paper's N_grad, iterations that back-propagation unrolls.
        loss_weight: factor on the loss (the paper: 10), which counts only through the gradient's clipping.
        prior_weights: the prior's: "clean", a variant's name such as "robust", or a .safetensors file; None: "clean".
            With the network's option ``train_prior``, "fresh" starts it untrained.
        input_range: what a patch's depth is normalised by for the prior, the U-Net and the trust: "patch" (its own
            statistics) or "frame" (those of the whole map, as a whole image's are at inference).
        features_from: a .safetensors file of this network, of any scale, whose feature extractor and kappa (and trust,
            if it has learned that) to start from; None: random weights.
        encoder_weights: a ResNet-50 trained on ImageNet, as torchvision saves it (.pth), for the encoder of size
            "paper" to start from, as in the paper; None: random weights.

    Raises:
        ValueError: for options that exclude each other or cannot be met (`WeightsError`: weights missing or unfit).
    """

    network: Network

    def __init__(
        self,
        scale: int = 8,
        size: str = "paper",
        *,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        gradient: Literal["implicit", "unrolled"] = "implicit",
        solver_iterations: int = 100,
        n_pre: int = 8000,
        n_grad: int = 1024,
        loss_weight: float = 10.0,
        prior_weights: str | None = None,
        input_range: InputRange = "patch",
        features_from: str | None = None,
        encoder_weights: str | None = None,
    ):
        if solver_iterations < 1 or n_pre < 1 or n_grad < 1:
            raise ValueError(
                f"solver_iterations, n_pre and n_grad must be at least 1, got {solver_iterations}, {n_pre}, {n_grad}"
            )
        if gradient == "unrolled":
            options = {"adjustment": "multiplicative", **(options or {})}  # the loop's own
        options, prior = _with_prior(scale, size, dict(options or {}), prior_weights)
        if features_from is not None and encoder_weights is not None:
            raise ValueError("features_from and encoder_weights both give the encoder's weights: drop one of them")
        super().__init__("dada", scale, size, options, optimisation or paper_optimisation())
        if prior is not None:
            assert self.network.prior is not None  # it has the options that `prior` was loaded with
            self.network.prior.load_state_dict(prior.state_dict())
        if features_from is not None:
            self._load_features(features_from)
        if encoder_weights is not None:
            if size != "paper":
                raise ValueError("encoder_weights are for the ResNet-50 of size 'paper': drop them or change the size")
            assert isinstance(self.network.features, ResNet50UNet)  # that of "paper"
            self.network.features.load_encoder(read_checkpoint(Path(encoder_weights)))
        loop = self.network.lr_kernel == "block_mean" and self.network.adjustment == "multiplicative"
        if gradient == "unrolled" and (not loop or self.network.trust is not None):
            raise ValueError(
                "gradient='unrolled' is the paper's loop: block mean, multiplicative, exact trust. Set "
                "gradient=implicit, or leave lr_kernel, adjustment and trust out of options"
            )
        check_input_range(input_range)
        self.input_range = input_range
        self.gradient, self.solver_iterations = gradient, solver_iterations
        self.n_pre, self.n_grad, self.loss_weight = n_pre, n_grad, loss_weight

    def _load_features(self, path: str) -> None:
        own = {key: value for key, value in self.network.state_dict().items() if not key.startswith("priors.")}
        given = {key: value for key, value in read_tensors(Path(path)).items() if not key.startswith("priors.")}
        if not any(key.startswith("trust.") for key in given):
            own = {key: value for key, value in own.items() if not key.startswith("trust.")}
        shapes, found = ({key: tuple(value.shape) for key, value in state.items()} for state in (own, given))
        if shapes != found:
            differ = sorted(key for key in shapes.keys() | found.keys() if shapes.get(key) != found.get(key))
            raise WeightsError(
                f"{path} has no feature extractor of this network: {len(differ)} parameters differ, {differ[:3]}. "
                "It must be of dada, of the same size, with the same trust option, and both have a prior or "
                "neither has"
            )
        self.network.load_state_dict(given, strict=False)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        self.check_batch(batch)
        frame = Frame(*batch["frame"].view(-1, 4, 1, 1, 1).unbind(1)) if self.input_range == "frame" else None
        guide = self.guide_of(batch)
        assert guide is not None  # the network requires one
        problem = self.network.prepare(constraint_of(batch), guide, frame)
        output = (self.unrolled if self.gradient == "unrolled" else self.equilibrium)(problem)
        loss = self.loss_weight * l1_loss(output, batch["depth_hr"], batch["valid"])
        self.check_finite(loss, batch)
        self.log("train_loss", loss, prog_bar=True)
        self.log("kappa", self.network.log_kappa.detach().exp())
        return loss

    def compiled_parts(self) -> list[nn.Module]:
        # normalised by the frame, the prior is entered past its `forward`, which is what compiling replaces
        prior = None if self.input_range == "frame" else self.network.prior
        parts = (self.network.features, prior, self.network.trust)
        return [part for part in parts if part is not None]

    def equilibrium(self, problem: DiffusionProblem) -> torch.Tensor:
        """The equilibrium (B, 1, H, W), differentiable by the implicit function theorem."""
        output, info = self.network.solve(problem, max_iterations=self.solver_iterations)
        self.log("solver_iterations", float(info.iterations))
        return output

    def unrolled(self, problem: DiffusionProblem) -> torch.Tensor:
        """The paper's diffuse-adjust loop; gradients pass through its last `n_grad` iterations."""
        target, start, cv, ch = problem[:4]
        # By the step, so that a resumed run draws what an unbroken one does, and all devices take equally long.
        iterations = random.Random(self.global_step).randrange(self.n_pre)
        with torch.autocast(start.device.type, enabled=False):
            with torch.no_grad():
                start = diffuse_adjust(start, target, cv, ch, iterations)
            return diffuse_adjust(start, target, cv, ch, self.n_grad)

    def output_of(self, batch: Batch) -> torch.Tensor:
        return self(constraint_of(batch), self.guide_of(batch))

    def check_batch(self, batch: Batch) -> None:
        super().check_batch(batch)
        if self.network.adjustment == "multiplicative" and bool((batch["offset"] != 0).any()):
            raise ValueError(
                "the multiplicative adjustment needs depth ratios, and this data is shifted to start at 0: "
                "set data.normalise=max (or none), or leave options.adjustment additive"
            )


def constraint_of(batch: Batch) -> torch.Tensor:
    """(B, 1, h, w) depth_lr with NaN where the sensor saw nothing: no constraint there."""
    return torch.where(batch["valid_lr"], batch["depth_lr"], torch.nan)


def paper_optimisation() -> Optimisation:
    """The paper's, for a data set of Middlebury's size: the learning rate falls by a tenth every 100 epochs."""
    return Optimisation(
        learning_rate=1e-4,
        betas=(0.9, 0.999),
        weight_decay=1e-5,
        schedule="step",
        decay=0.9,
        decay_epochs=100,
        gradient_clip=0.01,
    )


def _with_prior(
    scale: int, size: str, options: dict[str, Any], weights: str | None
) -> tuple[dict[str, Any], nn.Module | None]:
    """The network's options with those that the prior's weights were made with, and the loaded prior, if any."""
    name = options.get("prior")
    check_prior(name)
    if name is None:
        if weights is not None:
            raise ValueError(f"prior_weights {weights!r} came without a prior: set options.prior")
        return options, None
    if weights == "fresh":
        if not options.get("train_prior"):
            raise ValueError("an untrained prior that is never trained helps nobody: set options.train_prior=true")
        return options, None
    asked = options.get("prior_options") or {}
    prior, card, _ = load_model(name, scale, asked.get("size", size), weights or CLEAN)
    made_with = {"size": prior.size, **(card.options if card else {})}
    if not asked.items() <= made_with.items():
        raise ValueError(f"prior_options are {asked}, but the weights of {name} were made with {made_with}")
    return options | {"prior_options": made_with}, prior
