"""Guided anisotropic diffusion (DADA, CVPR 2023): coefficients, the paper's loop, its equilibrium and gradient."""

from __future__ import annotations

from .budget import EquilibriumInfo
from .coefficients import depth_coefficients, edge_coefficients
from .constraint import SeparableKernel
from .loop import diffuse_adjust
from .solver import solve_equilibrium

__all__ = [
    "EquilibriumInfo",
    "SeparableKernel",
    "depth_coefficients",
    "diffuse_adjust",
    "edge_coefficients",
    "solve_equilibrium",
]
