"""The LightningCLI of all methods, and configs that start from others."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonargparse
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from .data import DepthSRData
from .modules import DepthSRMethod
from .modules.base import NonFiniteLoss

CONFIGS = Path(__file__).parent / "configs"
DATA_ROOT = "DEPTH_SR_DATA"


class SaveTrainingConfig(SaveConfigCallback):
    """Keeps the config of a training; a validation has nothing to keep one with, and would leave it where it is run."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            super().setup(trainer, pl_module, stage)


class DepthSRCLI(LightningCLI):
    """LightningCLI whose scale is said once: the network's is taken from the data's."""

    def add_arguments_to_parser(self, parser: jsonargparse.ArgumentParser) -> None:
        parser.link_arguments("data.scale", "model.init_args.scale")

    def parse_arguments(self, parser: jsonargparse.ArgumentParser, args: list[str] | None) -> None:
        """As in LightningCLI; ValueError when the network was told another scale, which the link would override."""
        super().parse_arguments(parser, args)
        scale = self.config[self.config.subcommand].data.scale
        told = network_scale(sys.argv[1:] if args is None else args, self.config.subcommand)
        if told not in (None, scale):
            raise ValueError(
                f"model.init_args.scale is {told} and data.scale {scale}: leave out the former, the network takes its "
                "scale from the data"
            )


def network_scale(arguments: list[str], subcommand: str) -> int | None:
    """The last model.init_args.scale that the command line and its config files give; None where none does."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    told: list[tuple[str, str]] = []

    class Collect(argparse.Action):
        def __call__(self, parser, namespace, value, option=None):
            told.append((self.dest, value))

    parser.add_argument("-c", "--config", dest="config", action=Collect)
    parser.add_argument("--model", dest="model", action=Collect)
    parser.add_argument("--model.init_args.scale", "--model.scale", dest="scale", action=Collect)
    parser.parse_known_args(arguments)
    scale = None
    for kind, value in told:
        if kind == "scale":
            scale = int(value)
            continue
        config = load_config(Path(value).read_text() if Path(value).is_file() else value)
        if kind == "config" and isinstance(config, dict):
            config = config.get(subcommand, config).get("model")
        if isinstance(config, dict):
            scale = (config.get("init_args") or {}).get("scale", scale)
    return scale


def run(arguments: list[str] | None = None) -> int:
    """`launch`, with what the user can do about an error printed; returns the exit code."""
    try:
        launch(arguments)
    except (FileNotFoundError, MisconfigurationException, RuntimeError, ValueError) as error:
        message = explain(error)
        if message is None or os.environ.get("DEPTH_SR_TRACEBACK"):
            raise
        print(f"error: {message}\n(set DEPTH_SR_TRACEBACK=1 to see where it came from)", file=sys.stderr)
        return 1
    return 0


def launch(arguments: list[str] | None = None) -> DepthSRCLI:
    """Run fit, validate or test. `arguments` None takes those of the command line."""
    find_data()
    jsonargparse.set_loader("based_yaml", load_config)
    # weights after the step are what a resumed run needs
    warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
    # `job` gives its own arguments here, and has some on its command line too
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    return DepthSRCLI(
        DepthSRMethod,
        DepthSRData,
        subclass_mode_model=True,
        auto_configure_optimizers=False,
        save_config_callback=SaveTrainingConfig,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"parser_mode": "based_yaml"},
        args=arguments,
    )


def find_data() -> Path:
    """Where data roots in the shipped configs start, $DEPTH_SR_DATA; unset, it becomes ./data where that exists, else
    ../shared/data.
    """
    return Path(os.environ.setdefault(DATA_ROOT, "data" if Path("data").is_dir() else "../shared/data"))


def explain(error: Exception) -> str | None:
    """What the user can do about an error of a run; None for one that is a defect and needs its traceback."""
    message = str(error)
    if isinstance(error, MisconfigurationException):
        if "manual optimization" in message and "gradient_clip_val" in message:
            return "CTKT clips each network alone: set model.init_args.optimisation.gradient_clip instead"
        return message
    if isinstance(error, RuntimeError) and "loading state_dict" in message:
        return "--ckpt_path is a checkpoint of another network or method: " + " ".join(message.split())[:300]
    if isinstance(error, RuntimeError) and not isinstance(error, NonFiniteLoss):
        return None
    return message


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
