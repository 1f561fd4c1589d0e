"""Fixtures of every test, and which tests share a process."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run, whichever tests run: a failure can be looked at again."""
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes (`make test`) a file's tests share one, and so do all that start ROS nodes.

    Nodes and module-wide fixtures are then started once, and two nodes never compete for the processor. What starts
    nodes comes first: it waits most, so that the other process has work all the time.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    live = {item.path for item in items if item.get_closest_marker("ros")}
    items.sort(key=lambda item: item.path not in live)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("ros" if item.path in live else str(item.path)))
