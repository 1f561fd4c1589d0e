"""Solid shapes in their own frame: where a ray meets them, the normal there and surface coordinates.

All lengths are metres. A ray is `origin + t * direction`; the direction is not normalised, so that with camera
rays (x, y, 1) the parameter t is the depth along the camera's Z axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_EPSILON = 1e-9


class Shape(Protocol):
    """What `scene` needs of a shape."""

    def bounds(self) -> np.ndarray | None:
        """Half extents (3,) of the enclosing box about the origin; None when it must be tested everywhere."""

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Ray parameter of the first hit: origin (3,) or (N, 3), direction (N, 3) -> t (N,), inf for a miss."""

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outward unit normal (N, 3) and surface coordinates (N, 2) in metres at surface points (N, 3)."""


@dataclass(frozen=True)
class Plane:
    """The infinite plane y = 0, facing -y."""

    def bounds(self) -> None:
        return None

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -origin[..., 1] / direction[:, 1]
        return np.where(t > _EPSILON, t, np.inf)

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        normal = np.zeros_like(point)
        normal[:, 1] = -1
        return normal, point[:, [0, 2]]


@dataclass(frozen=True)
class Box:
    """An axis-aligned box of half extents (hx, hy, hz) about the origin."""

    hx: float
    hy: float
    hz: float

    def bounds(self) -> np.ndarray | None:
        return np.array([self.hx, self.hy, self.hz])

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        enter, leave = _slabs(origin, direction, np.array([self.hx, self.hy, self.hz]))
        return np.where((enter <= leave) & (enter > _EPSILON), enter, np.inf)

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = np.array([self.hx, self.hy, self.hz])
        face = np.argmax(np.abs(point) - half, axis=1)
        rows = np.arange(len(point))
        normal = np.zeros_like(point)
        normal[rows, face] = np.sign(point[rows, face])
        # Each face gets its own piece of the texture.
        along = np.array([[2, 1], [0, 2], [0, 1]])[face]
        uv = np.stack([point[rows, along[:, 0]], point[rows, along[:, 1]]], axis=1)
        return normal, uv + 0.37 * (face[:, None] * 2 + (normal[rows, face] > 0)[:, None])


@dataclass(frozen=True)
class Room(Box):
    """The same box seen from within: floor, ceiling and four walls."""

    def bounds(self) -> None:
        return None

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        _, leave = _slabs(origin, direction, np.array([self.hx, self.hy, self.hz]))
        return np.where(leave > _EPSILON, leave, np.inf)

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        normal, uv = super().surface(point)
        return -normal, uv


@dataclass(frozen=True)
class Sphere:
    """A ball of the given radius about the origin."""

    radius: float

    def bounds(self) -> np.ndarray:
        return np.full(3, self.radius)

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        a = np.einsum("ij,ij->i", direction, direction)
        b = np.sum(origin * direction, axis=-1)
        c = np.sum(origin * origin, axis=-1) - self.radius**2
        return _first_root(a, b, c)

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        normal = point / self.radius
        longitude = np.arctan2(normal[:, 0], normal[:, 2])
        latitude = np.arcsin(np.clip(normal[:, 1], -1, 1))
        return normal, self.radius * np.stack([longitude, latitude], axis=1)


@dataclass(frozen=True)
class Cylinder:
    """A capped cylinder along the y axis: radius and half height. Thin ones are sticks, legs and cables."""

    radius: float
    half_height: float

    def bounds(self) -> np.ndarray:
        return np.array([self.radius, self.half_height, self.radius])

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        ox, oy, oz = origin[..., 0], origin[..., 1], origin[..., 2]
        dx, dy, dz = direction.T
        a = np.maximum(dx * dx + dz * dz, _EPSILON)
        side = _first_root(a, ox * dx + oz * dz, ox * ox + oz * oz - self.radius**2)
        height = np.where(np.isfinite(side), oy + np.where(np.isfinite(side), side, 0) * dy, np.inf)
        side = np.where(np.abs(height) <= self.half_height, side, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            cap = (-np.sign(dy) * self.half_height - oy) / dy
        x, z = ox + cap * dx, oz + cap * dz
        inside = (x * x + z * z <= self.radius**2) & (cap > _EPSILON)
        return np.minimum(side, np.where(inside, cap, np.inf))

    def surface(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radial = np.hypot(point[:, 0], point[:, 2])
        on_cap = self.half_height - np.abs(point[:, 1]) < self.radius - radial
        normal = np.stack([point[:, 0], np.zeros(len(point)), point[:, 2]], axis=1)
        normal /= np.maximum(radial, _EPSILON)[:, None]
        normal[on_cap] = 0
        normal[on_cap, 1] = np.sign(point[on_cap, 1])
        angle = np.arctan2(point[:, 0], point[:, 2])
        uv = np.stack([self.radius * angle, point[:, 1]], axis=1)
        uv[on_cap] = point[on_cap][:, [0, 2]]
        return normal, uv


def _slabs(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ray parameters at which rays enter and leave the box |x_i| <= half_i."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / direction
        middle, reach = -origin * inverse, half * np.abs(inverse)
    # A ray parallel to a slab gives 0 * inf = NaN exactly on the border only; treat it as a miss.
    near, far = middle - reach, middle + reach
    near, far = np.nan_to_num(near, nan=np.inf), np.nan_to_num(far, nan=-np.inf)
    enter = np.maximum(np.maximum(near[:, 0], near[:, 1]), near[:, 2])
    leave = np.minimum(np.minimum(far[:, 0], far[:, 1]), far[:, 2])
    return enter, leave


def _first_root(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Smallest positive root of a t^2 + 2 b t + c = 0, seen from outside the shape; inf where there is none."""
    discriminant = b * b - a * c
    t = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
    return np.where((discriminant > 0) & (t > _EPSILON), t, np.inf)
