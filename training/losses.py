"""The losses of the methods, each by its equation. All are means over pixels, or over rows of an affinity matrix, so
their weights do not depend on sizes.

Shapes: depth maps (B, 1, H, W); `valid` (B, 1, H, W) bool, False pixels count for nothing; features (B, C, H, W).
"CTKT" is the CVPR 2021 paper on cross-task knowledge transfer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from depth_sr_ros.models.affinity import affinity

SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
LEAST_ERROR = 0.003  # of the unit: below it, bicubic's error on a sample is no measure of how hard the sample is
WITHIN = 0.2  # what an error that rounding takes away still counts: it keeps results near the level's middle


def masked_mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean of `values` over the pixels that are valid; 0 (with a gradient of 0) when none is."""
    weight = valid.to(values.dtype).expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=1)


def l1_loss(estimate: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference over the valid pixels (CTKT eqs. 1, 2 and 10)."""
    return masked_mean((estimate - target).abs(), valid)


def tolerant_l1_loss(
    estimate: torch.Tensor, target: torch.Tensor, valid: torch.Tensor, tolerance: torch.Tensor
) -> torch.Tensor:
    """`l1_loss` in the maps' unit, in which the part of an error within `tolerance` (B, 1, 1, 1) counts `WITHIN` times.

    Where target and results are whole levels of an 8-bit image, an error below half a level is none once rounded.
    """
    error = (estimate - target).abs()
    return masked_mean(WITHIN * error + (1 - WITHIN) * (error - tolerance).clamp(min=0), valid)


def relative_l1_loss(
    estimate: torch.Tensor, target: torch.Tensor, reference: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Mean over samples of L1(estimate) / (L1(reference) + `LEAST_ERROR`); `reference` is an easy estimate's depth."""
    weight = valid.to(target.dtype)
    count = weight.sum(dim=(1, 2, 3)).clamp(min=1)
    error, easy = (((x - target).abs() * weight).sum(dim=(1, 2, 3)) / count for x in (estimate, reference))
    return (error / (easy + LEAST_ERROR)).mean()


def dissimilarity(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """clip((1 - SSIM) / 2, 0, 1) per pixel, with 3x3 mean windows; values are expected in about [0, 1].

    Returns:
        (B, 1, H - 2, W - 2): the windows that lie inside the image.
    """
    mean_a, mean_b = F.avg_pool2d(estimate, 3, 1), F.avg_pool2d(target, 3, 1)
    var_a = F.avg_pool2d(estimate**2, 3, 1) - mean_a**2
    var_b = F.avg_pool2d(target**2, 3, 1) - mean_b**2
    covariance = F.avg_pool2d(estimate * target, 3, 1) - mean_a * mean_b
    ssim = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + SSIM_C1) * (var_a + var_b + SSIM_C2)
    )
    return ((1 - ssim) / 2).clamp(0, 1)


def depth_estimation_loss(
    estimate: torch.Tensor, target: torch.Tensor, valid: torch.Tensor, weight: float = 0.2
) -> torch.Tensor:
    """CTKT eq. 11: weight * (1 - SSIM) / 2 + (1 - weight) * L1. A window counts when all of it is valid."""
    whole = F.avg_pool2d(valid.to(estimate.dtype), 3, 1) > 0.999
    structure = masked_mean(dissimilarity(estimate, target), whole)
    return weight * structure + (1 - weight) * l1_loss(estimate, target, valid)


def output_distillation(student: list[torch.Tensor], teacher: list[torch.Tensor], valid: torch.Tensor) -> torch.Tensor:
    """CTKT eq. 3: mean over the N side outputs of the L1 distance between both networks' depth maps."""
    return torch.stack([l1_loss(s, t, valid) for s, t in zip(student, teacher)]).mean()


def affinity_distillation(
    student: list[torch.Tensor], teacher: list[torch.Tensor], present: torch.Tensor, pool: int
) -> torch.Tensor:
    """CTKT eq. 5: mean over the N feature maps of the L1 distance between their affinity matrices.

    The paper writes ||.||_1; here it is the mean over rows of each row's L1 distance. Rows sum to 1, so a row's
    distance lies in [0, 2] whatever their number, while a mean over all entries would vanish with the grid's size.

    Args:
        present: (B,) bool, the samples that count.
        pool: side of the grid to which features are pooled first (see `affinity`).
    """
    each = [(affinity(s, pool) - affinity(t, pool)).abs().sum(dim=-1) for s, t in zip(student, teacher)]
    return torch.stack([masked_mean(distance, present[:, None]) for distance in each]).mean()


def structure_map(depth: torch.Tensor) -> torch.Tensor:
    """S_gt: the magnitude of the central differences of a depth map, by two fixed 3x3 kernels.

    sqrt(gx^2 + gy^2 + 1e-6), the depth map's border repeated.
    """
    kernel = depth.new_zeros(2, 1, 3, 3)
    kernel[0, 0, 0, 1], kernel[0, 0, 2, 1] = -1, 1
    kernel[1, 0, 1, 0], kernel[1, 0, 1, 2] = -1, 1
    gradient = F.conv2d(F.pad(depth, (1, 1, 1, 1), mode="replicate"), kernel)
    return (gradient.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()


def structure_loss(predicted: torch.Tensor, depth_hr: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """CTKT eq. 12: L1 between SPNet's map and `structure_map(depth_hr)`, where the whole 3x3 window is valid."""
    whole = F.avg_pool2d(valid.to(predicted.dtype), 3, 1, padding=1, count_include_pad=False) > 0.999
    return l1_loss(predicted, structure_map(depth_hr), whole)
