"""Every shipped weights file gives what it gave when its output was stored: see golden.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import FOLDER, output, scene, shipped

from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo.card import read_card
from depth_sr_ros.zoo.choice import WEIGHTS_DIR

TOLERANCE = 1e-4
"""Of the output's range; other thread counts and processors sum in another order."""


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("stem", shipped())
def test_output_is_the_stored_one(stem, threads, device):
    stored = np.load(FOLDER / f"{stem}.npy")
    assert stored.dtype == np.float32
    np.testing.assert_allclose(output(stem, str(device)), stored, rtol=0, atol=TOLERANCE * np.ptp(stored))


def test_one_output_for_each_weights_file():
    assert sorted(path.stem for path in FOLDER.glob("*.npy")) == shipped()


@pytest.mark.parametrize("stem", shipped())
def test_the_stored_output_is_more_than_bicubic(stem):
    """A network whose detail was lost would still give a smooth picture of the scene."""
    scale = read_card(WEIGHTS_DIR / stem).scale
    depth, _ = scene(scale)
    stored = np.load(FOLDER / f"{stem}.npy")
    assert np.abs(stored - bicubic(depth, scale=scale)).max() > 0.02 * np.ptp(depth)
