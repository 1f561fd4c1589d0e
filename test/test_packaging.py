"""What colcon and pip install: all of the package, under names of its own, and as package.xml says."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package

import depth_sr_ros

ROOT = Path(__file__).parents[1]
FOLDERS = {name: ROOT / name for name in ("depth_sr_ros", "training")}
IMPORT_NAMES = {"opencv-contrib-python-headless": "cv2", "Pillow": "PIL", "rosbags-image": "rosbags"}
OPTIONAL = {"onnxruntime", "openvino", "tf2_ros"}
"""Used where installed; the code that imports them says what to do without."""


@pytest.fixture(scope="module")
def setup_data():
    pytest.importorskip("setuptools", reason="needs setuptools, which brings distutils where Python has none")
    from distutils.core import run_setup

    here = Path.cwd()
    os.chdir(ROOT)
    try:
        return run_setup("setup.py", stop_after="init")
    finally:
        os.chdir(here)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The package as `setup.py build` leaves it, outside the checkout."""
    base = tmp_path_factory.mktemp("build")
    build = f"setup.py -q egg_info --egg-base {base} build --build-base {base} --build-lib {base / 'lib'}"
    done = subprocess.run([sys.executable, *build.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return base / "lib"


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.mark.parametrize("package", FOLDERS)
def test_every_file_of_a_package_is_installed(built, package):
    assert files(built / package) == files(FOLDERS[package])


def test_what_package_data_names_exists(setup_data):
    for package, patterns in setup_data.package_data.items():
        unmatched = [pattern for pattern in patterns if not list(FOLDERS[package].glob(pattern))]
        assert not unmatched, package
    for name in ("published.yaml", "tuned.json"):
        assert (FOLDERS["training"] / "benchmark" / name).is_file()


def test_the_installed_training_imports_itself_and_not_the_checkout(built, tmp_path):
    code = "import training.data, depth_sr_ros; print(training.data.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(built)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(built)


def test_package_xml_is_valid_and_agrees_with_setup_py(setup_data):
    package = parse_package(str(ROOT / "package.xml"))
    package.validate()
    assert package.package_format == 3
    assert package.licenses == ["Apache-2.0"] == [setup_data.get_license()]
    assert package.name == setup_data.get_name() == "depth_sr_ros"
    assert package.version == setup_data.get_version() == depth_sr_ros.__version__
    assert package.maintainers[0].email == setup_data.get_maintainer_email()
    assert package.get_build_type() == "ament_python"


def test_package_xml_splits_run_and_test_dependencies():
    package = parse_package(str(ROOT / "package.xml"))
    run = {dependency.name for dependency in package.exec_depends}
    test = {dependency.name for dependency in package.test_depends}
    assert {"rclpy", "sensor_msgs", "sensor_msgs_py", "cv_bridge", "std_srvs", "diagnostic_msgs"} <= run
    assert {"launch", "launch_ros"} <= run
    assert {"launch_testing", "python3-pytest"} <= test
    assert not run & test


def test_every_import_of_the_runtime_package_is_declared(setup_data):
    package = parse_package(str(ROOT / "package.xml"))
    required = [re.split(r"[\[<>=]", name)[0] for name in setup_data.install_requires]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in required}
    declared |= {dependency.name for dependency in package.exec_depends} | set(sys.stdlib_module_names) | OPTIONAL
    missing = {}
    for path in FOLDERS["depth_sr_ros"].rglob("*.py"):
        for name in imported(path) - declared - {"depth_sr_ros", "training"}:
            missing[name] = str(path.relative_to(ROOT))
    assert not missing


def test_requirements_txt_installs_what_setup_py_asks_for(setup_data):
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    installed = {re.split(r"[\[<>=]", line)[0].lower() for line in lines if line and not line.startswith("#")}
    extras = [name for names in setup_data.extras_require.values() for name in names]
    asked = {re.split(r"[\[<>=]", name)[0].lower() for name in [*setup_data.install_requires, *extras]}
    assert asked <= installed


def test_console_scripts_exist(setup_data):
    scripts = setup_data.entry_points["console_scripts"]
    assert [line.split(" = ")[0] for line in scripts] == ["sr_node", "depth-sr"]
    for line in scripts:
        module, function = line.split(" = ")[1].split(":")
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
        assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body), line


def imported(path: Path) -> set[str]:
    """Top-level names of the absolute imports of a file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names
