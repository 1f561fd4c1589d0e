"""The tables of `depth-sr bench`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

_COLUMNS = {
    "equilibrium": (
        ("scene", "scene", "{}"),
        ("s", "scale", "{}"),
        ("loop", "loop_s", "{:.2f} s"),
        ("solver", "solver_s", "{:.3f} s"),
        ("times faster", "speedup", "{:.0f}"),
        ("iterations", "solver_iterations", "{}"),
        ("difference", "relative_difference", "{:.1e}"),
        ("loop to limit", "loop_to_limit", "{:.1e}"),
        ("solver to limit", "solver_to_limit", "{:.1e}"),
    ),
    "frames": (
        ("method", "method", "{}"),
        ("scene", "scene", "{}"),
        ("frame, cold", "cold_s", "{:.3f} s"),
        ("frame, warm", "warm_s", "{:.3f} s"),
        ("iterations cold", "cold_iterations", "{}"),
        ("warm", "warm_iterations", "{}"),
        ("last frame's start taken", "warm_start_taken", "{}"),
        ("warm, still", "still_iterations", "{}"),
        ("LR error / range", "lr_error", "{:.1e}"),
    ),
    "gradient": (
        ("scheme", "scheme", "{}"),
        ("crop", "crop", "{}"),
        ("one step", "seconds", "{:.3f} s"),
        ("peak memory", "peak_MiB", "{:.1f} MiB"),
    ),
    "methods": (
        ("method", "method", "{}"),
        ("size", "size", "{}"),
        ("parameters", "parameters", "{:,}"),
        ("weights", "weights", "{}"),
        ("time per frame", "seconds", "{:.3f} s"),
        ("LR error / range", "lr_error", "{:.1e}"),
    ),
}
_TITLES = {
    "equilibrium": "Equilibrium: solver against the paper's loop (mean relative differences)",
    "frames": "Diffusion to a relative residual of 1e-3, s = 8, {output}: a frame from scratch, and after the last one",
    "gradient": "One training step through the equilibrium, s = 8",
    "methods": "Methods, s = 8, {output}",
}


def print_tables(result: dict) -> None:
    """Print each section that `result` has; what was left out stands under its table, with the reason."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    machine = result["machine"]
    console.print(
        f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, load {machine['load']}, "
        f"torch {machine['torch']}, networks in {machine['precision']}, diffusions in float32"
    )
    for section, columns in _COLUMNS.items():
        if section not in result:
            continue
        rows = [row for row in result[section] if "left_out" not in row]
        title = _TITLES[section].format(output=rows[0].get("output") if rows else "nothing to run")
        if section == "equilibrium":
            row = rows[0]
            title += f", {row['size']}, {row['loop_iterations']} loop iterations, kappa {row['kappa']}, float32"
        table = Table(title=title)
        for heading, key, _ in columns:
            table.add_column(heading, justify="left" if key in ("scene", "method", "scheme") else "right")
        for row in rows:
            table.add_row(*(form.format(row[key]) if row.get(key) is not None else "" for _, key, form in columns))
        console.print(table)
        for row in result[section]:
            if "left_out" in row:
                console.print(f"{row['method']} left out: {row['left_out']}")
