"""The command `depth-sr`: upsample one depth map, replay a recording, benchmark, list or import networks, demo.

Exit codes: 0 done, 1 the work failed (no node, a node that died), 2 bad input, 128 + N ended by signal N.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from depth_sr_ros.choices import ADJUSTMENTS, CONSTRAINT_KERNELS, PRECISIONS, SIZES
from depth_sr_ros.inference.process import keep_freed_memory, let_threads_sleep
from depth_sr_ros.zoo import import_weights

if TYPE_CHECKING:
    from rich.progress import TaskID

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Everything heavy (torch, rosbags, matplotlib) is imported by the command that needs it: --help must not wait.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    let_threads_sleep()
    keep_freed_memory()
    parser = build_parser(with_bench=argv[:1] == ["bench"])
    args = parser.parse_args([_told_from_options(word) for word in argv])
    try:
        with _ended_by_signals(), _warnings_in_one_line(args.command):
            result = args.run(args)
            sys.stdout.flush()  # a reader that has gone shows here at the latest, not while Python exits
    except BrokenPipeError:
        # `depth-sr models | head`: what was not read was not wanted; nothing may be flushed there at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as rich does when it prints the table
    except KeyboardInterrupt:
        print("depth-sr: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        code = 1 if isinstance(error, RuntimeError) else 2
        if args.json:
            print(json.dumps({"error": str(error)}))
        print(f"depth-sr {args.command}: error: {error}", file=sys.stderr)
        return code
    return result or 0


def _told_from_options(word: str) -> str:
    """`word`, or " -1e-3" for "-1e-3": negative numbers that argparse takes for options in Python before 3.14."""
    return f" {word}" if re.fullmatch(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", word, re.IGNORECASE) else word


@contextmanager
def _warnings_in_one_line(command: str) -> Iterator[None]:
    """Show Python warnings on standard error without the source line that raised them."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"depth-sr {command}: warning: {message}", file=sys.stderr)
        yield


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal unwind the stack: the node that replay and demo start is ended on the way."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = [signal.signal(number, lambda number, _: sys.exit(128 + number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def build_parser(with_bench: bool = False) -> argparse.ArgumentParser:
    """The argument parser; `with_bench` also adds the options of `bench`, which costs the import of torch."""
    parser = argparse.ArgumentParser(prog="depth-sr", description="High-resolution depth from depth cameras.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_upsample(commands)
    _add_replay(commands)
    _add_demo(commands)
    _add_models(commands)
    _add_import_weights(commands)
    bench = commands.add_parser("bench", help="measure speed and accuracy on this machine", add_help=with_bench)
    if with_bench:
        from depth_sr_ros.evaluation import bench as benchmark

        benchmark.add_arguments(bench)
        bench.set_defaults(run=benchmark.main)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def _add_weights(parser: argparse.ArgumentParser) -> None:
    text = "auto: what serves a camera (default); clean: for MATLAB bicubic LR; a bundled variant's name; or a "
    parser.add_argument("--weights", default="auto", help=f"{text}.safetensors file")


def _add_lr_kernel(parser: argparse.ArgumentParser) -> None:
    text = (
        "what diffusion methods (dada, dada_rgb) compare the result with (default: what the weights were trained for)"
    )
    parser.add_argument("--lr-kernel", choices=CONSTRAINT_KERNELS, help=text)


def _add_sigma(parser: argparse.ArgumentParser) -> None:
    text = "noise of depth in metres, for methods that take it; 0: none (default: estimated from the input)"
    parser.add_argument("--sigma", type=float, help=text)


def _add_upsample(commands: Commands) -> None:
    p = commands.add_parser("upsample", help="super-resolve one depth map")
    p.add_argument("input", metavar="IN", type=Path, help="16-bit PNG (mm), .npy, .tiff or .pfm (float32 metres)")
    p.add_argument("--guide", type=Path, metavar="RGB", help="colour image in the depth view, SCALE times as large")
    p.add_argument("--scale", type=int, default=4, help="upsampling factor (default 4)")
    p.add_argument("--method", help="see 'depth-sr models'; default: that of --weights, else the best for the input")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".png (mm), .npy, .tiff or .pfm")
    p.add_argument("--size", choices=SIZES, help="size of the network (default: lite where it exists)")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default auto)")
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of networks; auto: float16 on CUDA, bfloat16 on a CPU that computes in it, else float32 (default auto)",
    )
    _add_weights(p)
    p.add_argument("--consistent", action="store_true", help="make the output's block mean equal the input")
    text = "with --consistent: shift or scale the pixels of a cell (default additive)"
    p.add_argument("--consistent-adjustment", choices=ADJUSTMENTS, default="additive", help=text)
    _add_lr_kernel(p)
    _add_sigma(p)
    p.add_argument("--fill-holes", action="store_true", help="estimate depth where the input has none")
    p.add_argument("--tile", type=int, metavar="N", help="work in tiles of N input pixels (saves memory)")
    _add_json(p)
    p.set_defaults(run=_upsample)


