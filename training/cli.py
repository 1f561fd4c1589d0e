"""``python -m training fit|validate|test``: the LightningCLI of all training modules."""

from __future__ import annotations

import os
import sys
import warnings
from functools import partial
from pathlib import Path
from string import Template

import jsonargparse
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from .config_files import DEFAULT_SCALE, config_names, find_config, last_given, load_config
from .data import DepthSRData
from .interrupt import SaveOnInterrupt
from .modules import DepthSRModule
from .modules.module import NonFiniteLoss
from .resume import check_resumable

RUN_NAME = "${config}_x${scale}"
"""What configs give as the logger's name: the last config's file name and the scale are put in."""


class SaveTrainingConfig(SaveConfigCallback):
    """Keeps the config of a training; a validation has nothing to keep one with, and would leave it where it is run."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            super().setup(trainer, pl_module, stage)


class DepthSRCLI(LightningCLI):
    """LightningCLI whose scale is given once, as data.scale: the network's follows, and so do values by scale."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.scale", "model.init_args.scale")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """As in LightningCLI; ValueError when the network was given another scale, which the link would override."""
        super().parse_arguments(parser, args)
        config = self.config[self.config.subcommand]
        if config.get("ckpt_path") and config.get("weights_only") is not False:
            check_resumable(config.ckpt_path)  # before Lightning loads it
        scale = config.data.scale
        assert isinstance(args, list)  # `launch` gives the command line's words
        given = last_given(args, "model", "init_args", "scale", options=("--model.init_args.scale", "--model.scale"))
        if given not in (None, scale):
            raise ValueError(
                f"model.init_args.scale is {given} and data.scale {scale}: leave out the former, the network takes its "
                "scale from the data"
            )
        logger = config.trainer.logger
        if isinstance(logger, jsonargparse.Namespace) and logger.init_args.get("name") == RUN_NAME:
            names = config_names(args)
            stem = Path(names[-1]).stem if names and Path(names[-1]).is_file() else "run"
            logger.init_args.name = Template(RUN_NAME).substitute(config=stem, scale=scale)


def run(arguments: list[str] | None = None) -> int:
    """`launch`, with what the user can do about an error printed; returns the exit code."""
    try:
        launch(arguments)
    except KeyboardInterrupt as interruption:
        print(str(interruption) or "interrupted before the first step", file=sys.stderr)
        return getattr(interruption, "code", 130)
    except (OSError, MisconfigurationException, RuntimeError, ValueError) as error:
        message = explain(error)
        if message is None or os.environ.get("DEPTH_SR_TRACEBACK"):
            raise
        print(f"error: {message}\n(set DEPTH_SR_TRACEBACK=1 to see where it came from)", file=sys.stderr)
        return 1
    return 0


def launch(arguments: list[str] | None = None) -> DepthSRCLI:
    """Run fit, validate or test. `arguments` None takes those of the command line."""
    arguments = with_config_paths(sys.argv[1:] if arguments is None else arguments)
    scale = last_given(arguments, "data", "scale", options=("--data.scale",)) or DEFAULT_SCALE
    jsonargparse.set_loader("based_yaml", partial(load_config, scale=scale))
    # weights after the step are what a resumed run needs
    warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    guard = SaveOnInterrupt()
    try:
        return DepthSRCLI(
            DepthSRModule,
            DepthSRData,
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            save_config_callback=SaveTrainingConfig,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"callbacks": [guard]},
            parser_kwargs={"parser_mode": "based_yaml"},
            args=arguments,
        )
    except SystemExit:  # what Lightning makes of an interruption
        if guard.signal is None:
            raise
        raise guard.interrupted(arguments) from None


def with_config_paths(arguments: list[str]) -> list[str]:
    """`arguments` with the path that each --config NAME stands for; YAML in place of a name stays.

    Raises:
        ValueError: as `find_config`.
    """
    found = []
    for before, argument in zip(["", *arguments], arguments):
        option, equals, value = argument.partition("=")
        if before in ("--config", "-c"):
            argument = _config_path(argument)
        elif option == "--config" and equals:
            argument = f"--config={_config_path(value)}"
        found.append(argument)
    return found


def _config_path(value: str) -> str:
    return value if "\n" in value or "{" in value or ": " in value else str(find_config(value))


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
