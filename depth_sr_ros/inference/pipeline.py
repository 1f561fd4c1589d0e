"""One depth frame in, one high-resolution frame out: metres, guide, method, and the fall back to single depth."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from .frames import FramePair, FrameResult, Problem, ProblemKind
from .guidance import FindExtrinsics, GuideError, GuideMaker
from .settings import Settings
from .upsampler import DepthUpsampler

UNMATCHED_BEFORE_HINT = 10
"""Frames in a row whose RGB is too far away in time before the user is told."""

_CHEAP = {
    "max_depth",
    "sigma",
    "sync_slop",
    "extrinsics",
    "extrinsics_from_tf",
    "assume_registered",
    "max_iterations",
    "time_budget_ms",
    "publish_points",
    "autostart",
}
_REBUILD = {field.name for field in fields(Settings)} - _CHEAP


class Pipeline:
    """Runs the methods that `settings` name; used by one thread at a time, live and offline.

    Args:
        settings: see `Settings`.
        find_extrinsics: see `GuideMaker`; asked when `settings.extrinsics_from_tf`.

    Raises:
        ValueError: when a method cannot be built (unknown device, missing or unfit weights, ...).
    """

    def __init__(self, settings: Settings, find_extrinsics: FindExtrinsics | None = None):
        self._find_extrinsics = find_extrinsics
        options = settings.upsampler_options()
        self.single: DepthUpsampler | None = None
        self.guided: DepthUpsampler | None = None
        self.choices: list[str] = []
        if settings.mode != "guided":
            method, why = settings.single_method()
            self.single = DepthUpsampler(method, weights=settings.weights_single, **options)
            self.choices.append(f"single depth: {_named(self.single)}, {why}")
        if settings.mode != "single":
            method, why = settings.guided_method()
            options["lr_kernel"] = settings.lr_kernel_of(method)
            self.guided = DepthUpsampler(method, weights=settings.weights_guided, **options)
            self.choices.append(f"with RGB: {_named(self.guided)}, {why}")
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Take over `settings` that need no other method than the ones already built (see `fits`)."""
        self.settings = settings
        self._make_guide = GuideMaker(
            settings.scale,
            settings.extrinsics,
            settings.assume_registered,
            self._find_extrinsics if settings.extrinsics_from_tf else None,
        )
        for upsampler in filter(None, (self.single, self.guided)):
            upsampler.sigma = settings.sigma if settings.sigma >= 0 else None
        if self.guided is not None:
            self.guided.max_iterations = settings.max_iterations or None
            self.guided.time_budget_s = settings.time_budget_ms / 1000 or None
        self._unmatched = 0

    def fits(self, settings: Settings) -> bool:
        """Whether the methods built here are those that `settings` ask for, so that `adopt` is enough."""
        return all(getattr(self.settings, name) == getattr(settings, name) for name in _REBUILD)

    def warm_up(self) -> None:
        """Run each method once on a tiny image, so that the first frame is not the slow one."""
        # a ramp: on constant depth a solver has nothing to level, and its relative residual says nothing
        depth = np.linspace(1, 2, 256, dtype=np.float32).reshape(16, 16)
        edge = 16 * self.settings.scale
        if self.single is not None:
            self.single.upsample(depth)
        if self.guided is not None:
            self.guided.upsample(depth, np.zeros((edge, edge, 3), np.uint8))

    def running(self, guided_share: float | None) -> DepthUpsampler:
        """The method that most frames go through, where `guided_share` of them are guided (None: no frame yet)."""
        if self.single is None or (self.guided is not None and (guided_share or 0) >= 0.5):
            assert self.guided is not None, "each mode has a method"
            return self.guided
        return self.single

    def facts(self, guided_share: float | None) -> dict[str, str]:
        """Method, weights, size, device and scale for the diagnostics."""
        running = self.running(guided_share)
        return {
            "mode": self.settings.mode,
            "scale": str(self.settings.scale),
            "method": running.method,
            "weights": running.weights or "none",
            "method_single": self.single.method if self.single else "none",
            "method_guided": self.guided.method if self.guided else "none",
            "device": str(running.device),
            "size": running.size,
        }

    def run(self, pair: FramePair) -> FrameResult:
        """Super-resolve a depth image, with the RGB that was paired with it where that can guide.

        Raises:
            ValueError, RuntimeError: when the single-depth method itself fails (out of memory, for one).
        """
        depth = pair.depth.metres(self.settings.max_depth or np.inf)
        result = FrameResult(None, invalid_share=float(np.isnan(depth).mean()))
        if result.invalid_share == 1.0:
            result = _with_problem(
                result,
                ProblemKind.EMPTY,
                f"depth image of {pair.depth.width}x{pair.depth.height} without any valid pixel: expected depth within "
                "range; is the camera covered, too near, or max_depth too small?",
            )
        if self.guided is not None:
            result = self._run_guided(self.guided, pair, depth, result)
        if result.guided:
            return result
        if self.single is not None:
            return replace(result, depth=self.single.upsample(depth))
        kinds = (ProblemKind.GUIDE, ProblemKind.FAILED)
        reason = next((problem.text for problem in result.problems if problem.kind in kinds), None)
        reason = reason or f"no RGB within sync_slop {self.settings.sync_slop} s of the depth image"
        unguided = Problem(ProblemKind.UNGUIDED, f"mode guided publishes nothing: {reason}")
        return replace(result, problems=(unguided,))

    def _run_guided(
        self, method: DepthUpsampler, pair: FramePair, depth: np.ndarray, result: FrameResult
    ) -> FrameResult:
        """`result` with the guided method's output, or with why this frame has to do without RGB."""
        if pair.rgb is None:
            return self._count_unmatched(pair, result)
        self._unmatched = 0
        try:
            guide = self._make_guide(pair, depth)
        except GuideError as error:
            # depth without a valid pixel cannot be projected into RGB, which says nothing about RGB
            result = replace(result, rgb_usable=False if result.invalid_share < 1.0 else None)
            return _with_problem(result, ProblemKind.GUIDE, str(error))
        assert pair.depth_info is not None and pair.rgb_info is not None  # without them there is no guide
        notice = self._make_guide.distortion_notice(guide, pair.depth_info, pair.rgb_info)
        if notice is not None:
            result = _with_problem(result, ProblemKind.DISTORTION, notice)
        try:
            output = method.infer(depth, guide.pixels, guide.seen, pair.depth.stamp, guide.view)
        except (ValueError, RuntimeError) as error:
            return _with_problem(result, ProblemKind.FAILED, f"{method.method} failed on this frame: {error}")
        if (text := method.unconverged(output)) is not None:
            result = _with_problem(result, ProblemKind.UNCONVERGED, text)
        return replace(result, depth=output.depth, solve=output.solve, guided=True, rgb_usable=True)

    def _count_unmatched(self, pair: FramePair, result: FrameResult) -> FrameResult:
        if pair.rgb_gap is None:
            self._unmatched = 0
            return result
        self._unmatched += 1
        if self._unmatched < UNMATCHED_BEFORE_HINT:
            return result
        return _with_problem(result, ProblemKind.GUIDE, unmatched_hint(pair.rgb_gap, self.settings.sync_slop))


def unmatched_hint(gap: float, slop: float) -> str:
    """Why RGB that arrives pairs with no depth image; both in seconds."""
    return (
        f"RGB arrives, but the stamp nearest to depth is {gap:.3f} s away: expected at most sync_slop {slop} s; "
        "synchronise the cameras or raise sync_slop"
    )


def _with_problem(result: FrameResult, kind: ProblemKind, text: str) -> FrameResult:
    return replace(result, problems=(*result.problems, Problem(kind, text)))


def _named(upsampler: DepthUpsampler) -> str:
    weights = f" with weights {upsampler.weights}" if upsampler.weights else ""
    return f"{upsampler.method} x{upsampler.scale}{weights}"
