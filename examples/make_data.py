"""Make the images in examples/data: a synthetic desk as a depth camera and two colour cameras see it.

    .venv/bin/python examples/make_data.py [FOLDER]

depth.png        60 x 45, 16-bit millimetres, 0 invalid: with noise, flying pixels and holes
rgb.jpg          240 x 180, from the same viewpoint (registered)
rgb_beside.jpg   240 x 180, from a camera 40 mm to the right (not registered; its pose is in own_camera.yaml)
truth.png        240 x 180, 16-bit millimetres: the exact depth
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2

from depth_sr_ros.files import write_depth
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene
from depth_sr_ros.synthetic.scene import Motion

SEED, SCALE, WIDTH, HEIGHT = 7, 4, 240, 180
BESIDE = (0.04, 0.0, 0.0)  # the second colour camera in the depth camera's frame, metres


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    camera = default_camera(WIDTH, HEIGHT)
    scene = random_scene(SEED, "desk", motion=0.0)
    frame = scene.render(camera)
    write_depth(folder / "depth.png", DepthCamera(SCALE).observe_frame(frame, SEED))
    write_depth(folder / "truth.png", frame.depth)
    # a quarter of a swing of this size puts the camera BESIDE its place
    beside = replace(scene, sway=Motion(BESIDE, period=4.0)).render(camera, time=1.0)
    for name, rgb in (("rgb.jpg", frame.rgb), ("rgb_beside.jpg", beside.rgb)):
        cv2.imwrite(str(folder / name), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    print(f"{', '.join(path.name for path in sorted(folder.iterdir()))} in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
