"""DADA: guided anisotropic diffusion whose coefficients a network has learned to see (CVPR 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from ..diffusion import differences, planarity
from .base import ResidualNetwork
from .blocks import shrink
from .csan import CSAN
from .dada_rgb import IMAGENET_STD
from .dsrnet import DSRNet
from .equilibrium import DiffusionProblem, EquilibriumModel, fill_invalid, upsampled
from .trust import Trust
from .unet import LiteUNet, ResNet50UNet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
KAPPA = 0.03
PRIORS: dict[str, type[ResidualNetwork]] = {network.name: network for network in (DSRNet, CSAN)}
GUIDE_AND_DEPTH = 4  # channels of the U-Net's input before that of the prior
TRUST = ("exact", "learned")
FEATURES = {"paper": 64, "lite": 16}
LEAST_SPREAD = 0.01  # of the mean depth: below it, relief is the sensor's noise and not to be blown up


class Frame(NamedTuple):
    """What depth is normalised by, each (B, 1, 1, 1) in the unit of depth_lr, where that is not its own image's."""

    low: torch.Tensor
    high: torch.Tensor
    mean: torch.Tensor
    spread: torch.Tensor


def check_prior(prior: str | None) -> None:
    """Raise ValueError unless this is None or the name of a single-depth network that can be the prior."""
    if prior is not None and (not isinstance(prior, str) or prior not in PRIORS):
        raise ValueError(f"unsupported prior {prior!r}: expected None or one of {', '.join(sorted(PRIORS))}")


