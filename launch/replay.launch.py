"""Play a recording through the node and score the result: `depth-sr replay --live` as a launch file.

Writes metrics.json and panel.png to `out`, then everything ends.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

HERE = Path(__file__).parent


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument("bag", description="rosbag2 folder, or its .mcap or .db3 file"),
        DeclareLaunchArgument("out", default_value="replay_out", description="folder for metrics.json and panel.png"),
        DeclareLaunchArgument("rate", default_value="1.0", description="playing speed"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument("mode", default_value="auto", description="auto, single or guided"),
        DeclareLaunchArgument("scale", default_value="4", description="output size over input size"),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(HERE.parent / "config" / "depth_sr.yaml"),
            description="YAML file with the node's parameters",
        ),
    ]
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(HERE / "sr.launch.py")),
        launch_arguments={
            name: LaunchConfiguration(name) for name in ("namespace", "mode", "scale", "params_file")
        }.items(),
    )
    replay = ExecuteProcess(
        cmd=[
            ExecutableInPackage(package="depth_sr_ros", executable="depth-sr"),
            "replay",
            LaunchConfiguration("bag"),
            "--live",
            "--external",
            "--namespace",
            LaunchConfiguration("namespace"),
            "--rate",
            LaunchConfiguration("rate"),
            "--scale",
            LaunchConfiguration("scale"),
            "--out",
            LaunchConfiguration("out"),
        ],
        output="screen",
    )
    done = OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown(reason="the recording was played"))])
    return LaunchDescription([*arguments, node, RegisterEventHandler(done), replay])