def _add_replay(commands: Commands) -> None:
    p = commands.add_parser("replay", help="play a recording and score the result")
    p.add_argument("bag", metavar="BAG", type=Path, help="rosbag2 folder, its .mcap or .db3 file, or a rosbag1")
    p.add_argument("--list", action="store_true", help="print the topics of BAG, which are used and why; play nothing")
    p.add_argument("--live", action="store_true", help="through the real node over DDS (default: offline)")
    p.add_argument("--external", action="store_true", help="with --live: use the node that already runs")
    p.add_argument("--namespace", default="", help="with --live: ROS namespace of the node")
    p.add_argument("--rate", type=float, default=1.0, help="with --live: playing speed (default 1)")
    p.add_argument("-o", "--out", type=Path, metavar="DIR", help="folder for metrics.json, panel.png")
    p.add_argument("--method", default="auto", help="auto, single, guided or a network's name (default auto)")
    p.add_argument("--scale", type=int, default=4, help="upsampling factor (default 4)")
    text = "RGB is registered to depth although their frame_ids differ"
    p.add_argument("--assume-registered", action="store_true", help=text)
    text = "depth to RGB camera, optical frames, metres and quaternion (default: the pair is registered)"
    p.add_argument("--extrinsics", type=float, nargs=7, metavar=("X", "Y", "Z", "QX", "QY", "QZ", "QW"), help=text)
    _add_lr_kernel(p)
    _add_sigma(p)
    for role, text in (
        ("depth", "depth images"),
        ("depth-info", "their camera_info"),
        ("rgb", "colour images"),
        ("rgb-info", "their camera_info"),
        ("truth", "high-resolution depth to score against"),
    ):
        p.add_argument(f"--{role}-topic", metavar="TOPIC", help=f"{text}; '' for none (default: see --list)")
    _add_json(p)
    p.set_defaults(run=_replay)


def _add_demo(commands: Commands) -> None:
    p = commands.add_parser("demo", help="a synthetic recording (or yours) through the real node")
    p.add_argument("--bag", default="", help="recording to play instead of the synthetic one")
    p.add_argument("--out", type=Path, default=Path("demo_out"), metavar="DIR", help="default demo_out")
    p.add_argument("--method", default="auto", help="auto, single, guided or a network's name (default auto)")
    p.add_argument("--scale", type=int, default=4, help="upsampling factor (default 4)")
    _add_json(p)
    p.set_defaults(run=_demo)


def _add_models(commands: Commands) -> None:
    p = commands.add_parser("models", help="list the networks, their sizes, scales and bundled weights")
    p.add_argument("--markdown", action="store_true", help="print docs/model_zoo.md: a row per weights file")
    _add_json(p)
    p.set_defaults(run=_models)


def _add_import_weights(commands: Commands) -> None:
    p = commands.add_parser("import-weights", help="convert a checkpoint that a paper's authors published")
    import_weights.add_arguments(p)
    p.set_defaults(run=import_weights.main)


def _upsample(args: argparse.Namespace) -> None:
    from depth_sr_ros.depth import valid_mask
    from depth_sr_ros.files import read_depth, read_guide, write_depth
    from depth_sr_ros.inference.upsampler import DepthUpsampler
    from depth_sr_ros.zoo.choice import default_method

    depth = read_depth(args.input)
    guide = None if args.guide is None else read_guide(args.guide)
    network = args.method or default_method(guide is not None, args.scale, args.size, args.weights)[0]
    upsampler = DepthUpsampler(
        network,
        scale=args.scale,
        device=args.device,
        size=args.size,
        precision=args.precision,
        weights=args.weights,
        consistent=args.consistent and args.consistent_adjustment,
        lr_kernel=args.lr_kernel,
        fill_holes=args.fill_holes,
        tile=args.tile,
        sigma=args.sigma,
    )
    start = time.perf_counter()
    with _progress(args) as progress:
        progress(f"{network} x{args.scale}", 0, 1)
        result = upsampler.upsample(depth, guide)
        progress(f"{network} x{args.scale}", 1, 1)
    seconds = time.perf_counter() - start
    result = write_depth(args.output, result)  # what the file holds: the summary must be true of it
    valid = valid_mask(result)
    summary = {
        "output": str(args.output),
        "method": network,
        "weights": upsampler.weights,
        "scale": args.scale,
        "width": result.shape[1],
        "height": result.shape[0],
        "time_s": round(seconds, 4),
        "invalid_share": round(1 - float(valid.mean()), 6),
        "min_m": float(result[valid].min()) if valid.any() else None,
        "max_m": float(result[valid].max()) if valid.any() else None,
    }
    _show(args, summary)


