"""Synthetic RGB-D scenes with exact depth, and a model of a depth camera: data made by arithmetic alone.

>>> scene = random_scene(seed=7, kind="room")
>>> frame = scene.render(default_camera(640, 480), time=0.5)  # exact depth and RGB
>>> depth_lr = DepthCamera(scale=4).observe_frame(frame, seed=7)  # what a depth camera would see of it
"""

from depth_sr_ros.synthetic.rooms import KINDS, default_camera, random_scene
from depth_sr_ros.synthetic.scene import Body, Frame, Light, Motion, Scene
from depth_sr_ros.synthetic.sensor import DepthCamera, quantise_disparity, quantise_range
from depth_sr_ros.synthetic.texture import GENERATORS, Texture, random_texture

__all__ = [
    "GENERATORS",
    "KINDS",
    "Body",
    "DepthCamera",
    "Frame",
    "Light",
    "Motion",
    "Scene",
    "Texture",
    "default_camera",
    "quantise_disparity",
    "quantise_range",
    "random_scene",
    "random_texture",
]
