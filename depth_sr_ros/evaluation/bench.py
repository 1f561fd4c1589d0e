"""`depth-sr bench`: how fast and how exact the methods and the diffusion solver are on this machine, in one run.

Four measurements, each against its rival in the same process: the equilibrium solver against the paper's loop, a frame
of the diffusion methods from a cold and a warm start, the implicit gradient against unrolled back-propagation, and the
time per frame of every method.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from depth_sr_ros.diffusion import EquilibriumInfo, diffuse_adjust, edge_coefficients, solve_equilibrium
from depth_sr_ros.evaluation.bench_tables import print_tables
from depth_sr_ros.files import read_depth, read_guide
from depth_sr_ros.inference.precision import autocast_dtype, fastest_precision
from depth_sr_ros.inference.warm_start import WarmStart
from depth_sr_ros.models import DepthSRModel, create_model, list_models
from depth_sr_ros.models.equilibrium import EquilibriumModel, fill_invalid, upsampled
from depth_sr_ros.resize import block_mean, repeat
from depth_sr_ros.synthetic import default_camera, random_scene
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.choice import load_model

Result = TypeVar("Result")

KAPPA = 0.03  # of RGB in [0, 1]
SMALL, FULL = (240, 320), (480, 640)  # height, width
# Depth (1, 1, H, W) in metres and RGB (1, 3, H, W) in [0, 1].
Pair = tuple[torch.Tensor, torch.Tensor]
# Start, source, cv, ch.
LoopProblem = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
FRESH = "fresh"
"""In place of a weights file's name: random weights."""
SECTIONS = ("equilibrium", "frames", "gradient", "methods")
DIFFUSION = ("dada_rgb", "dada")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `depth-sr bench`."""
    parser.add_argument("--quick", action="store_true", help="smaller images, fewer loop iterations: 10 s, not minutes")
    parser.add_argument("--image", type=Path, metavar="DEPTH", help="a real depth map in place of one synthetic scene")
    parser.add_argument("--guide", type=Path, metavar="RGB", help="its registered colour image, of the same size")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=SECTIONS, help="sections to run (default all)")
    parser.add_argument("--methods", help="comma-separated methods to time (default: all)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: torch's own choice)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def main(args: argparse.Namespace) -> int:
    """Run the sections and print tables or JSON.

    Raises:
        ValueError: an unreadable or unfitting image, an unknown method, or --image without --guide.
    """
    if (args.image is None) != (args.guide is None):
        raise ValueError("--image and --guide belong together: give both or neither")
    methods = args.methods.split(",") if args.methods else list_models()
    unknown = sorted(set(methods) - set(list_models()))
    if unknown:
        raise ValueError(f"unknown method {', '.join(unknown)}: choose from {', '.join(list_models())}")
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no CUDA device here")
    scenes = _Scenes(args.image, args.guide, device, args.quick)
    jobs = {
        "equilibrium": lambda: _equilibrium_rows(scenes, args.quick),
        "frames": lambda: _frame_rows(scenes, [m for m in DIFFUSION if m in methods], args.quick),
        "gradient": lambda: _gradient_rows(scenes, args.quick),
        "methods": lambda: _method_rows(scenes, methods, args.quick),
    }
    totals = {"equilibrium": 9, "frames": None, "gradient": 2, "methods": len(methods)}
    result: dict = {"machine": _machine(device)}
    bars = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bars, console=Console(stderr=True)) as progress, torch.no_grad():
        for section in args.only:
            task = progress.add_task(section, total=totals[section])
            rows = []
            for row in jobs[section]():
                rows.append(row)
                progress.advance(task)
            result[section] = rows
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print_tables(result)
    return 0


class _Scenes:
    """Pairs of (depth (1, 1, H, W) metres with NaN, RGB (1, 3, H, W) in [0, 1]): two synthetic and one more."""

    def __init__(self, image: Path | None, guide: Path | None, device: torch.device, quick: bool = False):
        self.device = device
        self.real: tuple[np.ndarray, np.ndarray] | None = None
        if image is not None and guide is not None:
            depth, rgb = read_depth(image), read_guide(guide)
            if depth.shape != rgb.shape[:2]:
                raise ValueError(f"--guide is {rgb.shape[1]}x{rgb.shape[0]}, --image {depth.shape[1]}x{depth.shape[0]}")
            height, width = SMALL if quick else FULL
            if depth.shape[0] < height or depth.shape[1] < width + 1:
                raise ValueError(
                    f"--image is {depth.shape[1]}x{depth.shape[0]}, the bench needs {width + 1}x{height} or more"
                    + ("" if quick else ": --quick is content with a smaller one")
                )
            self.real = (depth, rgb)
        self.names = ("room", "shapes", "desk" if self.real is None or image is None else image.stem)

    def load(self, name: str, height: int, width: int, frame: int = 0) -> Pair:
        """Frame 0 or 1; the second is 1/30 s later, or the real image shifted by a pixel."""
        if self.real is not None and name == self.names[2]:
            metres, rgb = self.real
            top, left = (metres.shape[0] - height) // 2, (metres.shape[1] - width - 1) // 2 + frame
            metres = metres[top : top + height, left : left + width]
            rgb = rgb[top : top + height, left : left + width]
        else:
            rendered = random_scene(seed=3, kind=name).render(default_camera(width, height), time=frame / 30)
            metres, rgb = rendered.depth, rendered.rgb
        depth = torch.from_numpy(np.ascontiguousarray(metres)).float()[None, None]
        guide = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255
        return depth.to(self.device), guide.to(self.device)

    def problem(self, name: str, scale: int, height: int, width: int, frame: int = 0) -> LoopProblem:
        """Start, source, cv and ch of a solve, float32; the source is the block mean of the valid pixels."""
        depth, guide = self.load(name, height, width, frame)
        source = block_mean(depth, scale)
        return upsampled(fill_invalid(source), scale), source, *edge_coefficients(guide, KAPPA)


def _equilibrium_rows(scenes: _Scenes, quick: bool) -> Iterator[dict]:
    """The solver against the paper's loop, both float32 from the same bicubic start, and against the exact limit."""
    height, width, iterations = (96, 128, 1000) if quick else (*SMALL, 8000)
    for name in scenes.names:
        for scale in (4, 8, 16):
            problem = scenes.problem(name, scale, height, width)
            row = {"scene": name, "scale": scale, "kappa": KAPPA, "size": f"{width}x{height}"}
            yield row | _against_loop(problem, iterations)


