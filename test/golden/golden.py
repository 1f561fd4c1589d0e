"""What shipped weights give on a fixed small input, stored beside this file: one .npy per weights file.

After an intended change of outputs (new weights, another network), write them anew from the repository's root::

    python test/golden/golden.py [WEIGHTS ...]     # stems of weights files; default: all that ship

and commit the .npy files together with the change that explains them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.resize import block_mean
from depth_sr_ros.zoo.card import ModelCard, read_card
from depth_sr_ros.zoo.choice import WEIGHTS_DIR

FOLDER = Path(__file__).parent
LR_SIZE = {2: (20, 24), 4: (10, 12), 8: (8, 10), 16: (5, 6)}
"""Height and width of the LR input by scale: outputs of up to 80 x 96 pixels."""


def shipped() -> list[str]:
    """Stems of the weights files that ship."""
    return sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def scene(scale: int) -> tuple[np.ndarray, np.ndarray]:
    """A slanted wall with a nearer box before it, in metres: LR depth (h, w) float32 and guide (H, W, 3) uint8."""
    height, width = (scale * side for side in LR_SIZE[scale])
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    box = (x > 0.35) & (x + 0.3 * y < 0.9) & (y > 0.3)
    depth = np.where(box, 1.1 + 0.1 * y, 2.0 + 0.5 * x - 0.2 * y)
    colour = np.where(box[..., None], (180, 90, 40), (70, 110, 150)) + 30 * np.stack([x, y, x * y], -1)
    return block_mean(depth, scale).astype(np.float32), np.round(colour).astype(np.uint8)


def output(stem: str, device: str = "cpu") -> np.ndarray:
    """What the weights file gives for `scene`: (H, W) float32 metres, computed in float32.

    A diffusion is solved far below its usual tolerance, so that this is its equilibrium and not the solver's way there.
    """
    path = WEIGHTS_DIR / f"{stem}.safetensors"
    card: ModelCard = read_card(path)
    upsampler = DepthUpsampler(
        card.method, card.scale, device=device, size=card.size, precision="float32", weights=path, max_iterations=5000
    )
    if hasattr(upsampler.model, "tolerance"):
        upsampler.model.tolerance = 1e-6
    depth, guide = scene(card.scale)
    return upsampler.upsample(depth, guide if upsampler.requires_guide else None)


def main(stems: list[str]) -> None:
    for stem in stems or shipped():
        np.save(FOLDER / f"{stem}.npy", output(stem))
        print(f"wrote {FOLDER / stem}.npy")


if __name__ == "__main__":
    main(sys.argv[1:])
