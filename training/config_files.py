"""YAML configs that start from others (`base`), and their values by scale (`at_scale`)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse

CONFIGS = Path(__file__).parent / "configs"
DEFAULT_SCALE = 4
"""`DepthSRData`'s, for configs and commands that name none."""


def find_config(name: str) -> Path:
    """The file that ``--config`` names: a path, or a file of `CONFIGS` with or without its folder and suffix.

    ``training/configs/dsrnet_lite.yaml``, ``dsrnet_lite.yaml`` and ``dsrnet_lite`` are one file, in a checkout and in
    an install, from any folder.

    Raises:
        ValueError: no such file; the message lists the shipped ones.
    """
    for path in (Path(name), CONFIGS.parents[1] / name, CONFIGS / name, CONFIGS / f"{name}.yaml"):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
    raise ValueError(f"no config {name!r}: expected a YAML file or one of {shipped}")


def load_config(text: str, scale: int | None = None) -> Any:
    """YAML with inheritance: files named by a top-level `base` are read from `CONFIGS` and merged in order.

    Mappings merge key by key; anything else, lists included, is replaced. A top-level `at_scale` maps scales to what is
    laid over its own file for that scale; files that start from it are laid over both.

    Args:
        text: YAML; what is no mapping comes back as it is.
        scale: None: the config's own `data.scale`, else `DEFAULT_SCALE`.

    Raises:
        ValueError: when a base is not there.
    """
    config = jsonargparse.get_loader("yaml")(text)
    if not isinstance(config, dict) or not config.keys() & {"base", "at_scale"}:
        return config
    if scale is None:
        scale = (_resolved(config, None).get("data") or {}).get("scale", DEFAULT_SCALE)
    return _resolved(config, scale)


def _resolved(config: dict[str, Any], scale: int | None) -> dict[str, Any]:
    """`config` with its bases below it and, for a scale, `at_scale` above it."""
    own = {key: value for key, value in config.items() if key not in ("base", "at_scale")}
    bases = config.get("base", [])
    merged: dict[str, Any] = {}
    for name in [bases] if isinstance(bases, str) else bases:
        path = CONFIGS / name
        if not path.is_file():
            raise ValueError(f"base config {name!r} is not in {CONFIGS}")
        merged = merge(merged, _resolved(jsonargparse.get_loader("yaml")(path.read_text()), scale))
    return merge(merge(merged, own), (config.get("at_scale") or {}).get(scale, {}))


def merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`low` overlaid with `high`; a `class_path` other than the one below starts afresh."""
    if "class_path" in high and high["class_path"] != low.get("class_path", high["class_path"]):
        return high
    both = {
        key: merge(low[key], value) if isinstance(low.get(key), dict) and isinstance(value, dict) else value
        for key, value in high.items()
    }
    return {**low, **both}


def config_names(arguments: Sequence[str]) -> list[str]:
    """What `arguments` give as --config, in their order."""
    return [value for option, value in _collect(arguments, "--config", "-c")]


def last_given(arguments: Sequence[str], section: str, *keys: str, options: Sequence[str]) -> int | None:
    """The last integer that a command line and its config files give for a key; None where none does.

    Args:
        arguments: of the command.
        section: top-level key of a config, and the option that takes all of it (``--data``).
        keys: from there to the value.
        options: the value's own options (``--data.scale``).
    """
    found = None
    for option, value in _collect(arguments, "--config", "-c", f"--{section}", *options):
        if option in options:
            found = int(value) if value.isdigit() else found  # the parser says what is wrong with it
            continue
        given = load_config(Path(value).read_text() if Path(value).is_file() else value)
        if option != f"--{section}" and isinstance(given, dict):
            given = given.get(section)
        for key in keys:
            given = given.get(key) if isinstance(given, dict) else None
        found = found if given is None else given
    return found


def _collect(arguments: Sequence[str], *options: str) -> list[tuple[str, str]]:
    """The given options and their values, in their order; ``-c`` as ``--config``."""
    found: list[tuple[str, str]] = []

    class Collect(argparse.Action):
        def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
            found.append(("--config" if option == "-c" else str(option), value))

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in options:
        parser.add_argument(option, action=Collect)
    parser.parse_known_args(arguments)
    return found
