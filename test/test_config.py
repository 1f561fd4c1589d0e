"""config/ and launch/ against the code: names, defaults and topics cannot drift apart."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from depth_sr_ros.inference.settings import parameter_table

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
CAMERAS = sorted((CONFIG / "cameras").glob("*.yaml"))


@pytest.fixture(scope="module")
def settings():
    return {spec.name: spec.default for spec in parameter_table()}


@pytest.fixture(scope="module")
def launch_file():
    """The literal tables of launch/sr.launch.py, read without the package launch, which PyPI does not have."""
    tree = ast.parse((ROOT / "launch" / "sr.launch.py").read_text())
    tables = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            tables[target.id] = [ast.literal_eval(key) for key in node.value.keys]
    return tables


def test_the_parameter_file_has_every_parameter_with_its_default(settings):
    written = yaml.safe_load((CONFIG / "depth_sr.yaml").read_text())["/**"]["ros__parameters"]
    assert sorted(written) == sorted(settings)
    for name, default in settings.items():
        expected = list(default) if isinstance(default, tuple) else default
        assert written[name] == expected and type(written[name]) is type(expected), name


def test_every_parameter_is_commented():
    commented = False
    for line in (CONFIG / "depth_sr.yaml").read_text().splitlines()[6:]:
        if re.match(r"    # (?!.*---)", line):
            commented = True
        elif re.match(r"    \w+:", line):
            assert commented, f"no comment above {line.strip()!r}"
        elif not line:
            commented = False


def test_launch_arguments_are_parameters_of_the_node(settings, launch_file):
    assert launch_file["OVERRIDES"] and set(launch_file["OVERRIDES"]) <= set(settings)


@pytest.mark.parametrize("path", CAMERAS, ids=lambda path: path.stem)
def test_a_camera_names_every_input_by_an_absolute_topic(path, launch_file):
    topics = yaml.safe_load(path.read_text())
    assert list(topics) == launch_file["TOPICS"]
    for topic in topics.values():
        assert re.fullmatch(r"(/[a-z][a-z0-9_]*)+", topic), topic
    assert len(set(topics.values())) == len(topics)


def test_there_are_cameras():
    assert {"realsense", "azure_kinect", "orbbec", "zed", "oak_d"} <= {path.stem for path in CAMERAS}


def test_the_fast_dds_profile_holds_a_4k_depth_image():
    tree = ElementTree.parse(CONFIG / "fastdds_large_data.xml")
    name = {"dds": "http://www.eprosima.com"}
    (segment,) = tree.findall(".//dds:segment_size", name)
    assert int(segment.text) >= 3840 * 2160 * 4
    declared = {element.text for element in tree.findall(".//dds:transport_descriptor/dds:transport_id", name)}
    used = {element.text for element in tree.findall(".//dds:userTransports/dds:transport_id", name)}
    assert used == declared
    (participant,) = tree.findall(".//dds:participant", name)
    assert participant.get("is_default_profile") == "true"
