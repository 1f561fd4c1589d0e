"""What passes through the pipeline: images with their stamps, pairs of them, and what became of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from ..depth import from_metres, to_metres
from .calibration import Calibration, seconds


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A depth image as the camera sent it.

    Attributes:
        stamp_ns: header.stamp in nanoseconds.
        frame_id: optical frame of the depth camera.
        pixels: (H, W) uint16 millimetres (0 invalid) or float32 metres (NaN invalid), as REP 118 has it; may be a
            read-only view of the message's memory.
    """

    stamp_ns: int
    frame_id: str
    pixels: np.ndarray

    @property
    def stamp(self) -> float:
        """header.stamp in seconds."""
        return seconds(self.stamp_ns)

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    def metres(self, max_depth: float = np.inf) -> np.ndarray:
        """(H, W) float32 metres, NaN invalid, also beyond `max_depth` metres."""
        return to_metres(self.pixels, max_depth)

    def encode(self, depth: np.ndarray) -> np.ndarray:
        """`depth`, float32 metres of any size with NaN, in the type and unit of `pixels`."""
        return from_metres(depth, self.pixels.dtype)


@dataclass(frozen=True, eq=False)
class ColourImage:
    """A colour image that is decoded when it is needed: most encodings cost nothing, Bayer and YUV do.

    Attributes:
        stamp_ns: header.stamp in nanoseconds.
        frame_id: optical frame of the colour camera.
        width, height: in pixels, as the message says.
        encoding: as the message says.
        decode: returns (height, width, 3) uint8 RGB; raises ValueError when the message is damaged or of an
            unsupported encoding.
    """

    stamp_ns: int
    frame_id: str
    width: int
    height: int
    encoding: str
    decode: Callable[[], np.ndarray] = field(repr=False)

    @property
    def stamp(self) -> float:
        """header.stamp in seconds."""
        return seconds(self.stamp_ns)


@dataclass(frozen=True, eq=False)
class FramePair:
    """A depth image with what was paired with it.

    Attributes:
        depth: the depth image.
        arrival: seconds, on the clock of the pairer.
        depth_info: calibration of the depth camera; None: none has come.
        rgb: the colour image nearest in time; None: none within the slop.
        rgb_info: calibration of the colour camera; None: none has come.
        rgb_gap: seconds to the nearest RGB stamp where RGB arrives but none is within the slop; else None.
    """

    depth: DepthImage
    arrival: float
    depth_info: Calibration | None = None
    rgb: ColourImage | None = None
    rgb_info: Calibration | None = None
    rgb_gap: float | None = None


class Severity(Enum):
    """How bad a problem is for the output.

    NOTE: results are as good as they can be, the user may gain from knowing. WARN: some are worse or fewer than they
    could be. ERROR: nothing comes out.
    """

    NOTE = 0
    WARN = 1
    ERROR = 2


class ProblemKind(Enum):
    """What can go wrong with a frame: (name in counters and logs, severity)."""

    REJECTED = ("rejected", Severity.WARN)
    """A depth image that cannot be read."""
    FAILED = ("failed", Severity.ERROR)
    """A method raised an error."""
    UNGUIDED = ("unguided", Severity.ERROR)
    """Mode guided, and RGB cannot guide this frame: nothing comes out."""
    GUIDE = ("guide", Severity.WARN)
    """RGB is there and cannot guide."""
    CAMERA_INFO = ("camera_info", Severity.WARN)
    """A camera_info is missing or does not fit its image."""
    EMPTY = ("empty", Severity.WARN)
    """No pixel of the depth image is valid."""
    LOOPED = ("looped", Severity.WARN)
    """Stamps jumped back, as those of a looped bag do."""
    UNCONVERGED = ("unconverged", Severity.WARN)
    """The diffusion ended above its tolerance, and no budget of the user's asked for that."""
    DISTORTION = ("distortion", Severity.NOTE)
    """Lens distortion that nothing undoes."""
    DROPPED = ("dropped", Severity.NOTE)
    """Left out for a newer frame."""

    def __init__(self, label: str, severity: Severity):
        self.label = label
        self.severity = severity


class Problem(NamedTuple):
    """Something that went wrong, and a text that says what it is, what was expected and what to do."""

    kind: ProblemKind
    text: str


@dataclass(frozen=True)
class SolveInfo:
    """How the diffusion of one frame ended.

    Attributes:
        iterations: of the solver.
        relative_residual: what is left of the residual, see `diffusion.solve_equilibrium`; the model's tolerance (1e-3
            by default) where nothing ended it sooner.
        warm: whether it began at the solution of the frame before.
        budget_ended: whether `max_iterations` or the time budget ended it before its tolerance.
        converged: whether the residual is at or below the tolerance.
    """

    iterations: int
    relative_residual: float
    warm: bool
    budget_ended: bool
    converged: bool


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What became of a frame.

    Attributes:
        depth: (H * s, W * s) float32 metres, NaN invalid; None when nothing is to be published.
        guided: whether RGB guided it.
        rgb_usable: False when RGB was there but could not serve; None when this frame cannot tell.
        invalid_share: of the input, in [0, 1].
        solve: how the diffusion ended; None when none ran.
        problems: in the order in which they were met.
    """

    depth: np.ndarray | None
    guided: bool = False
    rgb_usable: bool | None = None
    invalid_share: float = 0.0
    solve: SolveInfo | None = None
    problems: tuple[Problem, ...] = ()
