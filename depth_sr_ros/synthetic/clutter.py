"""Clutter before a slanted backdrop, arranged for the statistics of real stereo ground truth (Middlebury 2006).

Things stand close behind one another, so that most depth edges are small parts of the scene's range; rods, lattices
and leaves are a few pixels wide; floor and backdrop are seen at grazing angles; print lies flat on both; and some
things have the backdrop's own colour.
"""

from __future__ import annotations

import numpy as np

from depth_sr_ros.synthetic.builder import Builder
from depth_sr_ros.synthetic.scene import rotation
from depth_sr_ros.synthetic.shapes import Box, Cylinder, Plane, Sphere
from depth_sr_ros.synthetic.texture import Texture, plain, printed, random_colour, random_texture

NEAR, FAR = 0.85, 2.4  # metres: of the nearest thing, and of the backdrop's middle at most


def clutter(b: Builder) -> None:
    """Furnish `b`."""
    rng = b.rng
    far = rng.uniform(1.6, FAR)
    turn = rotation(np.pi / 2 + rng.uniform(-0.25, 0.25), rng.uniform(-0.75, 0.75))
    b.add(Plane(), (0, 0, far), _backdrop(b), turn)
    floor = rng.uniform(0.35, 0.6)
    b.add(Plane(), (0, floor, 0), random_texture(rng), rotation(0.0, 0.0, rng.uniform(-0.1, 0.1)))
    b.add(Plane(), (0, 0, 2 * far), b.texture(), rotation(np.pi / 2))
    for _ in range(int(rng.integers(2, 6))):
        _print(b, far, turn)
    for thing, least, most in ((_solid, 30, 60), (_rod, 3, 9), (_lattice, 1, 3), (_leaves, 1, 4)):
        for _ in range(int(rng.integers(least, most + 1))):
            thing(b, _somewhere(b, far))
    for _ in range(int(rng.integers(1, 3))):
        b.lamp(rng.uniform((-2, -2, -1), (2, -0.6, 0.5)))
    b.pitch = rng.uniform(0.0, 0.25)


def _backdrop(b: Builder) -> Texture:
    return random_texture(b.rng) if b.rng.random() < 0.6 else plain(b.rng)


def _paint(b: Builder, busy: float = 0.45) -> Texture:
    """A texture of its own, or with one chance in four the backdrop's mean colour."""
    if b.rng.random() < 0.25:
        return plain(b.rng, np.clip(b.bodies[0].texture.levels[-1][0, 0] * b.rng.uniform(0.92, 1.08), 0, 1))
    return b.texture(busy)


def _somewhere(b: Builder, far: float) -> np.ndarray:
    """A point in sight, even in 1 / z: as many things per level of disparity."""
    z = 1 / b.rng.uniform(1 / far, 1 / NEAR)
    return np.array([b.rng.uniform(-0.6, 0.6) * z, b.rng.uniform(-0.4, 0.4) * z, z])


def _any_turn(b: Builder) -> np.ndarray:
    return rotation(*b.rng.uniform(-np.pi, np.pi, 3))


def _print(b: Builder, far: float, turn: np.ndarray) -> None:
    """A sheet one millimetre before the backdrop: colour edges, no depth edge."""
    rng = b.rng
    at = np.array([rng.uniform(-0.5, 0.5) * far, -0.001, rng.uniform(-0.4, 0.4) * far])
    b.add(Box(rng.uniform(0.1, 0.4), 0.0005, rng.uniform(0.1, 0.4)), (0, 0, far) + turn @ at, printed(rng), turn)


def _solid(b: Builder, at: np.ndarray) -> None:
    rng, turn = b.rng, _any_turn(b)
    size, gloss = at[2] * rng.uniform(0.03, 0.11), float(rng.choice([0, 0, 0, 0.5]))
    kind = rng.integers(4)
    if kind == 0:
        b.add(Sphere(size * 0.8), at, _paint(b), turn, b.swing(), gloss)
    elif kind == 1:
        b.add(Cylinder(size * 0.6, size * rng.uniform(0.5, 1.8)), at, _paint(b), turn, b.swing(), gloss)
    else:
        b.add(Box(*(size * rng.uniform(0.2, 1.4, 3))), at, _paint(b), turn, b.swing(), gloss)


def _rod(b: Builder, at: np.ndarray) -> None:
    half = _any_turn(b)[0] * b.rng.uniform(0.1, 0.5)
    b.stick(at - half, at + half, b.rng.uniform(0.002, 0.009), _paint(b, 0.1))


def _lattice(b: Builder, at: np.ndarray) -> None:
    """Parallel bars, with half a chance crossed by others: a grating or a fence."""
    rng = b.rng
    turn, texture, radius = rotation(*rng.uniform(-0.7, 0.7, 3)), _paint(b, 0.0), rng.uniform(0.002, 0.006)
    half, count = rng.uniform(0.12, 0.25), int(rng.integers(4, 8))
    for axis in (0, 1) if rng.random() < 0.5 else (0,):
        for across in np.linspace(-half, half, count):
            ends = np.array([[across, -half, 0.0], [across, half, 0.0]])[:, [axis, 1 - axis, 2]]
            b.stick(at + turn @ ends[0], at + turn @ ends[1], radius, texture)


def _leaves(b: Builder, at: np.ndarray) -> None:
    """Stalks from one foot, each with narrow flat leaves at all angles."""
    rng = b.rng
    for _ in range(int(rng.integers(3, 7))):
        tip = at + rng.uniform((-0.2, -0.35, -0.12), (0.2, -0.1, 0.12))
        green = plain(rng, np.array([0.1, 0.3, 0.08]) * rng.uniform(0.4, 1.8) + 0.1 * random_colour(rng))
        b.stick(at, tip, 0.0025, green)
        for _ in range(int(rng.integers(3, 7))):
            leaf = Box(rng.uniform(0.004, 0.014), rng.uniform(0.02, 0.07), 0.0008)
            b.add(leaf, at + (tip - at) * rng.uniform(0.3, 1.1), green, _any_turn(b))