def _against_loop(problem: LoopProblem, iterations: int) -> dict:
    start, source, cv, ch = problem
    seen = repeat(torch.isfinite(source), start.shape[-1] // source.shape[-1])
    loop_s, loop = _timed(lambda: diffuse_adjust(*problem, iterations), repeats=1)
    solve_s, (solution, info) = _timed(lambda: solve_equilibrium(*problem, return_info=True), repeats=5)
    limit = solve_equilibrium(*(t.double() for t in (solution, source, cv, ch)), tolerance=1e-8, max_iterations=5000)
    return {
        "loop_iterations": iterations,
        "loop_s": loop_s,
        "solver_s": solve_s,
        "speedup": loop_s / solve_s,
        "solver_iterations": info.iterations,
        "relative_difference": _relative(solution, loop, seen),
        "loop_to_limit": _relative(loop, limit, seen),
        "solver_to_limit": _relative(solution, limit, seen),
    }


def _frame_rows(scenes: _Scenes, methods: list[str], quick: bool) -> Iterator[dict]:
    """A frame of each diffusion method, cold (from its own start) and warm (as in a video, `WarmStart`), s = 8.

    The frame is 1/30 s after the last one with everything in motion (the real image: shifted by a pixel); "still" is
    the last one again with new sensor noise. A method without weights is left out, with the reason: what fresh
    weights see says nothing about iterations.
    """
    (height, width), scale = SMALL if quick else FULL, 8
    for method in methods:
        try:
            loaded = load_model(method, scale)
        except WeightsError as error:
            yield {"method": method, "left_out": str(error)}
            continue
        model = _placed(loaded.model, scenes.device)
        assert isinstance(model, EquilibriumModel)  # `methods` are diffusions
        model.tolerance, model.max_iterations = 1e-3, 1000  # whatever the model's own: until 1e-3, and not earlier
        for name in scenes.names:
            row = {
                "method": method,
                "weights": loaded.weights,
                "scene": name,
                "scale": scale,
                "output": f"{width}x{height}",
            }
            yield row | _cold_and_warm(model, *(scenes.load(name, height, width, frame) for frame in (0, 1)))


def _cold_and_warm(model: EquilibriumModel, previous: Pair, current: Pair) -> dict:
    """Seconds of a whole frame (coefficients, solve, bounds), iterations, and the LR consistency of the cold frame."""
    first, second = (block_mean(depth, model.scale) for depth, _ in (previous, current))
    last = model.solve(model.prepare(first, previous[1]))[0]

    def frame(source: torch.Tensor, guide: torch.Tensor, after_last: bool) -> tuple[torch.Tensor, EquilibriumInfo]:
        video = WarmStart()
        if after_last:
            video.keep(0.0, None, first, last)
        problem = model.prepare(source, guide)
        warm_start = video.offer(1 / 30, None, source, problem.start)
        solution, info = model.solve(problem, warm_start=warm_start)
        return model.finish(solution, problem), info

    cold_s, (output, cold) = _timed(lambda: frame(second, current[1], False), repeats=3)
    warm_s, (_, warm) = _timed(lambda: frame(second, current[1], True), repeats=3)
    still = frame(_with_sensor_noise(first), previous[1], True)[1]
    return {
        "cold_s": cold_s,
        "warm_s": warm_s,
        "cold_iterations": cold.iterations,
        "warm_iterations": warm.iterations,
        "still_iterations": still.iterations,
        "warm_start_taken": "yes" if warm.warm is not None and bool(warm.warm.all()) else "no",
        "relative_residual": float(cold.relative_residual.max()),
        "lr_error": _lr_error(output, second, model.scale),
    }


def _gradient_rows(scenes: _Scenes, quick: bool) -> Iterator[dict]:
    """One training step (forward, backward), each scheme in a process of its own so that its peak memory is its own."""
    size, unrolled = (64, 256) if quick else (128, 1024)
    context = multiprocessing.get_context("spawn")
    problems = [[t.cpu().numpy() for t in scenes.problem("room", 8, side, side)] for side in (32, size)]
    for scheme in ("implicit", "unrolled"):
        with context.Pool(1) as pool:
            seconds, peak = pool.apply(_gradient_step, (scheme, *problems, unrolled, torch.get_num_threads()))
        yield {
            "scheme": scheme if scheme == "implicit" else f"unrolled, {unrolled} iterations",
            "crop": f"{size}x{size}",
            "seconds": seconds,
            "peak_MiB": peak,
        }


def _gradient_step(
    scheme: str, small: list[np.ndarray], large: list[np.ndarray], iterations: int, threads: int
) -> tuple[float, float]:
    """Seconds and MiB that one step on `large` adds to a process that has warmed up on `small`."""
    torch.set_num_threads(threads)

    def step(problem: list[np.ndarray], count: int) -> None:
        start, source, cv, ch = (torch.from_numpy(array) for array in problem)
        cv, ch = cv.requires_grad_(), ch.requires_grad_()
        if scheme == "implicit":
            out = solve_equilibrium(start, source, cv, ch, tolerance=1e-3)
        else:
            out = diffuse_adjust(start, source, cv, ch, count)
        (out - start).abs().mean().backward()

    step(small, 2)
    before = _peak_mib(reset=True)
    seconds, _ = _timed(lambda: step(large, iterations), repeats=1)
    return seconds, _peak_mib() - before


def _peak_mib(reset: bool = False) -> float:
    """Peak resident memory of this process; with `reset`, start anew from what is resident now (Linux only)."""
    status = Path("/proc/self/status")
    if status.exists():
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _method_rows(scenes: _Scenes, methods: list[str], quick: bool) -> Iterator[dict]:
    """Time per frame of each method's default size, with the weights that a camera gets ("auto").

    A network that ships none runs with fresh weights, which cost the same; not so a diffusion method, whose iterations
    depend on what its network sees.
    """
    (height, width), scale = SMALL if quick else FULL, 8
    depth, guide = scenes.load("room", height, width)
    depth_lr = block_mean(depth, scale)
    for method in methods:
        try:
            model, _, weights = load_model(method, scale)
        except WeightsError as error:
            torch.manual_seed(0)
            model, weights = create_model(method, scale).eval(), FRESH
            if isinstance(model, EquilibriumModel):
                yield {"method": method, "left_out": str(error)}
                continue
        model = _placed(model, scenes.device)
        source = depth_lr if model.accepts_holes else fill_invalid(depth_lr)
        dtype = autocast_dtype("auto", model, scenes.device)
        with torch.autocast(scenes.device.type, dtype=dtype, enabled=dtype is not None):
            seconds, output = _timed(partial(model, source, guide if model.requires_guide else None), repeats=5)
        parameters = sum(p.numel() for p in model.parameters())
        yield {
            "method": method,
            "size": model.size,
            "scale": scale,
            "output": f"{width}x{height}",
            "parameters": parameters,
            "weights": weights,
            "seconds": seconds,
        } | ({} if weights == FRESH else {"lr_error": _lr_error(output, depth_lr, scale)})


def _placed(model: DepthSRModel, device: torch.device) -> DepthSRModel:
    """The model where and how `DepthUpsampler` runs it: on a CPU channels-last convolutions are faster."""
    memory_format = torch.channels_last if device.type == "cpu" else torch.preserve_format
    return model.to(device, memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub lacks it


def _with_sensor_noise(source: torch.Tensor) -> torch.Tensor:
    """What a still scene's next frame measures: 0.5 % of noise in every LR pixel."""
    noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(0)).to(source)
    return source * (1 + 0.005 * noise)


def _lr_error(output: torch.Tensor, depth_lr: torch.Tensor, scale: int) -> float:
    """Largest |block mean - source| over the range of the source."""
    valid = torch.isfinite(depth_lr)
    extent = depth_lr[valid].max() - depth_lr[valid].min()
    return float(((block_mean(output, scale) - depth_lr)[valid].abs().max() / extent).cpu())


def _relative(image: torch.Tensor, reference: torch.Tensor, seen: torch.Tensor) -> float:
    """Mean relative difference over the pixels of cells that have a source."""
    return float(((image - reference).abs() / reference.abs())[seen].double().mean())


def _timed(work: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """Median wall time in seconds (after one warm-up when repeated) and the last result."""
    times = []
    for index in range(repeats + (repeats > 1)):
        _synchronise()
        began = time.perf_counter()
        result = work()
        _synchronise()
        if repeats == 1 or index:
            times.append(time.perf_counter() - began)
    return statistics.median(times), result


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _machine(device: torch.device) -> dict:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "precision": fastest_precision(device),
    }
