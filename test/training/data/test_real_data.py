"""On the real third-size Middlebury scenes and MSG-Net's files, where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.data import DepthSRData, create_source
from training.data.check import check
from training.data.splits import MSGNET_SCENES, VALIDATION_SCENES


def test_check_finds_everything(real_data):
    found = {(f.layout, f.samples, len(f.missing)) for f in check(real_data) if f.path}
    assert {("middlebury2006", 42, 0), ("msgnet", 70, 0)} <= found


@pytest.mark.parametrize("number", [65, 70])
def test_the_msgnet_files_show_the_scenes_that_the_table_says(real_data, number):
    depth = create_source("msgnet", root=real_data / "msgnet_depth", first=number, last=number)[0].depth
    third = create_source("middlebury2006", root=real_data / "middlebury2006_third", views=(1,))
    correlation = {}
    for index in range(len(third)):
        disparity = third[index].depth
        small = cv2.resize(depth, disparity.shape[::-1], interpolation=cv2.INTER_NEAREST)
        both = np.isfinite(small) & np.isfinite(disparity)
        correlation[third.scene_of(index)] = np.corrcoef(small[both], disparity[both])[0, 1]
    best = max(correlation, key=correlation.get)
    assert best == MSGNET_SCENES[number] and correlation[best] > 0.97


def test_a_training_set_of_real_scenes(real_data):
    sources = [
        create_source("middlebury2006", root=real_data / "middlebury2006_third"),
        create_source("msgnet", root=real_data / "msgnet_depth", first=59),
    ]
    data = DepthSRData(sources, scale=8, patch=128, batch_size=8, patches_per_epoch=80)
    data.setup("fit")
    assert len(data._train.store) == 34 + 12
    for batch in data.train_dataloader():
        assert batch["depth_lr"].shape == (8, 1, 16, 16) and batch["depth_lr"].isfinite().all()
        assert batch["valid"].float().mean() > 0.8
    frames = list(data.val_dataloader())
    assert len(frames) == 8 and {f["name"][0].rsplit("/", 1)[0] for f in frames} == set(VALIDATION_SCENES)
    assert all(frame["range"] > 50 for frame in frames)  # 8-bit disparities
