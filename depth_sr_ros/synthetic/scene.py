"""Ray-cast RGB-D scenes: exact depth, shaded colour and what an active depth camera needs to know.

World and camera frames are optical (REP 103): x right, y down, z forward, metres. `Scene.render(camera, time)`
is deterministic; bodies and the camera move smoothly with time, so that a list of times makes a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.synthetic.shapes import Shape
from depth_sr_ros.synthetic.texture import Texture

Covering = Texture | dict[str, Texture]
"""What covers a body: see `Body`."""

_NEAR = 0.05  # metres; a body that reaches closer to the camera is tested in every pixel


@dataclass(frozen=True)
class Motion:
    """A smooth swing about the rest position: offset(t) = amplitude * sin(2 pi t / period + phase).

    Attributes:
        amplitude: (3,) metres.
        period: seconds.
        phase: radians.
    """

    amplitude: tuple[float, float, float] = (0.0, 0.0, 0.0)
    period: float = 4.0
    phase: float = 0.0

    def offset(self, time: float) -> np.ndarray:
        return np.asarray(self.amplitude) * np.sin(2 * np.pi * time / self.period + self.phase)


@dataclass(frozen=True)
class Body:
    """A shape somewhere in the world.

    Attributes:
        shape: see `shapes`.
        texture: one for the whole surface, or for boxes and rooms a dict from outward axis (0 x, 1 y, 2 z, with
            sign as "+y" or "-y") to texture, with "" for the remaining faces.
        centre: (3,) metres at rest.
        rotation: (3, 3), shape frame to world.
        motion: swing about `centre`.
        gloss: strength of the highlight, 0 (matt) to 1. Highlights also blind an active depth camera.
    """

    shape: Shape
    texture: Covering
    centre: np.ndarray
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    motion: Motion = Motion()
    gloss: float = 0.0


@dataclass(frozen=True)
class Light:
    """A point light: position (3,) metres, colour (3,) relative power; the power halves at `reach` metres."""

    position: np.ndarray
    colour: np.ndarray
    reach: float = 3.0


@dataclass(frozen=True)
class Frame:
    """One rendered picture; all arrays (H, W, ...).

    Attributes:
        depth: float32 metres along the camera's Z axis, exact at pixel centres; NaN where nothing was hit.
        rgb: uint8 (H, W, 3).
        incidence: float32 cosine of the angle between viewing ray and surface normal, 0 to 1.
        infrared: float32 reflectance in the near infrared, 0 to 1.
        gloss: float32 highlight strength towards the camera, 0 to 1.
        body: int16 index of the body, -1 where nothing was hit.
        camera: intrinsics of the picture.
        time: seconds.
    """

    depth: np.ndarray
    rgb: np.ndarray
    incidence: np.ndarray
    infrared: np.ndarray
    gloss: np.ndarray
    body: np.ndarray
    camera: Intrinsics
    time: float


@dataclass(frozen=True)
class Scene:
    """Bodies, lights and a camera path.

    Attributes:
        bodies: what can be seen.
        lights: point lights; each casts shadows.
        ambient: (3,) light that comes from everywhere.
        exposure: factor from radiance to the linear picture value 1.
        pitch: camera's downward tilt, radians.
        sway: camera's translation swing.
        turn: amplitude (pitch, yaw, roll) of its rotation swing, radians.
        seed: seeds the colour noise.
    """

    bodies: Sequence[Body]
    lights: Sequence[Light]
    ambient: np.ndarray
    exposure: float = 1.0
    pitch: float = 0.0
    sway: Motion = Motion()
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seed: int = 0

    def pose(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Camera to world at `time` (s): rotation (3, 3) and position (3,)."""
        swing = np.sin(2 * np.pi * time / self.sway.period + self.sway.phase + np.array([0.7, 0.0, 1.9]))
        pitch, yaw, roll = np.asarray(self.turn) * swing
        return rotation(-self.pitch - pitch, yaw, roll), self.sway.offset(time)

    def render(
        self,
        camera: Intrinsics,
        time: float = 0.0,
        *,
        shadows: bool = True,
        blur: float = 0.5,
        noise: float = 0.006,
    ) -> Frame:
        """Cast one ray per pixel centre.

        Args:
            camera: intrinsics; the picture is camera.height x camera.width.
            time: seconds.
            shadows: let the lights cast shadows.
            blur: standard deviation of the lens blur, pixels; 0 leaves hard stairs at edges.
            noise: standard deviation of the colour noise at mid grey, as a fraction of the full range.
        """
        turn, position = self.pose(time)
        view = _View(camera, turn, position)
        depth, body = view.cast(self.bodies, time)
        rays = view.directions(turn.T)
        points = position + rays * np.where(np.isfinite(depth), depth, 0)[:, None]
        viewing = rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]
        surface = _Surface.gather(self.bodies, body, points, viewing, depth / camera.fx, time)
        radiance, highlight = self._shade(points, viewing, surface, body, time, shadows)
        shape = (camera.height, camera.width)
        picture = _develop(radiance.reshape(*shape, 3) * self.exposure, blur, noise, (self.seed, time))
        depth = np.where(np.isfinite(depth), depth, np.nan).astype(np.float32)
        return Frame(
            depth.reshape(shape),
            picture,
            surface.incidence.reshape(shape),
            surface.infrared.reshape(shape),
            highlight.reshape(shape),
            body.reshape(shape).astype(np.int16),
            camera,
            float(time),
        )

    def exposed(self, camera: Intrinsics, brightness: float = 0.6) -> Scene:
        """The same scene with `exposure` set so that the mean linear value at time 0 is near `brightness`."""
        small = camera.resized(80, max(round(80 * camera.height / camera.width), 1))
        picture = replace(self, exposure=1.0).render(small, shadows=False, blur=0, noise=0).rgb
        linear = (picture.astype(np.float32) / 255) ** 2.2
        return replace(self, exposure=float(np.clip(brightness**2.2 / max(linear.mean(), 1e-3), 0.2, 8)))

    def _shade(
        self,
        points: np.ndarray,
        viewing: np.ndarray,
        surface: _Surface,
        body: np.ndarray,
        time: float,
        shadows: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lambert and Blinn-Phong: radiance (N, 3) and highlight strength (N,)."""
        light_sum = np.broadcast_to(np.asarray(self.ambient, np.float32), (len(points), 3)).copy()
        highlight = np.zeros(len(points), np.float32)
        for light in self.lights:
            towards = (np.asarray(light.position) - points).astype(np.float32)
            distance = np.sqrt(np.einsum("ij,ij->i", towards, towards)) + 1e-6
            towards /= distance[:, None]
            facing = np.maximum(np.einsum("ij,ij->i", towards, surface.normal), 0)
            power = facing / (1 + (distance / light.reach) ** 2)
            if shadows:
                power *= ~_in_shadow(self.bodies, np.asarray(light.position), points, body, facing > 0, time)
            light_sum += power[:, None] * np.asarray(light.colour, np.float32)
            if surface.gloss.any():
                half = towards - viewing.astype(np.float32)
                half /= np.linalg.norm(half, axis=1, keepdims=True) + 1e-6
                shine = np.maximum(np.einsum("ij,ij->i", half, surface.normal), 0) ** 60
                highlight += surface.gloss * shine * (power > 0)
        return surface.albedo * light_sum + highlight[:, None], np.minimum(highlight, 1)


def rotation(pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation matrix Ry(yaw) Rx(pitch) Rz(roll), angles in radians, optical axes (x right, y down, z forward)."""
    cx, sx, cy, sy, cz, sz = (f(a) for a in (pitch, yaw, roll) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


WHOLE = slice(None), slice(None)
"""The window of all pixels."""


class _View:
    """A camera in the world; casts its rays on bodies, each only where it can be seen."""

    def __init__(self, camera: Intrinsics, turn: np.ndarray, position: np.ndarray):
        self.camera, self.turn, self.position = camera, turn, position
        self.x = (np.arange(camera.width) - camera.cx) / camera.fx
        self.y = (np.arange(camera.height) - camera.cy) / camera.fy

    def directions(self, matrix: np.ndarray, window: tuple[slice, slice] = WHOLE) -> np.ndarray:
        """Rays (x, y, 1) of the window's pixels times `matrix` (3, 3): (N, 3)."""
        rows, columns = window
        from_x = self.x[columns, None] * matrix[0]
        from_y = self.y[rows, None] * matrix[1] + matrix[2]
        return (from_x[None, :] + from_y[:, None]).reshape(-1, 3)

    def cast(self, bodies: Sequence[Body], time: float) -> tuple[np.ndarray, np.ndarray]:
        """Depth (N,) with inf for a miss, and the index (N,) of the body hit, -1 for none."""
        shape = (self.camera.height, self.camera.width)
        depth, index = np.full(shape, np.inf), np.full(shape, -1)
        for number, body in enumerate(bodies):
            centre = body.centre + body.motion.offset(time)
            window = self._window(body, centre)
            if window is None:
                continue
            directions = self.directions(self.turn.T @ body.rotation, window)
            origin = (self.position - centre) @ body.rotation
            t = body.shape.hit(origin, directions).reshape(depth[window].shape)
            closer = t < depth[window]
            depth[window][closer] = t[closer]
            index[window][closer] = number
        return depth.ravel(), index.ravel()

    def _window(self, body: Body, centre: np.ndarray) -> tuple[slice, slice] | None:
        """Rows and columns that can show the body; None when it is out of sight."""
        camera, half = self.camera, body.shape.bounds()
        if half is None:
            return WHOLE
        corners = np.stack(np.meshgrid(*([-h, h] for h in half)), axis=-1).reshape(-1, 3)
        corners = (corners @ body.rotation.T + centre - self.position) @ self.turn
        z = corners[:, 2]
        if z.max() < _NEAR:
            return None
        if z.min() < _NEAR:
            return WHOLE
        u = corners[:, 0] / z * camera.fx + camera.cx
        v = corners[:, 1] / z * camera.fy + camera.cy
        left, right = max(int(np.floor(u.min())), 0), min(int(np.ceil(u.max())) + 1, camera.width)
        top, bottom = max(int(np.floor(v.min())), 0), min(int(np.ceil(v.max())) + 1, camera.height)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


@dataclass
class _Surface:
    """What was hit, per pixel: albedo (N, 3), normal (N, 3), incidence, infrared, gloss (N,), all float32."""

    albedo: np.ndarray
    normal: np.ndarray
    incidence: np.ndarray
    infrared: np.ndarray
    gloss: np.ndarray

    @classmethod
    def gather(
        cls,
        bodies: Sequence[Body],
        body: np.ndarray,
        points: np.ndarray,
        viewing: np.ndarray,
        pixel: np.ndarray,
        time: float,
    ) -> _Surface:
        """`pixel` (N,): width of a pixel at the hit, metres, on a surface that faces the camera."""
        n = len(body)
        result = cls(*(np.zeros((n, *tail), np.float32) for tail in ((3,), (3,), (), (), ())))
        order = np.argsort(body, kind="stable")
        starts = np.searchsorted(body[order], np.arange(len(bodies) + 1))
        for number, item in enumerate(bodies):
            pixels = order[starts[number] : starts[number + 1]]
            if not len(pixels):
                continue
            local = _rotate(points[pixels] - item.centre - item.motion.offset(time), item.rotation)
            normal, uv = item.shape.surface(local)
            world_normal = _rotate(normal, item.rotation.T).astype(np.float32)
            cosine = np.abs(np.einsum("ij,ij->i", world_normal, viewing[pixels])).astype(np.float32)
            footprint = pixel[pixels] / np.sqrt(np.maximum(cosine, 0.05))
            for chosen, texture in _faces(item.texture, normal):
                at = pixels[chosen]
                result.albedo[at] = texture.sample(uv[chosen], footprint[chosen])
                result.infrared[at] = texture.infrared
            result.normal[pixels] = world_normal
            result.incidence[pixels] = cosine
            result.gloss[pixels] = item.gloss
        return result


def _rotate(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """vectors (N, 3) times matrix (3, 3). `@` would wake BLAS threads, which cost more than these tiny products."""
    return np.einsum("ij,jk->ik", vectors, matrix)


def _faces(texture: Covering, normal: np.ndarray) -> Iterator[tuple[np.ndarray, Texture]]:
    """Yield (indices, texture) for each face of a body that has textures by face, else everything once."""
    if isinstance(texture, Texture):
        yield np.arange(len(normal)), texture
        return
    rest = np.ones(len(normal), bool)
    for key, value in texture.items():
        if key:
            axis, sign = "xyz".index(key[1]), -1 if key[0] == "-" else 1
            chosen = normal[:, axis] * sign > 0.5
            rest &= ~chosen
            yield np.flatnonzero(chosen), value
    if rest.any():
        yield np.flatnonzero(rest), texture[""]


def _in_shadow(
    bodies: Sequence[Body],
    light: np.ndarray,
    points: np.ndarray,
    body: np.ndarray,
    facing: np.ndarray,
    time: float,
) -> np.ndarray:
    """(N,) bool: something stands between the point and the light. Only points that face it are tested."""
    dark = np.zeros(len(points), bool)
    candidates = np.flatnonzero(facing)
    origin = np.ascontiguousarray(points[candidates].T, np.float32)
    path = light.astype(np.float32)[:, None] - origin
    length2, origin2, along0 = (
        np.einsum("ij,ij->j", a, b) for a, b in ((path, path), (origin, origin), (origin, path))
    )
    for number, item in enumerate(bodies):
        half = item.shape.bounds()
        if half is None:  # the room and the ground enclose the lights: they cast no shadow on themselves
            continue
        centre = item.centre + item.motion.offset(time)
        # Which segments pass the bounding sphere at all? Squared distance of its centre c from the segment
        # o + k (l - o), in terms that are cheap, as this test runs for every pixel and body.
        c = centre.astype(np.float32)
        towards = np.einsum("i,ij->j", c, path) - along0
        k = np.clip(towards / length2, 0, 1)
        gap = origin2 - 2 * np.einsum("i,ij->j", c, origin) + c @ c - k * (2 * towards - k * length2)
        near = gap < float(half @ half) + 1e-4
        near &= body[candidates] != number  # convex: its own far side is dark by Lambert's law already
        if near.any():
            at = candidates[near]
            start = points[at]
            t = item.shape.hit(_rotate(start - centre, item.rotation), _rotate(light - start, item.rotation))
            dark[at] |= (t > 1e-3) & (t < 1)
    return dark


def _develop(linear: np.ndarray, blur: float, noise: float, seed: tuple[int, float]) -> np.ndarray:
    """Linear radiance (H, W, 3) to an uint8 picture: lens blur, photon noise, sRGB-like gamma 2.2."""
    if blur > 0:
        taps = np.exp(-0.5 * (np.arange(-2, 3) / blur) ** 2)
        taps /= taps.sum()
        for axis in (0, 1):
            padded = np.pad(linear, [(2, 2) if a == axis else (0, 0) for a in range(3)], mode="edge")
            n = linear.shape[axis]
            linear = sum(w * np.take(padded, np.arange(k, k + n), axis) for k, w in enumerate(taps))
    linear = np.clip(linear, 0, 1).astype(np.float32)
    if noise > 0:
        rng = np.random.default_rng([seed[0], round(seed[1] * 1e6)])
        grain = rng.standard_normal(linear.shape, np.float32)
        # Photon noise grows with the root of the light; 0.2 is mid grey in linear light.
        linear = np.clip(linear + noise * np.sqrt(np.maximum(linear, 0.01) / 0.2) * grain, 0, 1)
    return np.rint(255 * linear ** (1 / 2.2)).astype(np.uint8)
