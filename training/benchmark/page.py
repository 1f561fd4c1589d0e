"""``python -m training.benchmark page``: the table and the figure of docs/benchmarks.md, made from `results/`."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from depth_sr_ros.atomic import write_file

from ..markdown_blocks import check_blocks, write_blocks
from .compare import FULL_SIZE
from .results import read_results

BLOCK = "methods"
FIGURE = "benchmarks.svg"
SCALES = ("2", "4", "8", "16")
FIGURE_SCALE = "4"
SHOWN = {
    ("bicubic", "measured"): "depth",
    ("dsrnet (robust)", "measured"): "depth",
    ("dsrnet", "measured"): "depth",
    ("csan", "measured"): "depth",
    ("dada_rgb", "measured"): "depth + RGB",
    ("dada", "measured"): "depth + RGB",
    ("dada (bicubic)", "measured"): "depth + RGB",
    ("bridgenet", "measured"): "depth + RGB",
    ("CTKT DSRNet", "CTKT, table 1"): "depth",
    ("BridgeNet", "BridgeNet, table 1"): "depth + RGB",
    ("MSG-Net", "peer, measured"): "depth + RGB",
    ("PGSR", "peer, measured"): "depth + RGB",
}
"""Method and source of the rows of the table, and what the method takes; the results file has all others."""


LABELS = {"csan": ((-5, 4), "right"), "dsrnet (robust)": ((0, -13), "center")}
"""Where the figure's labels would overlap: offset in points and alignment."""


def page_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark page",
        description=f"Renew the block '{BLOCK}' of a Markdown page and the figure {FIGURE} beside it.",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of CSV files, default results")
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"), help="default docs/benchmarks.md")
    return parser


def page_command(arguments: argparse.Namespace) -> int:
    """Write table and figure; 0 done."""
    check_blocks(arguments.page, [BLOCK])
    write_blocks(arguments.page, {BLOCK: methods_table(arguments.results)})
    draw(arguments.results, arguments.page.with_name(FIGURE))
    print(f"{arguments.page} and {arguments.page.with_name(FIGURE)} written")
    return 0


def methods_table(folder: Path) -> str:
    """MAD on the mean of Books and Laundry by LR kernel and scale, and what the method costs at x4, as Markdown.

    The best measured value of a column is bold.
    """
    scores, costs = _scores(folder), _costs(folder)
    columns = [(kernel, scale) for kernel in ("bicubic", "block_mean") for scale in SCALES]
    best = {column: min(float(cells[column]) for cells in scores.values() if column in cells) for column in columns}
    headings = [f"{'imresize' if kernel == 'bicubic' else 'block mean'} x{scale}" for kernel, scale in columns]
    lines = [
        f"| method | input | {' | '.join(headings)} | time x{FIGURE_SCALE} (s) | parameters x{FIGURE_SCALE} |",
        "| --- | --- |" + " ---: |" * (len(columns) + 2),
    ]
    for (method, source), sees in SHOWN.items():
        cells = scores.get((method, source), {})
        texts = [cells.get(column, "-") for column in columns]
        if source == "measured":
            texts = [f"**{text}**" if _is(text, best[column]) else text for text, column in zip(texts, columns)]
        cost = costs.get(method) if source == "measured" else None
        texts += ["-", "-"] if cost is None else [cost["seconds"], f"{int(cost['parameters']):,}"]
        name = f"`{method}`" if source == "measured" else f"{method} ({source})"
        lines.append("| " + " | ".join([name, sees, *texts]) + " |")
    return "\n".join(lines)


def draw(folder: Path, path: Path) -> None:
    """Error against time at x4, one panel per LR kernel, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    scores, costs = _scores(folder), _costs(folder)
    titles = {"block_mean": "LR by block mean, as a depth camera", "bicubic": "LR by MATLAB's imresize, as the papers"}
    # text stays text, and two runs give the same file
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9}):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
        for axis, (kernel, title) in zip(axes, titles.items()):
            lines = iter(("-", "--", "-.", ":"))
            for (method, source), sees in SHOWN.items():
                text = scores.get((method, source), {}).get((kernel, FIGURE_SCALE))
                if text is None or method == "bicubic":
                    continue
                if source != "measured":
                    axis.axhline(float(text), color="0.6", linewidth=1, linestyle=next(lines), label=method, zorder=0)
                    continue
                point = float(costs[method]["seconds"]), float(text)
                axis.plot(*point, marker="o" if sees == "depth" else "s", color="C0" if sees == "depth" else "C1")
                offset, side = LABELS.get(method, ((5, 4), "left"))
                axis.annotate(method, point, offset, textcoords="offset points", horizontalalignment=side)
            axis.set(xscale="log", xlim=(0.15, 8), title=title, xlabel="seconds per full-size image")
            axis.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
            axis.minorticks_off()
        axes[0].set_ylabel(f"MAD at x{FIGURE_SCALE}, 8-bit disparity levels")
        if axes[1].get_legend_handles_labels()[0]:
            axes[1].legend(loc="upper right", fontsize=8, frameon=False)
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
        write_file(path, picture.getvalue())
        plt.close(figure)


def _scores(folder: Path) -> dict[tuple[str, str], dict[tuple[str, str], str]]:
    """Mean of Books and Laundry by (method, source) and (LR kernel, scale), digits as in the file."""
    found: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for row in read_results(folder, FULL_SIZE)[0]:
        if row["mean"]:
            cells = found.setdefault((row["method"], row["source"]), {})
            cells[row["lr_kernel"], row["scale"]] = row["mean"]
    return {key: cells for key, cells in found.items() if key in SHOWN}


def _costs(folder: Path) -> dict[str, dict[str, str]]:
    return {row["method"]: row for row in read_results(folder, "cost")[0] if row["scale"] == FIGURE_SCALE}


def _is(text: str, best: float) -> bool:
    return text != "-" and float(text) == best
