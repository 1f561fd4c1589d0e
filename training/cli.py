"""The LightningCLI of all methods, and configs that start from others."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jsonargparse
from lightning.pytorch.cli import LightningCLI

from .data import DepthSRData
from .methods import DepthSRMethod
from .methods.base import NonFiniteLoss

CONFIGS = Path(__file__).parent / "configs"
DATA_ROOT = "DEPTH_SR_DATA"


class DepthSRCLI(LightningCLI):
    """LightningCLI whose scale is said once: the network's is taken from the data's."""

    def add_arguments_to_parser(self, parser: jsonargparse.ArgumentParser) -> None:
        parser.link_arguments("data.scale", "model.init_args.scale")


def run(arguments: list[str] | None = None) -> int:
    """Run fit, validate or test; returns the exit code. `arguments` None takes those of the command line.

    Data roots in the shipped configs start with $DEPTH_SR_DATA; unset, it is ./data where that exists, else
    ../shared/data.
    """
    os.environ.setdefault(DATA_ROOT, "data" if Path("data").is_dir() else "../shared/data")
    jsonargparse.set_loader("based_yaml", load_config)
    try:
        DepthSRCLI(
            DepthSRMethod,
            DepthSRData,
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"parser_mode": "based_yaml"},
            args=arguments,
        )
    except (FileNotFoundError, NonFiniteLoss, ValueError) as error:
        if os.environ.get("DEPTH_SR_TRACEBACK"):
            raise
        print(f"error: {error}\n(set DEPTH_SR_TRACEBACK=1 to see where it came from)", file=sys.stderr)
        return 1
    return 0


def load_config(text: str) -> Any:
    """YAML with inheritance: files named by a top-level `base` are read from `CONFIGS` and merged in order.

    Mappings merge key by key; anything else, lists included, is replaced.

    Raises:
        ValueError: when a base is not there.
    """
    config = jsonargparse.get_loader("yaml")(text)
    if not isinstance(config, dict) or "base" not in config:
        return config
    bases = config.pop("base")
    merged: dict[str, Any] = {}
    for name in [bases] if isinstance(bases, str) else bases:
        path = CONFIGS / name
        if not path.is_file():
            raise ValueError(f"base config {name!r} is not in {CONFIGS}")
        merged = merge(merged, load_config(path.read_text()))
    return merge(merged, config)


def merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`low` overlaid with `high`; a `class_path` other than the one below starts afresh."""
    if "class_path" in high and high["class_path"] != low.get("class_path", high["class_path"]):
        return high
    both = {
        key: merge(low[key], value) if isinstance(low.get(key), dict) and isinstance(value, dict) else value
        for key, value in high.items()
    }
    return {**low, **both}
