"""Furnished scenes by seed: a room, a desk seen from near, loose shapes before slanted planes, or clutter (`clutter`).

`random_scene(seed)` places what makes indoor depth hard: floors and walls at grazing angles, thin legs and stems,
objects at several depths that overlap, print and tiles whose edges are not depth edges, and objects painted like
what stands behind them, whose depth edges are not colour edges.
"""

from __future__ import annotations

import numpy as np

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.synthetic.builder import Builder
from depth_sr_ros.synthetic.clutter import clutter
from depth_sr_ros.synthetic.scene import Motion, Scene, rotation
from depth_sr_ros.synthetic.shapes import Box, Cylinder, Plane, Room, Sphere
from depth_sr_ros.synthetic.texture import Texture, plain, plaster, printed, random_colour, random_texture, stripes

KINDS = ("room", "desk", "shapes", "clutter")
"""Kinds of scene that `random_scene` can make."""

ANY = KINDS[:3]
"""What "any" chooses from. Fixed: one more would give every seed another scene."""


def default_camera(width: int = 640, height: int = 480) -> Intrinsics:
    """A camera with the field of view of common depth cameras, 60 degrees across."""
    focal = width / (2 * np.tan(np.radians(30)))
    return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def random_scene(seed: int, kind: str = "room", motion: float = 1.0) -> Scene:
    """A furnished scene.

    Args:
        seed: the same seed gives the same scene.
        kind: one of `KINDS`, or "any" for one of `ANY`, chosen by the seed.
        motion: strength of the camera's and the objects' motion; 0 for a still scene.

    Raises:
        ValueError: unknown `kind`.
    """
    rng = np.random.default_rng(seed)
    if kind == "any":
        kind = ANY[int(rng.integers(len(ANY)))]
    if kind not in KINDS:
        raise ValueError(f"unknown kind of scene {kind!r}; choose one of {', '.join(KINDS)} or any")
    build = Builder(rng, motion)
    {"room": _room, "desk": _desk, "shapes": _shapes, "clutter": clutter}[kind](build)
    scene = Scene(
        bodies=tuple(build.bodies),
        lights=tuple(build.lights),
        ambient=np.full(3, rng.uniform(0.25, 0.45)),
        pitch=build.pitch,
        sway=Motion(tuple(motion * rng.uniform(0.01, 0.05, 3)), rng.uniform(3, 6), rng.uniform(0, 6)),
        turn=tuple(motion * rng.uniform(0.005, 0.03, 3) * (1, 1, 0.4)),
        seed=seed,
    )
    return scene.exposed(default_camera())


def _room(b: Builder) -> None:
    rng = b.rng
    half = np.array([rng.uniform(1.8, 3.2), 1.25, rng.uniform(2.2, 3.6)])
    eye = rng.uniform(0.9, 1.6)  # camera height above the floor
    floor, back = eye, 2 * half[2] - 0.6
    centre = np.array([rng.uniform(-0.4, 0.4), floor - half[1], back - half[2]])
    yaw = rng.uniform(-0.35, 0.35)
    turn = rotation(yaw=yaw)
    wall = plaster(rng)
    faces = {"-y": random_texture(rng, ("wood", "tiles", "fabric", "marble", "plaster")), "+y": plaster(rng)}
    if rng.random() < 0.35:
        faces["-z"] = random_texture(rng, ("stripes", "tiles", "spots", "fabric"))
    b.add(Room(*half), centre, {**faces, "": wall}, turn)

    def place(x: float, z: float) -> np.ndarray:
        """Room coordinates (from the middle of the back wall, z towards the camera) to world."""
        return centre + turn @ np.array([x, half[1], half[2] - z])

    _wall_things(b, half, centre, turn, wall)
    for _ in range(int(rng.integers(3, 6))):
        z = rng.uniform(0.4, 2 * half[2] - 1.9)
        x, _, world_z = place(rng.uniform(-0.85, 0.85) * half[0], z)
        thing = (_table, _chair, _cartons, _floor_lamp, _plant, _ball, _pillar)[int(rng.integers(7))]
        if world_z > 1.1:
            thing(b, x, floor, world_z, wall)
    for _ in range(2):
        z = rng.uniform(1.2, max(back - 1.0, 1.5))
        _table(b, rng.uniform(-0.45, 0.45) * z, floor, z, wall)
    for _ in range(int(rng.integers(1, 3))):
        b.lamp(
            centre
            + turn @ np.array([rng.uniform(-0.7, 0.7) * half[0], -half[1] + 0.25, rng.uniform(-0.8, 0.4) * half[2]])
        )
    b.pitch = rng.uniform(0.08, 0.4)


