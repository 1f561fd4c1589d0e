"""A camera of your own whose RGB is not registered to its depth: from its calibration to a guided result.

    .venv/bin/python examples/own_camera.py [CALIBRATION.yaml]

Prints the launch line that makes the node do the same, live.
"""

import sys
from pathlib import Path

import numpy as np
import yaml

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.camera import Extrinsics, Intrinsics, project_guide
from depth_sr_ros.files import read_depth, read_guide

DATA = Path(__file__).parent / "data"
SCALE = 4


def main(calibration: Path) -> None:
    camera = yaml.safe_load(calibration.read_text())
    depth_camera, rgb_camera = Intrinsics(**camera["depth"]), Intrinsics(**camera["rgb"])
    extrinsics = Extrinsics.from_xyz_quaternion(camera["extrinsics"])
    depth, rgb, truth = (
        read(DATA / name)
        for read, name in ((read_depth, "depth.png"), (read_guide, "rgb_beside.jpg"), (read_depth, "truth.png"))
    )
    hr_camera = depth_camera.scaled(SCALE)
    guide, seen = project_guide(rgb, depth, hr_camera, rgb_camera, extrinsics)
    print(f"{100 * seen.mean():.0f} % of the depth view is seen by the RGB camera")
    results = {
        "bicubic": DepthUpsampler("bicubic", SCALE).upsample(depth),
        "RGB as it is": DepthUpsampler("dada_rgb", SCALE).upsample(depth, rgb),
        "RGB projected": DepthUpsampler("dada_rgb", SCALE).upsample(depth, guide, guide_seen=seen),
    }
    for name, result in results.items():
        print(f"{name}: mean error {1000 * np.nanmean(np.abs(result - truth)):.1f} mm")
    print(f"camera_info of the result: fx {hr_camera.fx:.1f}, cx {hr_camera.cx:.1f}, cy {hr_camera.cy:.1f}")
    topics = " ".join(f"{name}:={topic}" for name, topic in camera["topics"].items())
    numbers = " ".join(f"{number:g}" for number in camera["extrinsics"])
    print(f'ros2 launch depth_sr_ros sr.launch.py scale:={SCALE} {topics} extrinsics:="{numbers}"')


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "own_camera.yaml")
