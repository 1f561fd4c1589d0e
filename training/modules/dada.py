"""DADA: features learned through a diffusion's equilibrium, "Guided Depth Super-Resolution by Deep Anisotropic
Diffusion", CVPR 2023."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from depth_sr_ros.diffusion import diffuse_adjust
from depth_sr_ros.models.dada import GUIDE_AND_DEPTH, Frame, check_priors
from depth_sr_ros.models.equilibrium import Problem
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.choice import CLEAN, load_model
from depth_sr_ros.zoo.import_weights import read_checkpoint
from depth_sr_ros.zoo.weight_files import read_tensors

from ..losses import l1_loss
from .base import Batch, DepthSRMethod
from .normalising import Normalise, check_normalise
from .optimisation import Optimisation


class DADA(DepthSRMethod):
    """Minimise the L1 distance between the equilibrium and the ground truth, over valid pixels.

    Invalid LR cells put no constraint on the diffusion (they are NaN to the network), and pixels without ground truth
    none on the loss. The multiplicative adjustment (of the unrolled loop) needs positive depth: let the data divide,
    not shift (``data.normalise=max`` or ``none``).

    Args:
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network, such as ``priors: [dsrnet]``.
        optimisation: optimiser and schedule; None: the paper's (Adam 1e-4, weight decay 1e-5, times 0.9 every 100
            epochs, gradient norm at most 0.01).
        gradient: "implicit" (of the equilibrium itself, by one more solve; not in the paper) or "unrolled" (the
            paper's: a random number of iterations without gradient, then `n_grad` with it).
        solver_iterations: the implicit gradient's budget in training, forward and backward.
        n_pre: the paper's N_pre: 0 to n_pre - 1 iterations without gradient come first, drawn anew for each step.
        n_grad: the paper's N_grad, iterations that back-propagation unrolls.
        loss_weight: factor on the loss (the paper: 10), which counts only through the gradient's clipping.
        prior_weights: of the priors by their names, such as ``{dsrnet: robust}``: a variant's name or a .safetensors
            file; the clean ones where it is null or nothing is said. With the network's option ``train_priors``,
            "fresh" starts one untrained.
        normalise: what a patch's depth is normalised by for the priors, the U-Net and the trust: "patch" (its own
            statistics) or "frame" (those of the whole map, as a whole image's are at inference).
        features_from: a .safetensors file of this network, of any scale, whose feature extractor and kappa (and trust,
            if it has learned that) to start from; None: random weights. Where it has another number of priors than this
            network, but some, its channels for them are shared out evenly.
        encoder_weights: a ResNet-50 trained on ImageNet, as torchvision saves it (.pth), for the encoder of size
            "paper" to start from, as in the paper; None: random weights.

    Raises:
        ValueError: for options that exclude each other or cannot be met (`WeightsError`: weights missing or unfit).
    """

    def __init__(
        self,
        scale: int = 8,
        size: str = "paper",
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        gradient: Literal["implicit", "unrolled"] = "implicit",
        solver_iterations: int = 100,
        n_pre: int = 8000,
        n_grad: int = 1024,
        loss_weight: float = 10.0,
        prior_weights: dict[str, str | None] | None = None,
        normalise: Normalise = "patch",
        features_from: str | None = None,
        encoder_weights: str | None = None,
    ):
        if solver_iterations < 1 or n_pre < 1 or n_grad < 1:
            raise ValueError(
                f"solver_iterations, n_pre and n_grad must be at least 1, got {solver_iterations}, {n_pre}, {n_grad}"
            )
        if gradient == "unrolled":
            options = {"adjustment": "multiplicative", **(options or {})}  # the loop's own
        options, priors = _with_priors(scale, size, dict(options or {}), prior_weights or {})
        if features_from is not None and encoder_weights is not None:
            raise ValueError("features_from and encoder_weights both give the encoder's weights: drop one of them")
        super().__init__("dada", scale, size, options, optimisation or paper_optimisation())
        for name, state in priors.items():
            self.network.priors[name].load_state_dict(state)
        if features_from is not None:
            self._load_features(features_from)
        if encoder_weights is not None:
            if size != "paper":
                raise ValueError("encoder_weights are for the ResNet-50 of size 'paper': drop them or change the size")
            self.network.features.load_encoder(read_checkpoint(Path(encoder_weights)))
        loop = self.network.lr_kernel == "block_mean" and self.network.adjustment == "multiplicative"
        if gradient == "unrolled" and (not loop or self.network.trust is not None):
            raise ValueError(
                "gradient='unrolled' is the paper's loop: block mean, multiplicative, exact trust. Set "
                "gradient=implicit, or leave lr_kernel, adjustment and trust out of options"
            )
        check_normalise(normalise)
        self.normalise = normalise
        self.gradient, self.solver_iterations = gradient, solver_iterations
        self.n_pre, self.n_grad, self.loss_weight = n_pre, n_grad, loss_weight

    def _load_features(self, path: str) -> None:
        own = {key: value for key, value in self.network.state_dict().items() if not key.startswith("priors.")}
        given = {key: value for key, value in read_tensors(Path(path)).items() if not key.startswith("priors.")}
        for name, (before, each) in self.network.features.image_kernels.items():
            name = f"features.{name}"
            if name in given and given[name].shape[2:] == own[name].shape[2:]:
                given[name] = _share_prior_channels(given[name], before, each, len(self.network.priors))
        if not any(key.startswith("trust.") for key in given):
            own = {key: value for key, value in own.items() if not key.startswith("trust.")}
        shapes, found = ({key: tuple(value.shape) for key, value in state.items()} for state in (own, given))
        if shapes != found:
            differ = sorted(key for key in shapes.keys() | found.keys() if shapes.get(key) != found.get(key))
            raise WeightsError(
                f"{path} has no feature extractor of this network: {len(differ)} parameters differ, {differ[:3]}. "
                "It must be of dada, of the same size, with the same trust option, and both have priors or both "
                "have none"
            )
        self.network.load_state_dict(given, strict=False)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        self.check_batch(batch)
        frame = Frame(*batch["frame"].view(-1, 4, 1, 1, 1).unbind(1)) if self.normalise == "frame" else None
        problem = self.network.prepare(constraint_of(batch), self.guide_of(batch), frame)
        output = (self.unrolled if self.gradient == "unrolled" else self.equilibrium)(problem)
        loss = self.loss_weight * l1_loss(output, batch["depth_hr"], batch["valid"])
        self.check_finite(loss, batch)
        self.log("train_loss", loss, prog_bar=True)
        self.log("kappa", self.network.log_kappa.detach().exp())
        return loss

    def compiled_parts(self) -> list[nn.Module]:
        # normalised by the frame, priors are entered past their `forward`, which is what compiling replaces
        priors = () if self.normalise == "frame" else self.network.priors.values()
        parts = (self.network.features, *priors, self.network.trust)
        return [part for part in parts if part is not None]

    def equilibrium(self, problem: Problem) -> torch.Tensor:
        """The equilibrium (B, 1, H, W), differentiable by the implicit function theorem."""
        output, info = self.network.solve(problem, max_iterations=self.solver_iterations)
        self.log("solver_iterations", float(info.iterations))
        return output

    def unrolled(self, problem: Problem) -> torch.Tensor:
        """The paper's diffuse-adjust loop; gradients pass through its last `n_grad` iterations."""
        target, start, cv, ch = problem
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


def _share_prior_channels(kernels: torch.Tensor, before: int, each: int, priors: int) -> torch.Tensor:
    """A U-Net's kernels that see the image, for another number of priors, each seen with an equal part of the sum.

    So the features are those that the mean of the priors would give in place of every one that was there.

    Args:
        kernels: (out, before + each * (4 + n), k, k): RGB, depth and n priors.
        before: input channels before the image.
        each: input channels that one channel of the image is.
        priors: how many there are to be.

    Returns:
        The same with n = priors; unchanged where n is that already, or where n or `priors` is 0.
    """
    image = kernels[:, before:].unflatten(1, (-1, each))
    rest, seen = image[:, :GUIDE_AND_DEPTH], image[:, GUIDE_AND_DEPTH:]
    if seen.shape[1] in (0, priors) or priors == 0:
        return kernels
    shared = (seen.sum(dim=1, keepdim=True) / priors).expand(-1, priors, -1, -1, -1)
    return torch.cat([kernels[:, :before], torch.cat([rest, shared], dim=1).flatten(1, 2)], dim=1)


def _with_priors(
    scale: int, size: str, options: dict[str, Any], weights: dict[str, str | None]
) -> tuple[dict[str, Any], dict[str, dict[str, torch.Tensor]]]:
    """The network's options with those that the priors' weights were made with, and these weights by their names."""
    names = options.get("priors", [])
    check_priors(names)
    weights = {name: given for name, given in weights.items() if given is not None}
    if not weights.keys() <= set(names):
        raise ValueError(
            f"prior_weights came for {sorted(weights)}, options.priors are {names}: add them there, or set their "
            "weights to null"
        )
    if "fresh" in weights.values() and not options.get("train_priors"):
        raise ValueError("an untrained prior that is never trained helps nobody: set options.train_priors=true")
    wanted = options.get("prior_options") or {}
    made_with, states = dict(wanted), {}
    for name in names:
        if weights.get(name) == "fresh":
            continue
        asked = wanted.get(name, {})
        prior, card, _ = load_model(name, scale, asked.get("size", size), weights.get(name, CLEAN))
        made_with[name] = {"size": prior.size, **card.options}
        if not asked.items() <= made_with[name].items():
            raise ValueError(f"prior_options of {name} are {asked}, but its weights were made with {made_with[name]}")
        states[name] = prior.state_dict()
    return options | ({"prior_options": made_with} if made_with else {}), states
