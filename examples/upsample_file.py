"""One depth image to four times its size, guided by a colour image and from depth alone.

    .venv/bin/python examples/upsample_file.py [OUTPUT_FOLDER]

The command line does the same for one method:

    .venv/bin/depth-sr upsample examples/data/depth.png --guide examples/data/rgb.jpg --scale 4 -o depth_hr.png
"""

import sys
from pathlib import Path

import numpy as np

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.files import read_depth, read_guide, write_depth

DATA = Path(__file__).parent / "data"


def main(folder: Path) -> None:
    depth = read_depth(DATA / "depth.png")  # (45, 60) float32 metres, NaN where the camera saw nothing
    guide = read_guide(DATA / "rgb.jpg")  # (180, 240, 3) uint8 RGB, in the depth camera's view
    truth = read_depth(DATA / "truth.png")
    for method in ("bicubic", "dsrnet", "dada"):
        upsampler = DepthUpsampler(method, scale=4)
        result = upsampler.upsample(depth, guide if upsampler.requires_guide else None)
        path = folder / f"{method}.png"
        write_depth(path, result)
        error_mm = 1000 * np.nanmean(np.abs(result - truth))
        holes = 100 * np.isnan(result).mean()
        print(f"{path}: {result.shape[1]} x {result.shape[0]}, mean error {error_mm:.1f} mm, {holes:.1f} % holes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("examples_out"))
