"""Depth super-resolution data for Lightning: sources in, batches out, with a fixed validation split."""

from __future__ import annotations

import math

import lightning as L
import numpy as np
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from .augment import Augment
from .degradations import Degrader
from .loader import PatchLoader, PatchSampler
from .noise_levels import SensorNoise
from .patches import FrameDataset, Normalise, PatchDataset, check_geometry
from .sample import RGBDSample, Source
from .soft_edges import SoftEdges
from .splits import VALIDATION_SCENES, refuse_test_scenes
from .store import SampleStore


class DepthSRData(L.LightningDataModule):
    """Training patches, validation frames and test frames.

    A batch is a dict: `depth_lr` (B, 1, h, w) and `depth_hr` (B, 1, H, W) float32 without NaN, `valid_lr` and `valid`
    bool of the same shapes (False: filled, keep out of the loss), `guide` (B, 3, H, W) in [0, 1] and `has_guide` (B,)
    with `with_guide`, `offset` and `range` (B,) float32 (value in the data's unit = tensor * range + offset), `level`
    (B,) float32 (one level of an 8-bit image that holds the map, in the tensors' unit), `sigma` (B, 1, h, w)
    with `sensor_noise`, `name` and `normalise` (the
    argument below) lists of B strings. Training batches hold patches, and `frame` (B, 4) as `PatchDataset` says;
    validation and test batches one whole frame.
    """

    def __init__(
        self,
        sources: list[Source],
        *,
        scale: int = 4,
        patch: int = 256,
        batch_size: int = 8,
        patches_per_epoch: int = 10_000,
        degradation: Degrader | None = None,
        validation_degradation: Degrader | None = None,
        augment: Augment | None = None,
        soft_edges: SoftEdges | None = None,
        sensor_noise: SensorNoise | None = None,
        normalise: Normalise = "range",
        with_guide: bool = True,
        require_guide: bool = False,
        max_invalid: float = 0.1,
        source_weights: list[float] | None = None,
        validation_scenes: list[str] | None = None,
        validation_sources: list[Source] | None = None,
        validation_zoom: float = 1.0,
        test_sources: list[Source] | None = None,
        num_workers: int = 0,
        cache_gb: float = 4.0,
        seed: int = 0,
    ) -> None:
        """Check everything that can be checked without decoding a file.

        Args:
            sources: what to train on; scenes of the validation split are taken out.
            scale: 2, 4, 8 or 16.
            patch: side of a training patch in HR pixels (the papers: 256); a multiple of the scale.
            batch_size: patches per step and device.
            patches_per_epoch: over all devices.
            degradation: how LR patches are made; None: MATLAB bicubic, the papers' setting.
            validation_degradation: the same for validation and test; None: MATLAB bicubic.
            augment: None: 180-degree rotation and flips, the papers' setting.
            soft_edges: blur of training patches; None: none.
            sensor_noise: of training patches' low-resolution maps, of known strength; None: none.
            normalise: "range" (each map's values to [0, 1], the papers), "max" (divided by the map's greatest
                value, for methods that need positive depth) or "none".
            with_guide: put colour into the batch; without it training of depth-only networks is faster.
            require_guide: leave out every sample without colour.
            max_invalid: largest invalid share (0-1) of a training patch.
            source_weights: share of the patches per source; None: by the number of disjoint patches.
            validation_scenes: scenes held out of `sources` and validated on, as "<data set>/<scene>"; None: the
                fixed split, `splits.VALIDATION_SCENES`.
            validation_sources: validated on as a whole, in addition; their scenes are held out of `sources` too.
            validation_zoom: validate on the frames' central squares shown that many times as large: third-size
                Middlebury at 3 is as large as the benchmark. Test frames stay as they are, and such a score goes on no
                card.
            test_sources: for the test loader alone; the only place for Middlebury 2005.
            num_workers: processes that make patches; 0 makes them in the training process. The patches are the
                same whatever the number.
            cache_gb: memory for decoded samples, in gigabytes; the rest is decoded again at each access. Every map is
                decoded once in `setup` whatever this is, so that all of them are checked before the training starts.
            seed: of everything random.

        Raises:
            ValueError: impossible scale, patch, batch size or zoom, no source, a Middlebury 2005 scene to train on.
        """
        super().__init__()
        check_geometry(scale, patch)
        if not sources and not test_sources:
            raise ValueError("DepthSRData needs at least one source; see training.data.list_sources()")
        if batch_size < 1 or patches_per_epoch < batch_size:
            raise ValueError(
                f"an epoch needs at least one batch: batch_size={batch_size}, patches_per_epoch={patches_per_epoch}"
            )
        if require_guide and not with_guide:
            raise ValueError("require_guide=True asks for colour and with_guide=False takes it out: drop one")
        if not (validation_zoom >= 1 and math.isfinite(validation_zoom)):
            raise ValueError(f"validation_zoom enlarges, so it is at least 1, got {validation_zoom}")
        self.validation_zoom = validation_zoom
        self.sources, self.test_sources = list(sources), list(test_sources or [])
        self.validation_sources = list(validation_sources or [])
        for source in (*self.sources, *self.validation_sources):
            refuse_test_scenes(source)
        self.scale, self.patch, self.batch_size = scale, patch, batch_size
        self.patches_per_epoch, self.num_workers, self.seed = patches_per_epoch, num_workers, seed
        self.degradation = degradation or Degrader()
        self.validation_degradation = validation_degradation or Degrader()
        self.augment, self.normalise = augment or Augment(), normalise
        self.soft_edges, self.sensor_noise = soft_edges, sensor_noise
        self.with_guide, self.require_guide = with_guide, require_guide
        self.max_invalid, self.source_weights, self.cache_bytes = max_invalid, source_weights, cache_gb * 1e9
        self.validation_scenes = tuple(VALIDATION_SCENES if validation_scenes is None else validation_scenes)
        self._train: PatchDataset | None = None
        self._validation: FrameDataset | None = None
        self._test: FrameDataset | None = None

    def setup(self, stage: str | None = None) -> None:
        """Decode what `stage` needs (once) and check it.

        Maps that cannot serve (no valid pixel, smaller than a patch, without colour where `require_guide` asks for it)
        are left out with a warning that counts and names them.

        Raises:
            ValueError: a damaged file; or no map is left to train on, with the count of each reason.
        """
        if stage in (None, "fit") and self._train is None:
            self._train = self._training_patches()
        if stage in (None, "fit", "validate") and self._validation is None:
            self._validation = self._frames(
                self.sources, self.validation_scenes, self.validation_sources, self.validation_zoom
            )
            if len(self._validation) == 0:
                rank_zero_warn(
                    "No validation frame: none of the sources holds a scene of validation_scenes "
                    f"({', '.join(self.validation_scenes) or 'none given'}) and validation_sources has none either."
                )
            else:
                rank_zero_info(f"Validation: {self.validation_protocol}.")
        if stage in (None, "test") and self._test is None:
            self._test = self._frames([], (), self.test_sources)

    @property
    def validation_protocol(self) -> str:
        """How validation frames become small and are scored: what to compare with a benchmark's line `Protocol`."""
        kernels = ", ".join(choice.kernel for choice in self.validation_degradation.kernels)
        noise = " with sensor noise" if self.validation_degradation.noise else ""
        return (
            f"LR by {kernels}{noise}; val_mad of results that are not rounded, val_mad_8bit of results rounded to "
            "whole levels of an 8-bit image as the benchmark rounds disparities; scored where the ground truth and "
            "the LR pixel are valid"
        )

    def _training_patches(self) -> PatchDataset:
        held_out = set(self.validation_scenes)
        held_out.update(s.scene_of(i) for s in self.validation_sources for i in range(len(s)))
        store = SampleStore(
            self.sources,
            lambda scene: scene not in held_out,
            self.require_guide,
            self.cache_bytes,
            self._smaller_than_patch,
        )
        if store.items and (faults := store.faults()):
            rank_zero_warn(f"Maps that are not trained on: {faults}.")
        rank_zero_info(f"Training on {len(store)} maps of {len(self.sources)} sources.")
        return PatchDataset(
            store,
            scale=self.scale,
            patch=self.patch,
            count=self.patches_per_epoch,
            degrader=self.degradation,
            augment=self.augment,
            soft_edges=self.soft_edges,
            sensor_noise=self.sensor_noise,
            normalise=self.normalise,
            with_guide=self.with_guide,
            max_invalid=self.max_invalid,
            source_weights=self.source_weights,
            seed=self.seed,
        )

    def _frames(
        self, split: list[Source], scenes: tuple[str, ...], whole: list[Source], enlarge: float = 1.0
    ) -> FrameDataset:
        """Frames of the `scenes` in `split`, and all of `whole`."""
        store = SampleStore(
            split, lambda scene: scene in scenes, self.require_guide, self.cache_bytes, self._nothing_in_whole_cells
        )
        store.append(
            SampleStore(whole, lambda scene: True, self.require_guide, self.cache_bytes, self._nothing_in_whole_cells)
        )
        if faults := store.faults():
            rank_zero_warn(f"Maps that are not validated or tested on: {faults}.")
        return FrameDataset(
            store,
            scale=self.scale,
            degrader=self.validation_degradation,
            normalise=self.normalise,
            with_guide=self.with_guide,
            enlarge=enlarge,
            seed=self.seed,
        )

    def _smaller_than_patch(self, sample: RGBDSample) -> str | None:
        return None if min(sample.depth.shape) >= self.patch else f"smaller than a {self.patch}x{self.patch} patch"

    def _nothing_in_whole_cells(self, sample: RGBDSample) -> str | None:
        """Frames are cropped at the lower right to a multiple of the scale: a valid pixel must be left."""
        height, width = (n // self.scale * self.scale for n in sample.depth.shape)
        inside = np.isfinite(sample.depth[:height, :width]).any()
        return None if inside else f"without a valid pixel in whole {self.scale}x{self.scale} cells"

    def train_dataloader(self) -> PatchLoader:
        """Patches of the trainer's current epoch; of epoch 0 without a trainer."""
        trainer = self.trainer
        devices, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        if self.patches_per_epoch < devices * self.batch_size:
            raise ValueError(
                f"{devices} devices with batches of {self.batch_size} need at least {devices * self.batch_size} "
                f"patches per epoch, got {self.patches_per_epoch}"
            )
        assert self._train is not None  # `setup` comes first
        sampler = PatchSampler(self._train, devices, rank)
        epoch = (lambda: trainer.current_epoch) if trainer else None
        return PatchLoader(self._train, sampler, self.batch_size, epoch, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader | list:
        """One frame per batch, in a fixed order; an empty list when there is none."""
        assert self._validation is not None  # `setup` comes first
        return DataLoader(self._validation, num_workers=self.num_workers) if len(self._validation) else []

    def test_dataloader(self) -> DataLoader:
        """One frame per batch.

        Raises:
            ValueError: no test source was given.
        """
        assert self._test is not None  # `setup` comes first
        if not len(self._test):
            why = f" ({self._test.store.account()})" if self.test_sources else ""
            raise ValueError(f"nothing to test on{why}: give test_sources")
        return DataLoader(self._test, num_workers=self.num_workers)
