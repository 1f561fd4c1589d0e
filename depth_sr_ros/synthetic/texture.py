"""Procedural surface textures: periodic pictures of reflectance, sampled in metres through a mip pyramid.

Depth networks see two kinds of colour edge: those where the surface ends, and those that are only paint. The
textures here supply the second kind in the forms a camera meets indoors (tiles, wood grain, fabric, print,
stripes); `scene` supplies the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

TILE = 256
"""Width and height of the finest mip level, pixels."""


@dataclass(frozen=True)
class Texture:
    """A periodic reflectance picture.

    Attributes:
        levels: mip pyramid, finest first; each float32 (n, n, 3), linear reflectance in [0, 1].
        size: edge length that one period covers on the surface, metres.
        infrared: reflectance in [0, 1] at the wavelength of an active depth camera; a dark surface returns
            little light there and leaves holes (`sensor`).
    """

    levels: tuple[np.ndarray, ...]
    size: float
    infrared: float = 0.6
    name: str = field(default="", compare=False)

    def sample(self, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Reflectance at surface coordinates.

        Args:
            uv: (N, 2) surface coordinates, metres.
            footprint: (N,) width of one pixel on the surface, metres; picks the mip level, so that a far or
                slanted texture blurs as it does in a camera instead of aliasing.

        Returns:
            (N, 3) float32 linear reflectance.
        """
        if len(self.levels) == 1:
            return np.broadcast_to(self.levels[0][0, 0], (len(uv), 3)).copy()
        texel = self.size / TILE
        level = np.log2(np.maximum(footprint, texel) / texel)
        level = np.clip(np.rint(level), 0, len(self.levels) - 1).astype(np.int64)
        result = np.empty((len(uv), 3), np.float32)
        for index in np.unique(level):
            chosen = level == index
            result[chosen] = _bilinear(self.levels[index], uv[chosen] / self.size)
        return result


