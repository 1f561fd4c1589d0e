"""config/depth_sr.yaml and docs/parameters.md, made from the table of parameters in `settings`.

`python -m depth_sr_ros.inference.parameter_files` in the root of the repository writes both.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from ..atomic import write_files
from .settings import ParameterSpec, Value, parameter_table

CONFIG, PAGE = Path("config") / "depth_sr.yaml", Path("docs") / "parameters.md"
COMMAND = "python -m depth_sr_ros.inference.parameter_files"
WIDTH = 120
INTRODUCTION = (
    "Of the node `sr_node`. Set them in a file (`params_file:=mine.yaml`; start with `config/depth_sr.yaml`), "
    "as a launch argument where there is one ([ROS node](ros.md#launch-files)), or live with `ros2 param "
    "set /depth_sr NAME VALUE`. A value that does not fit is refused with the reason, and the old one stays."
)


def yaml_text() -> str:
    """The parameter file with every default, each under a comment with its meaning."""
    lines = [
        "# Every parameter of the node `sr_node`, with its default. Copy this file, keep what you change, and pass it:",
        "#   ros2 launch depth_sr_ros sr.launch.py params_file:=mine.yaml",
        "# `ros2 param set /depth_sr NAME VALUE` changes one live; a value that does not fit is refused.",
        f"# Made by `{COMMAND}`: change depth_sr_ros/inference/settings.py instead.",
        "/**:",
        "  ros__parameters:",
    ]
    for spec in parameter_table():
        text = ". ".join(filter(None, [_capital(spec.description), _limits(spec), _read_only(spec)])) + "."
        lines += textwrap.wrap(text, WIDTH, initial_indent="    # ", subsequent_indent="    # ")
        lines += [f"    {spec.name}: {_literal(spec.default)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def markdown_text() -> str:
    """The page with a row per parameter."""
    lines = ["# Parameters", "", *textwrap.wrap(INTRODUCTION, WIDTH), ""]
    lines += ["| parameter | type | default | values | meaning |", "| --- | --- | --- | --- | --- |"]
    for spec in parameter_table():
        default = f"`{_literal(spec.default)}`"
        cells = [f"`{spec.name}`", _type(spec.default), default, _limits(spec), _meaning(spec)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", f"Made by `{COMMAND}`."]) + "\n"


def _meaning(spec: ParameterSpec) -> str:
    return ". ".join(filter(None, [spec.description, _read_only(spec)]))


def _read_only(spec: ParameterSpec) -> str:
    return "Read once, when the node starts" if spec.read_only else ""


def _limits(spec: ParameterSpec) -> str:
    if spec.choices:
        return "One of " + ", ".join(spec.choices)
    return "" if spec.minimum is None else f"From {spec.minimum:g} to {spec.maximum:g}"


def _type(default: Value) -> str:
    return (
        "double array"
        if isinstance(default, tuple)
        else {float: "double", str: "string"}.get(type(default), type(default).__name__)
    )


def _literal(default: Value) -> str:
    """As YAML writes it."""
    if isinstance(default, tuple):
        return str(list(default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _capital(text: str) -> str:
    return text if text.startswith("auto") else text[0].upper() + text[1:]  # auto is a value, which keeps its case


def main() -> int:
    """Write both files; 0 done, 2 not in the root of the repository."""
    if not (CONFIG.parent.is_dir() and PAGE.parent.is_dir()):
        print(f"no {CONFIG.parent}/ and {PAGE.parent}/ here: run this in the root of the repository", file=sys.stderr)
        return 2
    write_files([(CONFIG, yaml_text()), (PAGE, markdown_text())])
    print(f"{CONFIG} and {PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
