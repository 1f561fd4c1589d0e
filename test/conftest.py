"""Fixtures of every test, and which tests share a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run, whichever tests run: a failure can be looked at again."""
    torch.manual_seed(0)


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