def _wall_things(b: Builder, half: np.ndarray, centre: np.ndarray, turn: np.ndarray, wall: Texture) -> None:
    """On the back wall: flat prints (colour edges only), frames and a shelf (both), a bump painted as the wall."""
    rng = b.rng
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.15, 0.5, 2)
        depth = 0.001 if rng.random() < 0.6 else rng.uniform(0.01, 0.04)
        at = np.array([rng.uniform(-0.8, 0.8) * half[0], rng.uniform(-0.75, 0.3) * half[1], half[2] - depth])
        b.add(Box(size[0], size[1], depth), centre + turn @ at, printed(rng), turn)
    if rng.random() < 0.6:
        width, y = rng.uniform(0.3, 0.7), rng.uniform(-0.3, 0.4)
        x = rng.uniform(-0.6, 0.6) * half[0]
        board = np.array([x, y, half[2] - 0.13])
        b.add(Box(width, 0.012, 0.13), centre + turn @ board, b.texture(0.1), turn)
        row = np.array([x, y - 0.012 - 0.12, half[2] - 0.11])
        b.add(Box(width * rng.uniform(0.5, 0.95), 0.12, 0.09), centre + turn @ row, stripes(rng), turn)
    if rng.random() < 0.7:
        depth = rng.uniform(0.08, 0.3)
        at = np.array([rng.uniform(-0.9, 0.9) * half[0], 0, half[2] - depth])
        b.add(Box(rng.uniform(0.1, 0.35), half[1], depth), centre + turn @ at, wall, turn)


def _desk(b: Builder) -> None:
    rng = b.rng
    top = rng.uniform(0.3, 0.5)
    faces = {"-y": random_texture(rng, ("wood", "plain", "fabric", "tiles")), "": plaster(rng)}
    b.add(Room(2.5, 2.5, 2.5), (0, 0, rng.uniform(-1.0, -0.4)), {"": plaster(rng), "-y": random_texture(rng)})
    b.box(0, top + 0.04, 1.0, (0.95, 0.02, 0.5), rng.uniform(-0.25, 0.25), faces)
    for _ in range(int(rng.integers(7, 13))):
        z = rng.uniform(0.62, 1.35)
        _desk_item(b, rng.uniform(-0.5, 0.5) * z, top, z)
    if rng.random() < 0.6:
        _desk_lamp(b, rng.uniform(-0.4, 0.4), top, rng.uniform(0.8, 1.3))
    b.lamp(np.array([rng.uniform(-1, 1), rng.uniform(-1.8, -1.0), rng.uniform(-0.3, 1)]))
    b.pitch = rng.uniform(0.2, 0.5)


