"""Fixtures of every test."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run, whichever tests run: a failure can be looked at again."""
    torch.manual_seed(0)
