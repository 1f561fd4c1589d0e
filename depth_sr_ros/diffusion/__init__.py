"""Guided anisotropic diffusion (DADA, CVPR 2023): coefficients, the paper's loop, its equilibrium and gradient."""

from __future__ import annotations

from .budget import EquilibriumInfo
from .coefficients import depth_coefficients, differences, edge_coefficients, planarity
from .constraint import SeparableKernel
from .loop import diffuse_adjust
from .penalised import solve_penalised
from .solver import solve_equilibrium

__all__ = [
    "EquilibriumInfo",
    "SeparableKernel",
    "depth_coefficients",
    "differences",
    "diffuse_adjust",
    "edge_coefficients",
    "planarity",
    "solve_equilibrium",
    "solve_penalised",
]