def _shapes(b: Builder) -> None:
    rng = b.rng
    for _ in range(2):
        turn = rotation(rng.uniform(0.7, 2.4), rng.uniform(-0.6, 0.6), rng.uniform(-0.8, 0.8))
        b.add(Plane(), (0, 0, rng.uniform(2.5, 5)), b.texture(0.6), turn)
    b.add(Plane(), (0, 0, 6.0), b.texture(), rotation(np.pi / 2))
    for _ in range(int(rng.integers(8, 16))):
        z = rng.uniform(0.8, 3.5)
        at = np.array([rng.uniform(-0.5, 0.5) * z, rng.uniform(-0.4, 0.4) * z, z])
        turn, size = rotation(*rng.uniform(-2, 2, 3)), 0.1 * z * rng.uniform(0.4, 1.6)
        motion, gloss = b.swing(0.5, 0.1), rng.choice([0, 0, 0.5])
        kind = rng.integers(4)
        if kind == 0:
            b.add(Box(*(size * rng.uniform(0.2, 1.3, 3))), at, None, turn, motion, gloss)
        elif kind == 1:
            b.add(Sphere(size), at, None, turn, motion, gloss)
        elif kind == 2:
            b.add(Cylinder(size * 0.6, size * rng.uniform(0.4, 1.8)), at, None, turn, motion, gloss)
        else:
            b.stick(at - turn[1] * 0.4, at + turn[1] * 0.4, rng.uniform(0.004, 0.02), motion=motion)
    b.lamp(rng.uniform((-2, -2, -1), (2, -0.5, 1)))


