"""Start the node `depth_sr`: `ros2 launch depth_sr_ros sr.launch.py --show-args` lists what can be set."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(__file__).parent.parent / "config"
CAMERAS = sorted(path.stem for path in (CONFIG / "cameras").glob("*.yaml"))

TOPICS = {
    "depth_image": "depth/image_raw",
    "depth_info": "depth/camera_info",
    "rgb_image": "rgb/image_raw",
    "rgb_info": "rgb/camera_info",
}
"""Launch argument of each input, and the name that the node gives it."""

PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
"""Environment variables by which a user chooses Fast DDS's transports."""


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace(",", " ").split()]


OVERRIDES: dict[str, tuple[Callable[[str], str | int | list[float]], str]] = {
    "mode": (str, "auto, single or guided"),
    "scale": (int, "output size over input size: 2, 4, 8, 16; bicubic and dada_rgb any from 1 to 32"),
    "method_single": (str, "method for depth without RGB: auto, or one that `depth-sr models` lists"),
    "method_guided": (str, "method for depth with RGB: auto, or one that `depth-sr models` lists"),
    "size": (str, "network size: lite or paper"),
    "device": (str, "auto, cpu, cuda or cuda:N"),
    "extrinsics": (
        numbers,
        "depth to RGB camera, optical frames: 'x y z qx qy qz qw', metres and quaternion; none: registered",
    ),
}
"""Launch arguments that override the parameter of the same name: how to read the text, and what it means."""


def generate_launch_description() -> LaunchDescription:
    def argument(
        name: str, default: str, description: str, choices: Sequence[str] | None = None
    ) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    return LaunchDescription(
        [
            argument("namespace", "", "namespace of the node and its relative topics"),
            argument("params_file", str(CONFIG / "depth_sr.yaml"), "YAML file with the node's parameters"),
            argument("use_sim_time", "false", "take the time from /clock", ["true", "false"]),
            argument("camera", "none", "camera driver whose topics are the inputs", ["none", *CAMERAS]),
            *(
                argument(name, "", f"topic of the node's input {topic}; empty: the camera's, else {topic}")
                for name, topic in TOPICS.items()
            ),
            *(argument(name, "", f"{text} (empty: what params_file says)") for name, (_, text) in OVERRIDES.items()),
            argument("log_level", "info", "debug, info, warn, error or fatal"),
            *large_data_profile(),
            OpaqueFunction(function=start_node),
        ]
    )


def large_data_profile() -> list[SetEnvironmentVariable]:
    """Give Fast DDS shared memory for whole images, unless the user chose a profile or transport."""
    if any(os.environ.get(name) for name in PROFILES):
        return []
    return [SetEnvironmentVariable(PROFILES[0], str(CONFIG / "fastdds_large_data.xml"))]


def start_node(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    topics = dict(TOPICS)
    if value("camera") != "none":
        topics.update(yaml.safe_load((CONFIG / "cameras" / f"{value('camera')}.yaml").read_text()))
    topics.update({name: value(name) for name in TOPICS if value(name)})

    parameters: dict[str, bool | str | int | list[float]] = {"use_sim_time": value("use_sim_time") == "true"}
    for name, (read, text) in OVERRIDES.items():
        if not value(name):
            continue
        try:
            parameters[name] = read(value(name))
        except ValueError as error:
            message = f"launch argument {name}:={value(name)} cannot be read ({error}): expected {text}"
            raise RuntimeError(message) from None

    return [
        Node(
            package="depth_sr_ros",
            executable="sr_node",
            namespace=value("namespace"),
            parameters=[value("params_file"), parameters],
            remappings=[(TOPICS[name], topic) for name, topic in topics.items() if topic != TOPICS[name]],
            arguments=["--ros-args", "--log-level", value("log_level")],
            output="screen",
            emulate_tty=True,
        )
    ]
