"""A network of your own: register it, train it a little on the example image, save it, run it like any other.

.venv/bin/python examples/add_network.py [OUTPUT_FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.files import read_depth
from depth_sr_ros.models import ResidualNetwork, create_model, register_model
from depth_sr_ros.resize import block_mean
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights

SCALE, STEPS = 4, 300


@register_model
class TinyNet(ResidualNetwork):
    """Two convolutions; ResidualNetwork normalises depth and adds their output to the bicubic upsampling."""

    name = "tiny_net"
    scales = (SCALE,)
    sizes = ("lite",)

    def __init__(self, scale: int, size: str = "lite"):
        super().__init__(scale, size)
        first, last = nn.Conv2d(1, 24, 5, padding=2), nn.Conv2d(24, scale**2, 3, padding=1)
        self.layers = nn.Sequential(first, nn.ReLU(), last, nn.PixelShuffle(scale))

    def detail(self, depth: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        return self.layers(depth)


def main(folder: Path) -> None:
    truth = read_depth(Path(__file__).parent / "data" / "truth.png")
    depth_hr = torch.from_numpy(truth)[None, None]  # (B, 1, H, W)
    depth_lr, model = block_mean(depth_hr, SCALE), create_model("tiny_net", SCALE)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(STEPS):
        loss = nn.functional.l1_loss(model(depth_lr), depth_hr)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    card = ModelCard(
        method="tiny_net", scale=SCALE, size="lite", data="examples", lr_kernel="block mean", steps=STEPS, date="today"
    )
    weights = save_weights(model, folder / "tiny_net_lite_x4.safetensors", card)
    for method, file in (("bicubic", "auto"), ("tiny_net", weights)):
        result = DepthUpsampler(method, SCALE, weights=file).upsample(depth_lr[0, 0].numpy())
        print(f"{method}: mean error {1000 * np.abs(result - truth).mean():.1f} mm on the image it was trained on")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("examples_out"))
