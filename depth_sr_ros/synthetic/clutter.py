"""Clutter before a slanted backdrop, arranged for the statistics of real stereo ground truth (Middlebury 2006).

Things stand close behind one another, so that most depth edges are small parts of the scene's range; rods, lattices
and leaves are a few pixels wide; floor and backdrop are seen at grazing angles; print lies flat on the backdrop; some
things have the backdrop's own colour.
"""

from __future__ import annotations

import numpy as np

from depth_sr_ros.synthetic.builder import Builder
from depth_sr_ros.synthetic.scene import rotation
from depth_sr_ros.synthetic.shapes import Box, Cylinder, Plane, Sphere
from depth_sr_ros.synthetic.texture import Texture, plain, printed, random_colour, random_texture

NEAR, FAR = 0.85, 2.2  # metres: of the nearest thing's middle, and of the backdrop's at most


def clutter(b: Builder) -> None:
    """Furnish `b`."""
    scene = _Clutter(b)
    for _ in range(int(b.rng.integers(2, 6))):
        scene.print()
    for thing, least, most in ((_solid, 22, 45), (_rod, 0, 4), (_lattice, 0, 1), (_leaves, 0, 2)):
        for _ in range(int(b.rng.integers(least, most + 1))):
            thing(scene)
    for _ in range(int(b.rng.integers(1, 3))):
        b.lamp(b.rng.uniform((-2, -2, -1), (2, -0.6, 0.5)))
    b.pitch = b.rng.uniform(0.0, 0.25)


class _Clutter:
    """The backdrop, and where before it things go and how they are painted."""

    def __init__(self, b: Builder) -> None:
        rng = b.rng
        self.b, self.far = b, rng.uniform(1.5, FAR)
        self.last: np.ndarray | None = None
        self.turn = rotation(np.pi / 2 + rng.uniform(-0.25, 0.25), rng.uniform(-0.75, 0.75))
        self.texture = random_texture(rng) if rng.random() < 0.6 else plain(rng)
        self.colours = [self.texture.levels[-1][0, 0], *(random_colour(rng) for _ in range(2))]
        b.add(Plane(), (0, 0, self.far), self.texture, self.turn)
        b.add(Plane(), (0, 0, 1.5 * self.far), self.texture, rotation(np.pi / 2))
        if rng.random() < 0.25:
            b.add(Plane(), (0, rng.uniform(0.4, 0.7), 0), random_texture(rng), rotation(roll=rng.uniform(-0.1, 0.1)))

    def on_backdrop(self, lift: float) -> np.ndarray:
        """A point `lift` metres before the backdrop, in sight."""
        x, y = self.b.rng.uniform((-0.55, -0.4), (0.55, 0.4))
        normal = self.turn @ (0.0, -1.0, 0.0)
        z = self.far * normal[2] / (normal @ (x, y, 1.0))
        return np.array([x, y, 1.0]) * min(z, 1.5 * self.far) + lift * normal

    def somewhere(self, size: float) -> np.ndarray:
        """Where a thing of this size goes: leaning on the backdrop, beside the thing placed last, or free before it.

        The first two make most neighbours differ little in depth.
        """
        rng, choice = self.b.rng, self.b.rng.random()
        at = self.on_backdrop(size * rng.uniform(0.3, 1.5))
        if choice < 0.35 and self.last is not None:
            at = self.last + rng.uniform(-2, 2, 3) * size * (1, 1, 0.5)
        elif choice > 0.85:
            at *= rng.uniform(min(NEAR / at[2], 1), 1)
        self.last = at * max(NEAR / at[2], 1)
        return self.last

    def paint(self, busy: float = 0.45) -> Texture:
        """A texture of its own, or one of the scene's few colours, the backdrop's mean among them."""
        rng = self.b.rng
        if rng.random() < 0.5:
            colour = self.colours[int(rng.integers(len(self.colours)))]
            return plain(rng, np.clip(colour * rng.uniform(0.95, 1.05), 0, 1))
        return self.b.texture(busy)

    def print(self) -> None:
        """A sheet one millimetre before the backdrop: colour edges, no depth edge."""
        size = self.b.rng.uniform(0.1, 0.4, 2)
        self.b.add(Box(size[0], 0.0005, size[1]), self.on_backdrop(0.001), printed(self.b.rng), self.turn)


def _any_turn(b: Builder) -> np.ndarray:
    return rotation(*b.rng.uniform(-np.pi, np.pi, 3))


def _solid(scene: _Clutter) -> None:
    b, rng = scene.b, scene.b.rng
    size, turn, gloss = rng.uniform(0.05, 0.2), _any_turn(b), float(rng.choice([0, 0, 0, 0.5]))
    at, texture, kind = scene.somewhere(size), scene.paint(), rng.integers(4)
    if kind == 0:
        b.add(Sphere(size * 0.7), at, texture, turn, b.swing(), gloss)
    elif kind == 1:
        b.add(Cylinder(size * 0.6, size * rng.uniform(0.5, 1.8)), at, texture, turn, b.swing(), gloss)
    else:
        b.add(Box(*(size * rng.uniform(0.2, 1.4, 3))), at, texture, turn, b.swing(), gloss)


def _rod(scene: _Clutter) -> None:
    b, rng = scene.b, scene.b.rng
    half = _any_turn(b)[0] * rng.uniform(0.1, 0.5)
    at = scene.somewhere(0.1)
    b.stick(at - half, at + half, rng.uniform(0.002, 0.009), scene.paint(0.1))


def _lattice(scene: _Clutter) -> None:
    """Parallel bars, with half a chance crossed by others: a grating or a fence."""
    b, rng = scene.b, scene.b.rng
    at, turn = scene.somewhere(0.1), rotation(*rng.uniform(-0.7, 0.7, 3))
    texture, radius = scene.paint(0.0), rng.uniform(0.002, 0.006)
    half, count = rng.uniform(0.12, 0.25), int(rng.integers(4, 8))
    for axis in (0, 1) if rng.random() < 0.5 else (0,):
        for across in np.linspace(-half, half, count):
            ends = np.array([[across, -half, 0.0], [across, half, 0.0]])[:, [axis, 1 - axis, 2]]
            b.stick(at + turn @ ends[0], at + turn @ ends[1], radius, texture)


def _leaves(scene: _Clutter) -> None:
    """Stalks from one foot, each with narrow flat leaves at all angles."""
    b, rng = scene.b, scene.b.rng
    foot = scene.somewhere(0.1)
    for _ in range(int(rng.integers(3, 7))):
        tip = foot + rng.uniform((-0.2, -0.35, -0.12), (0.2, -0.1, 0.12))
        green = plain(rng, np.array([0.1, 0.3, 0.08]) * rng.uniform(0.4, 1.8) + 0.1 * random_colour(rng))
        b.stick(foot, tip, 0.0025, green)
        for _ in range(int(rng.integers(3, 7))):
            leaf = Box(rng.uniform(0.004, 0.014), rng.uniform(0.02, 0.07), 0.0008)
            b.add(leaf, foot + (tip - foot) * rng.uniform(0.3, 1.1), green, _any_turn(b))