class DADA(EquilibriumModel):
    """A U-Net gives features to every pixel; depth diffuses freely where they agree, until it is in equilibrium.

    The U-Net sees RGB normalised by ImageNet's statistics and the upsampled depth less its mean, divided by the
    sample's own standard deviation, so that any unit works. `paper` is the published network (ResNet-50 encoder at
    twice the image's size, 64 features), `lite` a small one at the image's size with 16 features.

    Beyond the paper, `prior="dsrnet"` lets a single-depth network upsample the depth first: its output is one more
    channel of the U-Net's input and the start of the diffusion. It is part of the model, and of its weights file.

    With ``trust="learned"``, also beyond the paper, readings are not taken as they are: each is pulled towards what the
    prior's depth would read there, the less the network trusts it (`Trust`). For noise, rounding and kernels that are
    not `lr_kernel`; the output then agrees with the corrected readings, not with depth_lr.

    A prior's output is what `correction` is of, with g its `planarity`: the guide decides where what the readings add
    to it may spread, and no texture of the guide is left in planes. With noise that is told, g is 1: what the prior
    has left of the noise looks like edges to its planarity.

    NaN in depth_lr and guide, and non-positive cells: see `EquilibriumModel`.

    Args:
        scale: any integer from 1 to 32; with a prior one of its scales.
        size: "paper" or "lite".
        prior: "csan" or "dsrnet"; None, as in the paper, for none.
        prior_options: its keyword arguments, such as its `size` (default: this model's).
        train_prior: let gradients reach the prior; by default it stays as it was loaded.
        trust: "exact" (the paper: the output agrees with every reading) or "learned", which needs a prior.
        depth_unit: divide depth by this, in the unit of depth_lr, and not by each sample's standard deviation:
            networks trained with one number for a whole data set, such as the authors', need theirs.
        solver: options of `EquilibriumModel`.

    Raises:
        ValueError: for an option outside its range.
    """

    name = "dada"
    accuracy = 0.002
    sizes = ("paper", "lite")

    def __init__(
        self,
        scale: int,
        size: str = "lite",
        *,
        prior: str | None = None,
        prior_options: dict[str, Any] | None = None,
        train_prior: bool = False,
        trust: str = "exact",
        depth_unit: float | None = None,
        **solver: Any,
    ):
        super().__init__(scale, size, **solver)
        check_prior(prior)
        if prior is None and (prior_options or train_prior):
            raise ValueError(f"prior_options {prior_options} and train_prior {train_prior} need a prior: set it")
        if trust not in TRUST:
            raise ValueError(f"trust must be one of {TRUST}, got {trust!r}")
        if prior is None and trust == "learned":
            raise ValueError("trust='learned' weighs readings against a prior: set prior='dsrnet'")
        if depth_unit is not None and not depth_unit > 0:
            raise ValueError(f"depth_unit must be positive, got {depth_unit}")
        self.depth_unit = depth_unit
        # by its name in a dictionary, because weights files name its tensors so
        self.priors = nn.ModuleDict()
        if prior is not None:
            self.priors[prior] = PRIORS[prior](scale, **{"size": size, **(prior_options or {})})
            self.priors.requires_grad_(train_prior)
        self.features: ResNet50UNet | LiteUNet
        channels = GUIDE_AND_DEPTH + len(self.priors)
        if size == "paper":
            self.features = ResNet50UNet(channels, FEATURES[size])
        else:
            self.features = LiteUNet(channels, FEATURES[size])
            shrink(self.features.head)  # features then start about kappa apart, where eq. 2 is steepest
        self.trust = Trust(FEATURES[size]) if trust == "learned" else None
        self.log_kappa = nn.Parameter(torch.tensor(math.log(KAPPA)))

    def prepare(self, depth_lr: torch.Tensor, guide: torch.Tensor, frame: Frame | None = None) -> DiffusionProblem:
        """As its parent's; `frame` gives the statistics of the map that depth_lr is a patch of, in training."""
        filled = fill_invalid(depth_lr)
        depth = upsampled(filled, self.scale)
        single = None if self.prior is None else self._single(self.prior, filled, frame).to(depth.dtype)
        start = depth if single is None else single
        maps = [depth] if single is None else [depth, single]
        features = self.features(self.network_input(fill_invalid(guide), maps, frame))
        # differences of features and the equilibrium itself need more than autocast's half precision
        with torch.autocast(depth_lr.device.type, enabled=False):
            cv, ch = self.coefficients(features.to(depth.dtype), self.log_kappa.exp(), start.detach(), guide)
        target = depth_lr
        if self.trust is not None:
            target = self.trust(depth_lr, self.seen_by_sensor(start), features, self.spread_of(depth, frame))
        start = start.detach()
        slopes = None
        if self.corrects and self.prior is not None:
            (gv, gh), (dv, dh) = planarity(start, self.scale), differences(start)
            slopes = gv * dv, gh * dh
        return DiffusionProblem(target, start, cv, ch, slopes)

    def weighed(self, problem: DiffusionProblem, sigma: torch.Tensor | None) -> DiffusionProblem:
        """As its parent's; with a data term the slopes are all of the prior's."""
        weighed = super().weighed(problem, sigma)
        if weighed.weight is None or weighed.slopes is None:
            return weighed
        return weighed._replace(slopes=differences(weighed.start))

    @property
    def prior(self) -> ResidualNetwork | None:
        """The single-depth network that upsamples the depth first; None without."""
        return next(iter(cast("Iterable[ResidualNetwork]", self.priors.values())), None)

    @staticmethod
    def _single(prior: ResidualNetwork, depth_lr: torch.Tensor, frame: Frame | None) -> torch.Tensor:
        if frame is None:
            return prior(depth_lr)
        extent = frame.high - frame.low
        extent = torch.where(extent > 0, extent, 1.0)
        # trust weighs differences as small as 8-bit rounding, finer than a network's details in bfloat16
        with torch.autocast(depth_lr.device.type, enabled=False):
            return frame.low + extent * prior.super_resolve_normalised((depth_lr - frame.low) / extent, None)

    def network_input(
        self, guide: torch.Tensor, depths: list[torch.Tensor], frame: Frame | None = None
    ) -> torch.Tensor:
        """What the U-Net sees, (B, 3 + len(depths), H, W): normalised RGB, and depth maps less their frame's mean.

        Args:
            guide: (B, 3, H, W) RGB in [0, 1].
            depths: maps (B, 1, H, W) in one unit.
            frame: what gives mean and spread; None: the first of the maps.
        """
        mean = depths[0].mean(dim=(1, 2, 3), keepdim=True) if frame is None else frame.mean
        spread = self.spread_of(depths[0], frame)
        rgb = (guide - guide.new_tensor(IMAGENET_MEAN)[:, None, None]) / guide.new_tensor(IMAGENET_STD)[:, None, None]
        return torch.cat([rgb.to(mean.dtype), *((depth - mean) / spread for depth in depths)], dim=1)

    def spread_of(self, depth: torch.Tensor, frame: Frame | None = None) -> torch.Tensor | float:
        """What the network measures depth (B, 1, H, W) by: `depth_unit`, or the (B, 1, 1, 1) spread of `frame` or its
        own."""
        if self.depth_unit is not None:
            return self.depth_unit
        if frame is None:
            spread, mean = torch.std_mean(depth, dim=(1, 2, 3), keepdim=True, correction=0)
        else:
            spread, mean = frame.spread, frame.mean
        spread = torch.maximum(spread, LEAST_SPREAD * mean.abs())
        return torch.where(spread > 0, spread, 1.0)
