"""A data set of two small scenes, made in memory, and trainers that log nothing."""

from __future__ import annotations

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from training.data import DepthSRData, RGBDSample, Source

NARROW = {"width": 4, "width_lr": 4, "units": 2}


class Steps(Source):
    """Scenes of two planes with a slanted edge; the colour's edge is the depth's, with texture beside it."""

    layout = "steps"

    def __init__(self, size: int = 64, count: int = 2, colour: bool = True) -> None:
        self.size, self.count, self.colour = size, count, colour

    @property
    def names(self) -> list[str]:
        return [f"step{i}" for i in range(self.count)]

    @property
    def has_guide(self) -> bool:
        return self.colour

    def __getitem__(self, index: int) -> RGBDSample:
        if index >= self.count:
            raise IndexError(index)
        rng = np.random.default_rng(index)
        y, x = np.mgrid[: self.size, : self.size].astype(np.float32)
        near = x + (0.3 + 0.3 * index) * y > 0.7 * self.size
        depth = np.where(near, 60.0, 160.0 + 0.4 * y).astype(np.float32)
        guide = (np.where(near, 200, 60)[..., None] + rng.integers(0, 30, (self.size, self.size, 3))).astype(np.uint8)
        return RGBDSample(depth, guide if self.colour else None, self.names[index], "disparity")


def data(scale: int = 2, patch: int = 16, batches: int = 4, **options) -> DepthSRData:
    """Batches of two patches; validation on one scene."""
    defaults = {"sources": [Steps()], "validation_scenes": ["steps/step1"]}
    return DepthSRData(**(defaults | options), scale=scale, patch=patch, batch_size=2, patches_per_epoch=2 * batches)


def trainer(tmp_path, **options) -> L.Trainer:
    """On the CPU, silent, with its files under `tmp_path`."""
    defaults = {"devices": 1, "max_epochs": 1, "logger": False, "enable_checkpointing": False}
    return L.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
        **(defaults | options),
    )


def checkpoint_at(folder, step: int) -> dict:
    """Trainer options that write `folder`/stopped.ckpt after training step `step`: what a killed run leaves."""
    saving = ModelCheckpoint(folder, "stopped", every_n_train_steps=step, save_top_k=1, enable_version_counter=False)
    return {"enable_checkpointing": True, "callbacks": [saving]}


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether all tensors of both are bit-identical."""
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def batch(scale: int = 2, size: int = 16, seed: int = 0, guided: tuple[bool, ...] = (True, False, True)) -> dict:
    """A batch as the data module makes it, of random numbers, with some invalid pixels."""
    g = torch.Generator().manual_seed(seed)
    count = len(guided)
    return {
        "depth_lr": torch.rand(count, 1, size // scale, size // scale, generator=g),
        "depth_hr": torch.rand(count, 1, size, size, generator=g),
        "valid_lr": torch.ones(count, 1, size // scale, size // scale, dtype=torch.bool),
        "valid": torch.rand(count, 1, size, size, generator=g) > 0.1,
        "guide": torch.rand(count, 3, size, size, generator=g),
        "has_guide": torch.tensor(guided),
        "offset": torch.zeros(count),
        "range": torch.full((count,), 255.0),
        "level": torch.full((count,), 1 / 255),
        "frame": torch.tensor([0.0, 1.0, 0.5, 0.3]).repeat(count, 1),
        "name": [f"random{i}" for i in range(count)],
        "normalise": ["range"] * count,
    }