def _table(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    rng = b.rng
    height, wide, deep = rng.uniform(0.4, 0.78), rng.uniform(0.3, 0.75), rng.uniform(0.25, 0.45)
    yaw, wood = rng.uniform(-0.7, 0.7), b.texture(0.15)
    turn = rotation(yaw=yaw)
    top = floor - height
    b.box(x, top + 0.03, z, (wide, 0.015, deep), yaw, wood)
    radius, leg = rng.uniform(0.012, 0.03), b.texture(0)
    for sx in (-1, 1):
        for sz in (-1, 1):
            foot = np.array([x, 0, z]) + turn @ np.array([sx * (wide - 0.05), 0, sz * (deep - 0.05)])
            b.stick((foot[0], floor, foot[2]), (foot[0], top + 0.03, foot[2]), radius, leg)
    for _ in range(int(rng.integers(2, 6))):
        at = np.array([x, 0, z]) + turn @ np.array([rng.uniform(-0.8, 0.8) * wide, 0, rng.uniform(-0.8, 0.8) * deep])
        _desk_item(b, at[0], top, at[2])


def _desk_item(b: Builder, x: float, top: float, z: float) -> None:
    rng = b.rng
    kind, motion, gloss = rng.choice([0, 1, 1, 2, 3, 3, 4, 5]), b.swing(0.25, 0.03), float(rng.choice([0, 0, 0, 0.6]))
    yaw = rng.uniform(-1.5, 1.5)
    if kind == 0:  # a book or a pile
        b.box(x, top, z, (rng.uniform(0.05, 0.12), rng.uniform(0.01, 0.06), rng.uniform(0.05, 0.1)), yaw)
    elif kind == 1:  # a carton
        b.box(x, top, z, rng.uniform(0.03, 0.11, 3), yaw, b.texture(0.5), motion)
    elif kind == 2:  # a ball
        radius = rng.uniform(0.025, 0.09)
        b.add(Sphere(radius), (x, top - radius, z), None, None, motion, gloss)
    elif kind == 3:  # a cup, tin or bottle
        radius, half = rng.uniform(0.02, 0.05), rng.uniform(0.04, 0.14)
        b.add(Cylinder(radius, half), (x, top - half, z), b.texture(0.5), None, motion, gloss)
        if half > 0.1:
            b.add(Cylinder(radius * 0.4, 0.03), (x, top - 2 * half - 0.03, z), b.texture(0), None, motion)
    elif kind == 4:  # pencils in a holder
        b.add(Cylinder(0.035, 0.045), (x, top - 0.045, z))
        for _ in range(4):
            lean = rng.uniform(-0.06, 0.06, 2)
            end = (x + lean[0], top - rng.uniform(0.13, 0.2), z + lean[1])
            b.stick((x, top - 0.08, z), end, 0.004, plain(rng))
    else:  # a screen on its foot
        wide, high = rng.uniform(0.12, 0.28), rng.uniform(0.08, 0.17)
        turn = rotation(rng.uniform(-0.15, 0.1), yaw / 3)
        b.add(Box(wide, high, 0.01), (x, top - high - 0.07, z), {"-z": printed(rng), "": plain(rng)}, turn)
        b.stick((x, top, z + 0.03), (x, top - 0.12, z + 0.03), 0.015, plain(rng))


def _desk_lamp(b: Builder, x: float, top: float, z: float) -> None:
    metal = plain(b.rng)
    elbow = np.array([x + b.rng.uniform(-0.1, 0.1), top - 0.3, z])
    head = elbow + np.array([b.rng.uniform(-0.2, 0.2), -0.08, -0.1])
    b.add(Cylinder(0.07, 0.01), (x, top - 0.01, z), metal)
    b.stick((x, top, z), elbow, 0.008, metal)
    b.stick(elbow, head, 0.008, metal)
    b.add(Cylinder(0.06, 0.04), head, b.texture(0))


def _chair(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    rng = b.rng
    yaw, paint, seat = rng.uniform(-3, 3), b.texture(0), floor - 0.45
    turn, motion = rotation(yaw=yaw), b.swing(0.3)
    b.box(x, seat + 0.04, z, (0.2, 0.02, 0.2), yaw, b.texture(0.3), motion)
    for sx in (-0.18, 0.18):
        for sz, top in ((-0.18, seat), (0.18, seat - 0.42)):
            foot = np.array([x, 0, z]) + turn @ np.array([sx, 0, sz])
            b.stick((foot[0], floor, foot[2]), (foot[0], top, foot[2]), 0.015, paint, motion)
    for height in (0.15, 0.28, 0.4):
        ends = [np.array([x, seat - height, z]) + turn @ np.array([sx, 0, 0.18]) for sx in (-0.18, 0.18)]
        b.stick(ends[0], ends[1], 0.012, paint, motion)


def _cartons(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    rng, top = b.rng, floor
    for _ in range(int(rng.integers(1, 4))):
        half = rng.uniform(0.1, 0.28, 3)
        texture = wall if rng.random() < 0.25 else b.texture(0.4)
        b.box(x + rng.uniform(-0.06, 0.06), top, z, half, rng.uniform(-1.5, 1.5), texture)
        top -= 2 * half[1]


def _floor_lamp(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    metal, height = plain(b.rng), b.rng.uniform(1.2, 1.7)
    b.add(Cylinder(0.13, 0.012), (x, floor - 0.012, z), metal)
    b.stick((x, floor, z), (x, floor - height, z), b.rng.uniform(0.008, 0.018), metal)
    b.add(Cylinder(0.15, 0.12), (x, floor - height, z), b.texture(0.2))


def _plant(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    rng = b.rng
    half = rng.uniform(0.12, 0.25)
    b.add(Cylinder(0.13, half), (x, floor - half, z))
    green = plain(rng, np.array([0.1, 0.3, 0.08]) * rng.uniform(0.5, 1.6))
    motion = b.swing(0.7, 0.04)
    for _ in range(int(rng.integers(5, 10))):
        lean, height = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.3, 0.8)
        tip = (x + lean[0], floor - 2 * half - height, z + lean[1])
        b.stick((x, floor - 2 * half, z), tip, 0.006, green, motion)
        b.add(Sphere(rng.uniform(0.03, 0.08)), tip, green, None, motion)


def _ball(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    radius = b.rng.uniform(0.1, 0.3)
    gloss = float(b.rng.choice([0, 0.4]))
    b.add(Sphere(radius), (x, floor - radius, z), None, None, b.swing(0.6, 0.2), gloss)


def _pillar(b: Builder, x: float, floor: float, z: float, wall: Texture) -> None:
    texture = wall if b.rng.random() < 0.3 else plaster(b.rng, random_colour(b.rng))
    b.add(Cylinder(b.rng.uniform(0.06, 0.18), 1.3), (x, floor - 1.3, z), texture)
