"""Fixtures of every test, and which tests share a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # pytest's importlib mode leaves it off the path, and `frame_makers` is for all folders


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets, $DEPTH_SR_DATA, else ../shared/data beside the checkout; skips where none is."""
    root = Path(os.environ.get("DEPTH_SR_DATA") or HERE.parents[1] / "shared" / "data").resolve()
    if not root.is_dir():
        pytest.skip(f"no real data at {root}: set DEPTH_SR_DATA to the folder that holds the data sets")
    return root


@pytest.fixture(scope="session")
def data_set(data_root: Path) -> Callable[[str], Path]:
    """The folder of one data set under `data_root`; skips where it is not."""

    def find(name: str) -> Path:
        if not (data_root / name).is_dir():
            pytest.skip(f"no {name} under {data_root}: set DEPTH_SR_DATA to the folder that holds it")
        return data_root / name

    return find


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run, whichever tests run: a failure can be looked at again."""
    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-scores", action="store_true", help="measure the scores in all cards, not of a few")
    parser.addoption(
        "--device",
        choices=("cpu", "cuda", "all"),
        default="cpu",
        help="where the tests that take a `device` run: cpu (default), cuda, or all for both",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("device")
        names = ("cpu", "cuda") if chosen == "all" else (chosen,)
        marks = {"cpu": (), "cuda": pytest.mark.cuda}
        metafunc.parametrize("device", [pytest.param(name, marks=marks[name]) for name in names], indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Each device of `--device`. On CUDA float32 is float32 for a test's duration, not TF32."""
    if request.param == "cuda":
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    return torch.device(request.param)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")


def process_of(nodeid: str) -> str:
    """Tests of one name share a process, where there are several: those of a file, and all that start ROS nodes.

    Nodes and module-wide fixtures are then started once, and nodes never compete with each other for the processor.
    """
    file = nodeid.split("::")[0]
    return "ros" if _starts_nodes(file) else file


@cache
def _starts_nodes(file: str) -> bool:
    return "pytest.mark.ros" in (HERE.parent / file).read_text()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes, what starts nodes comes first: it waits most, and should not be waited for at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: process_of(item.nodeid) != "ros")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Hand out tests by `process_of` (xdist's own groups are lost with pytest 9.2)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByProcess(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return process_of(nodeid)

    return ByProcess(config, log)
