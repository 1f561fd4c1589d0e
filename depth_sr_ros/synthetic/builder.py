"""Collects the bodies and lights of a scene; `rooms` and `clutter` furnish with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from depth_sr_ros.synthetic.scene import Body, Covering, Light, Motion, rotation
from depth_sr_ros.synthetic.shapes import Box, Cylinder, Shape
from depth_sr_ros.synthetic.texture import Texture, random_texture

FLAT = ("plain", "plain", "plaster", "wood")
BUSY = ("checker", "stripes", "tiles", "fabric", "marble", "spots", "printed")

STILL = Motion()


@dataclass
class Builder:
    """Collects bodies and lights; the helpers put things where their feet stand."""

    rng: np.random.Generator
    motion: float
    bodies: list[Body] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    pitch: float = 0.0

    def texture(self, busy: float = 0.35) -> Texture:
        return random_texture(self.rng, BUSY if self.rng.random() < busy else FLAT)

    def swing(self, chance: float = 0.3, size: float = 0.06) -> Motion:
        if self.rng.random() > chance:
            return STILL
        x, y, z = self.motion * self.rng.uniform(-size, size, 3) * (1, 0, 1)
        return Motion((x, y, z), self.rng.uniform(2, 5), self.rng.uniform(0, 6))

    def add(
        self,
        shape: Shape,
        centre: ArrayLike,
        texture: Covering | None = None,
        turn: np.ndarray | None = None,
        motion: Motion = STILL,
        gloss: float = 0.0,
    ) -> None:
        """A body with its middle at `centre` (3,) metres; by default unturned and with a random texture."""
        turn = np.eye(3) if turn is None else turn
        texture = self.texture() if texture is None else texture
        self.bodies.append(Body(shape, texture, np.asarray(centre, float), turn, motion, gloss))

    def box(
        self,
        x: float,
        floor: float,
        z: float,
        half: Sequence[float] | np.ndarray,
        yaw: float = 0.0,
        texture: Covering | None = None,
        motion: Motion = STILL,
        gloss: float = 0.0,
    ) -> None:
        """A box of half extents `half` that stands on the height `floor` (y down)."""
        self.add(Box(*half), (x, floor - half[1], z), texture, rotation(yaw=yaw), motion, gloss)

    def stick(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radius: float,
        texture: Covering | None = None,
        motion: Motion = STILL,
    ) -> None:
        """A thin cylinder from `start` to `end`, (3,) metres each."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = end - start
        length = float(np.linalg.norm(axis))
        y = axis / length
        x = np.cross(y, [0.0, 0.0, 1.0] if abs(y[2]) < 0.9 else [1.0, 0.0, 0.0])
        x /= np.linalg.norm(x)
        turn = np.stack([x, y, np.cross(x, y)], axis=1)
        self.add(Cylinder(radius, length / 2), (start + end) / 2, texture, turn, motion)

    def lamp(self, position: np.ndarray) -> None:
        """A light, more or less warm, at `position` (3,) metres."""
        warmth = self.rng.uniform(0, 0.25)
        colour = np.array([1.0, 1 - warmth / 2, 1 - warmth]) * self.rng.uniform(0.9, 1.6)
        self.lights.append(Light(np.asarray(position, float), colour, self.rng.uniform(3, 6)))
