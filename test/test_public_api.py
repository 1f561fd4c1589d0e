"""The names, signatures and commands that code outside this repository uses.

A failure here is a change for users: where it is intended, change the list and tell it in CHANGELOG.rst.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from pathlib import Path

import pytest

from depth_sr_ros.cli import build_parser

MAKEFILE = Path(__file__).parents[1] / "Makefile"

NAMES = {
    "depth_sr_ros": ["DepthUpsampler", "__version__"],
    "depth_sr_ros.models": [
        "DepthSRModel",
        "ResidualNetwork",
        "create_model",
        "diffuses",
        "list_models",
        "model_class",
        "register_model",
    ],
    "depth_sr_ros.diffusion": [
        "EquilibriumInfo",
        "SeparableKernel",
        "depth_coefficients",
        "differences",
        "diffuse_adjust",
        "edge_coefficients",
        "planarity",
        "solve_equilibrium",
        "solve_penalised",
    ],
}
SIGNATURES = {
    "depth_sr_ros:DepthUpsampler": "(method='dsrnet', scale=4, device='auto', size=None, precision='auto', "
    "weights='auto', consistent=False, *, fill_holes=False, tile=None, max_iterations=None, time_budget_s=None, "
    "lr_kernel=None, sigma=None)",
    "depth_sr_ros:DepthUpsampler.infer": "(self, depth, guide=None, guide_seen=None, stamp=None, "
    "camera=None, sigma=None)",
    "depth_sr_ros:DepthUpsampler.upsample": "(self, depth, guide=None, guide_seen=None, stamp=None, "
    "camera=None, sigma=None)",
    "depth_sr_ros.models:create_model": "(name, scale, size=None, **options)",
    "depth_sr_ros.models:list_models": "()",
    "depth_sr_ros.diffusion:solve_equilibrium": "(depth, source, cv, ch, *, tolerance=None, max_iterations=500, "
    "adjustment='multiplicative', constraint=None, time_budget_s=None, backward_tolerance=None, warm_start=None, "
    "slopes=None, return_info=False)",
    "depth_sr_ros.diffusion:solve_penalised": "(depth, source, weight, cv, ch, *, slopes=None, tolerance=0.001, "
    "max_iterations=500, time_budget_s=None, warm_start=None)",
    "depth_sr_ros.diffusion:edge_coefficients": "(features, kappa)",
    "depth_sr_ros.diffusion:diffuse_adjust": "(depth, source, cv, ch, iterations, step=0.24)",
}
METHODS = ["bicubic", "bridgenet", "csan", "dada", "dada_rgb", "dsrnet"]
COMMANDS = ["bench", "demo", "import-weights", "models", "replay", "upsample"]
TARGETS = ["bench", "clean", "cov", "demo", "distclean", "docs", "help", "lint", "test", "venv"]


@pytest.mark.parametrize("module", NAMES)
def test_public_names(module):
    found = importlib.import_module(module)
    assert sorted(found.__all__) == NAMES[module]
    assert all(hasattr(found, name) for name in found.__all__)


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures(path):
    module, _, name = path.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    signature = inspect.signature(found)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[path]


def test_methods():
    from depth_sr_ros.models import list_models

    assert list_models() == METHODS


def test_commands():
    parser = build_parser(with_bench=True)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    assert sorted(commands) == COMMANDS
    assert all("--json" in command._option_string_actions for command in commands.values())


def test_make_targets():
    targets = re.findall(r"^([a-z]+):.*##", MAKEFILE.read_text(), re.MULTILINE)
    assert sorted(targets) == TARGETS
