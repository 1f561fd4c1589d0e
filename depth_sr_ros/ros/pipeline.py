"""One depth frame in, one high-resolution frame out: metres, guide, method, and the fall back to single depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np

from ..camera import Extrinsics
from ..depth import to_metres
from ..inference.pairing import Frame
from ..inference.upsampler import DepthUpsampler, SolveInfo
from .guidance import GuideError, GuideMaker
from .parameters import Settings

UNMATCHED_BEFORE_HINT = 10
_CHEAP = {
    "max_depth",
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


@dataclass
class Result:
    """What became of a frame.

    Attributes:
        depth: (H * s, W * s) float32 metres, NaN invalid; None when nothing is to be published.
        guided: whether RGB guided it.
        rgb_usable: False when RGB was there but could not serve; None when this frame cannot tell.
        invalid_share: of the input, in [0, 1].
        solve: how the diffusion ended; None when none ran.
        trouble: (kind, text) pairs for the log and the diagnostics.
    """

    depth: np.ndarray | None
    guided: bool = False
    rgb_usable: bool | None = None
    invalid_share: float = 0.0
    solve: SolveInfo | None = None
    trouble: list[tuple[str, str]] = field(default_factory=list)


class Pipeline:
    """Runs the methods that `settings` name; used by one thread at a time.

    Args:
        settings: see `parameters`.
        find_extrinsics: see `GuideMaker`; asked when `settings.extrinsics_from_tf`.

    Raises:
        ValueError: when a method cannot be built (unknown device, missing or unfit weights, ...).
    """

    def __init__(self, settings: Settings, find_extrinsics: Callable[[str, str], Extrinsics] | None = None):
        self._find_extrinsics = find_extrinsics
        options = settings.upsampler_options()
        self.single = self.guided = None
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
        if self.guided is not None:
            self.guided.max_iterations = settings.max_iterations or None
            self.guided.time_budget_s = settings.time_budget_ms / 1000 or None
        self._unmatched = 0

    def fits(self, settings: Settings) -> bool:
        """Whether the methods built here are those that `settings` ask for, so that `adopt` is enough."""
        return all(getattr(self.settings, name) == getattr(settings, name) for name in _REBUILD)

    def warm_up(self) -> None:
        """Run each method once on a tiny image, so that the first frame is not the slow one."""
        depth = np.ones((16, 16), np.float32)
        edge = 16 * self.settings.scale
        if self.single is not None:
            self.single.upsample(depth)
        if self.guided is not None:
            self.guided.upsample(depth, np.zeros((edge, edge, 3), np.uint8))

    def facts(self, guided_share: float | None) -> dict[str, str]:
        """Method, weights, size, device and scale for the diagnostics."""
        running = self.guided if self.guided and (self.single is None or (guided_share or 0) >= 0.5) else self.single
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

    def run(self, frame: Frame) -> Result:
        """Super-resolve `frame`, whose `depth` is a (message, array) pair; see `Result`.

        Raises:
            ValueError, RuntimeError: when the single-depth method itself fails (out of memory, for one).
        """
        message, raw = frame.depth
        depth = to_metres(raw, self.settings.max_depth or np.inf)
        invalid_share = float(np.isnan(depth).mean())
        result = Result(None, invalid_share=invalid_share)
        if invalid_share == 1.0:
            result.trouble.append(
                (
                    "empty",
                    f"a {raw.shape[1]}x{raw.shape[0]} depth image without any valid pixel came, depth within range was "
                    "expected: is the camera covered, too near, or max_depth too small?",
                )
            )
        if self.guided is not None and self._run_guided(frame, message, depth, result):
            return result
        if self.single is None:
            reason = next((text for kind, text in result.trouble if kind in ("guide", "failed")), None)
            reason = reason or f"no RGB came within sync_slop {self.settings.sync_slop} s of the depth image"
            result.trouble = [("unguided", f"mode guided publishes nothing: {reason}")]
            return result
        result.depth = self.single.upsample(depth)
        return result

    def _run_guided(self, frame: Frame, message, depth: np.ndarray, result: Result) -> bool:
        """Fill `result` by the guided method; False when this frame has to do without RGB."""
        if frame.rgb is None:
            self._count_unmatched(frame, result)
            return False
        self._unmatched = 0
        try:
            guide = self._make_guide(depth, message.header.frame_id, frame.info, frame.rgb, frame.rgb_info)
        except GuideError as error:
            # depth without a valid pixel cannot be projected into RGB, which says nothing about RGB
            result.rgb_usable = False if result.invalid_share < 1.0 else None
            result.trouble.append(("guide", str(error)))
            return False
        notice = self._make_guide.distortion_notice(guide, frame.info, frame.rgb_info)
        if notice is not None:
            result.trouble.append(("distortion", notice))
        try:
            result.depth = self.guided.upsample(depth, guide.pixels, guide.seen, frame.stamp, guide.view)
        except (ValueError, RuntimeError) as error:
            result.trouble.append(("failed", f"{self.guided.method} failed on this frame: {error}"))
            return False
        result.solve = self.guided.info
        result.guided = result.rgb_usable = True
        return True

    def _count_unmatched(self, frame: Frame, result: Result) -> None:
        if frame.rgb_gap is None:
            self._unmatched = 0
            return
        self._unmatched += 1
        if self._unmatched >= UNMATCHED_BEFORE_HINT:
            result.trouble.append(
                (
                    "guide",
                    f"RGB arrives, but the stamp nearest to depth is {frame.rgb_gap:.3f} s away and sync_slop is "
                    f"{self.settings.sync_slop} s: synchronise the cameras or raise sync_slop",
                )
            )


def _named(upsampler: DepthUpsampler) -> str:
    weights = f" with weights {upsampler.weights}" if upsampler.weights else ""
    return f"{upsampler.method} x{upsampler.scale}{weights}"