def _replay(args: argparse.Namespace) -> None:
    roles = ("depth", "depth_info", "rgb", "rgb_info", "truth")
    topics = {role: getattr(args, f"{role}_topic") for role in roles}
    if args.list:
        _list_topics(args, topics)
        return
    from depth_sr_ros.replay.evaluate import Replay, replay

    if args.out is None:
        raise ValueError("-o DIR is missing: expected a folder for the results, or --list")
    if args.external and not args.live:
        raise ValueError("--external makes sense with --live only: offline there is no node")
    if args.rate <= 0:
        raise ValueError(f"--rate must be above 0, got {args.rate}")
    settings = Replay(
        args.method,
        args.scale,
        args.live,
        args.external,
        args.namespace,
        args.rate,
        assume_registered=args.assume_registered,
        extrinsics=tuple(args.extrinsics or ()),
        lr_kernel=args.lr_kernel,
        sigma=args.sigma,
    )
    with _progress(args) as progress:
        metrics = replay(args.bag, args.out, settings, progress, **topics)
    _show_metrics(args, metrics)


def _list_topics(args: argparse.Namespace, topics: dict[str, str | None]) -> None:
    from depth_sr_ros.replay.reading import open_bag

    with open_bag(args.bag, **topics) as bag:
        rows, notes = bag.listing(), bag.notes
    if args.json:
        print(json.dumps({"topics": rows, "notes": notes}, indent=2))
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("role", Column("topic", overflow="fold"), "type", "messages", Column("why", overflow="fold"))
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("role", "topic", "type", "messages", "why")))
    Console().print(table)
    for note in notes:
        print(f"note: {note}")


def _demo(args: argparse.Namespace) -> None:
    from depth_sr_ros.replay.demo import run_demo

    with _progress(args) as progress:
        metrics = run_demo(args.bag, args.out, args.method, args.scale, progress)
    _show_metrics(args, metrics)


def _models(args: argparse.Namespace) -> None:
    from depth_sr_ros.zoo.catalogue import catalogue
    from depth_sr_ros.zoo.page import page

    if args.markdown:
        print(page(), end="")
        return
    rows = catalogue()
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Column, Table

    names = Column("bundled weights", overflow="fold")  # one cut short cannot be asked for
    table = Table("method", "input", "scales", "size", "parameters", names, title="Networks")
    for row in rows:
        scales = row["scales"]
        span = f"{scales[0]}-{scales[-1]}" if len(scales) > 8 else ", ".join(map(str, scales))
        for index, (size, count) in enumerate(row["parameters"].items()):
            head = (row["name"], row["input"], span) if index == 0 else ("", "", "")
            weights = ", ".join(w["file"] for w in row["weights"] if w["size"] == size)
            table.add_row(*head, size if count else "-", f"{count:,}" if count else "none needed", weights or "-")
    Console().print(table)


def _show_metrics(args: argparse.Namespace, metrics: dict) -> None:
    if args.json:
        print(json.dumps(metrics, indent=2))
        return
    print(_sentence(metrics))
    if "single" in metrics:
        print(_sentence(metrics["single"]))
    for note in metrics.get("notes", []):
        print(f"  note: {note}")
    print(f"wrote {args.out / 'metrics.json'}" + (f" and {args.out / 'panel.png'}" if metrics["frames_out"] else ""))


def _sentence(metrics: dict) -> str:
    named = f"{metrics['method']} x{metrics['scale']}{_with_weights(metrics)}"
    parts = [f"{named}: {metrics['frames_out']} of {metrics['frames_in']} frames"]
    if metrics["latency_ms_p50"] is not None:
        parts.append(f"latency {metrics['latency_ms_p50']:.0f} ms")
    if metrics["mae_m"] is not None:
        parts.append(f"MAE {1000 * metrics['mae_m']:.2f} mm (bicubic {1000 * metrics['mae_bicubic_m']:.2f} mm)")
    elif metrics.get("lr_consistency_m") is not None:
        parts.append(f"no ground truth; LR consistency {1000 * metrics['lr_consistency_m']:.2f} mm")
    return ", ".join(parts)


def _with_weights(summary: dict) -> str:
    weights = summary.get("weights")
    return f" with weights {weights}" if weights else ""


def _show(args: argparse.Namespace, summary: dict) -> None:
    if args.json:
        print(json.dumps(summary))
        return
    print(
        f"{summary['output']}: {summary['width']}x{summary['height']}, {summary['method']} x{summary['scale']}"
        f"{_with_weights(summary)}, "
        f"{summary['time_s']:.2f} s, {100 * summary['invalid_share']:.1f} % invalid"
    )


@contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on standard error; silent with --json. Yields a callable (what, done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), disable=args.json) as bar:
        tasks: dict[str, TaskID] = {}
        latest: list[str] = []

        def update(what: str, done: int, total: int) -> None:
            # The same step may come twice (the demo's two runs): start it anew when its count falls.
            if latest[-1:] != [what]:
                tasks[what] = bar.add_task(what, total=total)
                latest.append(what)
            bar.update(tasks[what], completed=done, total=total)

        yield update


if __name__ == "__main__":
    sys.exit(main())