def _bilinear(picture: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Periodic bilinear lookup; `position` (N, 2) in periods."""
    n = picture.shape[0]
    xy = position * n - 0.5
    corner = np.floor(xy)
    fraction = (xy - corner).astype(np.float32)
    x0, y0 = (corner.astype(np.int64) % n).T
    x1, y1 = (x0 + 1) % n, (y0 + 1) % n
    fx, fy = fraction[:, :1], fraction[:, 1:]
    flat = picture.reshape(-1, 3)
    top = flat[y0 * n + x0] * (1 - fx) + flat[y0 * n + x1] * fx
    bottom = flat[y1 * n + x0] * (1 - fx) + flat[y1 * n + x1] * fx
    return top * (1 - fy) + bottom * fy


def _pyramid(picture: np.ndarray) -> tuple[np.ndarray, ...]:
    levels = [np.clip(picture, 0.0, 1.0).astype(np.float32)]
    while levels[-1].shape[0] > 1:
        n = levels[-1].shape[0] // 2
        levels.append(levels[-1].reshape(n, 2, n, 2, 3).mean(axis=(1, 3)))
    return tuple(levels)


def fractal_noise(rng: np.random.Generator, exponent: float = 1.5, stretch: float = 1.0) -> np.ndarray:
    """Periodic 1/f^exponent noise, (TILE, TILE), zero mean, unit standard deviation.

    `stretch` > 1 draws the grain out along the first axis.
    """
    fy = np.fft.fftfreq(TILE)[:, None] * stretch
    fx = np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE))) * frequency**-exponent
    noise = np.fft.irfft2(spectrum, s=(TILE, TILE))
    return (noise / noise.std()).astype(np.float32)


def random_colour(rng: np.random.Generator, vivid: float = 0.3) -> np.ndarray:
    """A linear reflectance (3,), mostly the muted hues of a room; with probability `vivid` a saturated one."""
    saturation = rng.uniform(0.55, 0.95) if rng.random() < vivid else rng.uniform(0.0, 0.4)
    value = rng.uniform(0.06, 0.9)
    phase = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3
    hue = 0.5 + 0.5 * np.cos(phase)
    return (value * (1 - saturation + saturation * hue)).astype(np.float32)


def plain(rng: np.random.Generator, colour: np.ndarray | None = None) -> Texture:
    """One reflectance, no structure at all."""
    colour = random_colour(rng) if colour is None else np.asarray(colour, np.float32)
    return Texture((colour.reshape(1, 1, 3),), 1.0, _infrared(rng, colour), "plain")


def plaster(rng: np.random.Generator, colour: np.ndarray | None = None) -> Texture:
    """Painted wall: a colour with faint large-scale variation."""
    colour = random_colour(rng) if colour is None else np.asarray(colour, np.float32)
    shade = 1 + rng.uniform(0.01, 0.05) * fractal_noise(rng, 1.2)
    return _make("plaster", rng, shade[..., None] * colour, rng.uniform(0.6, 1.5))


def wood(rng: np.random.Generator) -> Texture:
    """Grain: rings distorted by stretched noise."""
    light = np.array([0.55, 0.34, 0.18]) * rng.uniform(0.35, 1.3) * (1 + 0.1 * rng.standard_normal(3))
    across = np.linspace(0, 2 * np.pi * rng.integers(3, 9), TILE, endpoint=False)[None, :]
    rings = 0.5 + 0.5 * np.sin(across + 1.8 * fractal_noise(rng, 1.8, stretch=8))
    fibre = fractal_noise(rng, 0.7, stretch=24)
    shade = 1 - rng.uniform(0.15, 0.45) * rings + 0.06 * fibre
    return _make("wood", rng, shade[..., None] * light, rng.uniform(0.4, 0.9))


def checker(rng: np.random.Generator) -> Texture:
    """Two colours in a chessboard."""
    n = int(rng.choice([2, 4, 8]))
    index = np.arange(TILE) * n // TILE
    board = (index[:, None] + index[None, :]) % 2
    return _make("checker", rng, _pair(rng)[board], rng.uniform(0.15, 0.6))


def stripes(rng: np.random.Generator) -> Texture:
    """Bands of random width and colour, as of a shelf's book spines or a curtain."""
    edges = np.sort(rng.choice(TILE, int(rng.integers(4, 24)), replace=False))
    colours = np.stack([random_colour(rng, 0.5) for _ in range(len(edges) + 1)])
    colours[-1] = colours[0]
    band = np.searchsorted(edges, np.arange(TILE))
    picture = np.broadcast_to(colours[band][None], (TILE, TILE, 3))
    return _make("stripes", rng, picture, rng.uniform(0.2, 0.8))


def tiles(rng: np.random.Generator) -> Texture:
    """Floor tiles or bricks: slightly different blocks with joints."""
    rows, columns = int(rng.choice([2, 4, 8])), int(rng.choice([2, 4]))
    joint = int(rng.integers(2, 6))
    colour, grout = random_colour(rng, 0.15), random_colour(rng, 0.0)
    y, x = np.mgrid[:TILE, :TILE]
    row = y * rows // TILE
    x = (x + (row % 2) * (TILE // columns // 2) * int(rng.integers(0, 2))) % TILE
    column = x * columns // TILE
    shade = 1 + 0.08 * rng.standard_normal((rows, columns))
    picture = shade[row, column][..., None] * colour
    in_joint = (y % (TILE // rows) < joint) | (x % (TILE // columns) < joint)
    picture[in_joint] = grout
    return _make("tiles", rng, picture, rng.uniform(0.3, 1.2))


def fabric(rng: np.random.Generator) -> Texture:
    """Carpet or cloth: strong fine-grained noise in one or two colours."""
    a, b = _pair(rng)
    fine = 0.5 + 0.35 * fractal_noise(rng, rng.uniform(0.1, 0.8))
    return _make("fabric", rng, a + (b - a) * np.clip(fine, 0, 1)[..., None], rng.uniform(0.2, 0.6))


def marble(rng: np.random.Generator) -> Texture:
    """Smooth blotches with veins."""
    a, b = _pair(rng)
    vein = np.abs(fractal_noise(rng, 1.6)) ** 0.5
    return _make("marble", rng, a + (b - a) * np.clip(vein, 0, 1)[..., None], rng.uniform(0.3, 1.0))


def spots(rng: np.random.Generator) -> Texture:
    """Discs of several sizes."""
    picture = np.empty((TILE, TILE, 3), np.float32)
    picture[:] = random_colour(rng)
    y, x = np.mgrid[:TILE, :TILE]
    for _ in range(int(rng.integers(5, 25))):
        cx, cy, radius = rng.uniform(0, TILE), rng.uniform(0, TILE), rng.uniform(6, 34)
        dx = (x - cx + TILE / 2) % TILE - TILE / 2
        dy = (y - cy + TILE / 2) % TILE - TILE / 2
        picture[dx * dx + dy * dy < radius * radius] = random_colour(rng, 0.5)
    return _make("spots", rng, picture, rng.uniform(0.15, 0.7))


def printed(rng: np.random.Generator) -> Texture:
    """A poster, label or page: blocks of colour and lines of small dark marks."""
    picture = np.empty((TILE, TILE, 3), np.float32)
    picture[:] = random_colour(rng, 0.1) * 0.3 + 0.6
    for _ in range(int(rng.integers(2, 8))):
        x, y = rng.integers(0, TILE, 2)
        width, height = rng.integers(12, TILE // 2, 2)
        picture[y : y + height, x : x + width] = random_colour(rng, 0.6)
    pitch = int(rng.integers(8, 16))
    for y in range(pitch, TILE - pitch, pitch):
        if rng.random() < 0.35:
            continue
        x = int(rng.integers(8, 40))
        while x < TILE - 24:
            width = int(rng.integers(3, 16))
            picture[y : y + pitch // 2, x : x + width] *= 0.2
            x += width + int(rng.integers(2, 5))
    return _make("printed", rng, picture, rng.uniform(0.2, 0.8))


GENERATORS: dict[str, Callable[[np.random.Generator], Texture]] = {
    "plain": plain,
    "plaster": plaster,
    "wood": wood,
    "checker": checker,
    "stripes": stripes,
    "tiles": tiles,
    "fabric": fabric,
    "marble": marble,
    "spots": spots,
    "printed": printed,
}
"""Texture generators by name; each takes a NumPy Generator."""


def random_texture(rng: np.random.Generator, names: tuple[str, ...] | None = None) -> Texture:
    """A texture from one of `GENERATORS`, chosen among `names` (default: all).

    Raises:
        KeyError: a name is not in `GENERATORS`.
    """
    names = tuple(GENERATORS) if names is None else names
    return GENERATORS[names[int(rng.integers(len(names)))]](rng)


def _pair(rng: np.random.Generator) -> np.ndarray:
    """Two colours (2, 3) whose brightness differs enough to be told apart."""
    a = random_colour(rng)
    b = random_colour(rng)
    if abs(float(a.mean() - b.mean())) < 0.1:
        b = np.clip(b + (0.25 if a.mean() < 0.5 else -0.25), 0.03, 0.9)
    return np.stack([a, b]).astype(np.float32)


def _infrared(rng: np.random.Generator, colour: np.ndarray) -> float:
    # Dyes that look black are often bright in the near infrared, and the reverse: only half follows the colour.
    return float(np.clip(0.5 * np.mean(colour) + 0.5 * rng.uniform(0.05, 1.0), 0.02, 1.0))


def _make(name: str, rng: np.random.Generator, picture: np.ndarray, size: float) -> Texture:
    return Texture(_pyramid(picture), float(size), _infrared(rng, picture.mean(axis=(0, 1))), name)
