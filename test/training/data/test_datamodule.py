"""DepthSRData: splits, loaders, YAML, and a resumed run that sees the patches it would have seen."""

from __future__ import annotations

import warnings

import lightning as L
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import ModelCheckpoint

from training.data import DepthSRData, create_source
from training.data.degradations import RangeNoise, WeightedKernel
from training.data.splits import MSGNET_SCENES, VALIDATION_SCENES

SCENES = ("Aloe", "Baby1", "Baby3", "Lampshade2", "Monopoly", "Rocks2")


@pytest.fixture
def third(writer):
    for scene in SCENES:
        writer.third_size_scene(scene)
    return create_source("middlebury2006", root=writer.root)


def make_data(*sources, **options) -> DepthSRData:
    settings = {"scale": 4, "patch": 64, "batch_size": 2, "patches_per_epoch": 12}
    return DepthSRData(list(sources), **{**settings, **options})


def names(loader) -> set[str]:
    return {name.rsplit("/", 1)[0] for batch in loader for name in batch["name"]}


def test_the_validation_scenes_are_held_out_and_the_rest_is_trained_on(third):
    data = make_data(third, patches_per_epoch=40)
    data.setup("fit")
    assert names(data.train_dataloader()) == {"middlebury2006/Aloe", "middlebury2006/Baby1"}
    assert names(data.val_dataloader()) == set(VALIDATION_SCENES)
    batch = next(iter(data.train_dataloader()))
    assert batch["depth_lr"].shape == (2, 1, 16, 16) and batch["guide"].shape == (2, 3, 64, 64)
    assert batch["range"].shape == (2,) and len(batch["name"]) == 2


def test_copies_of_a_validation_scene_in_another_source_are_held_out_too(third, writer):
    import numpy as np
    import scipy.io

    for number in (1, 65, 66):
        scipy.io.savemat(writer.path(f"msgnet/Df_{number}.mat"), {"Df": np.random.default_rng(number).random((80, 90))})
    msgnet = create_source("msgnet", root=writer.root / "msgnet")
    data = make_data(third, msgnet, validation_scenes=["middlebury2006/Aloe"], patches_per_epoch=200, with_guide=False)
    data.setup("fit")
    trained = {item.name for item in data._train.store.items}
    assert "msgnet/Df_66" in trained and "msgnet/Df_1" in trained
    assert not any("Aloe" in name or name == "msgnet/Df_65" for name in trained)
    assert {item.name for item in data._validation.store.items} == {
        "middlebury2006/Aloe/view1",
        "middlebury2006/Aloe/view5",
        "msgnet/Df_65",
    }
    assert "guide" not in next(iter(data.train_dataloader()))
    assert not set(MSGNET_SCENES.values()) & set(VALIDATION_SCENES)  # the fixed split keeps all full-size maps


def test_extra_validation_sources_are_validated_on_whole_and_held_out(third, writer):
    extra = create_source("middlebury2006", root=writer.root, views=(1,), scenes=["Baby1"])
    data = make_data(third, validation_sources=[extra])
    data.setup("fit")
    assert names(data.train_dataloader()) == {"middlebury2006/Aloe"}
    assert names(data.val_dataloader()) == {*VALIDATION_SCENES, "middlebury2006/Baby1"}


def test_middlebury_2005_may_be_tested_on_and_nothing_else(third, writer):
    writer.disparity("2005/Books/disp1.png", (64, 72))
    writer.colour("2005/Books/view1.png", (64, 72))
    books = create_source("middlebury2005", root=writer.root / "2005")
    for options in ({"sources": [third, books]}, {"sources": [third], "validation_sources": [books]}):
        with pytest.raises(ValueError, match=r"Books.*Middlebury 2005.*test_sources"):
            DepthSRData(scale=4, patch=64, **options)
    data = make_data(third, test_sources=[books])
    data.setup("test")
    assert names(data.test_dataloader()) == {"middlebury2005/Books"}
    nothing = make_data(third)
    nothing.setup("test")
    with pytest.raises(ValueError, match="test_sources"):
        nothing.test_dataloader()


def test_a_2005_scene_copied_among_own_pairs_is_refused_too(writer):
    import numpy as np

    writer.image("my_middlebury_copy/depth/Laundry.png", np.full((70, 70), 90, np.uint8))
    own = create_source("folder", root=writer.root / "my_middlebury_copy", unit="disparity")
    with pytest.raises(ValueError, match="Laundry"):
        make_data(own)


def test_early_errors(third):
    for options, message in (
        ({"scale": 5}, "scale must be one of"),
        ({"patch": 66}, "not a multiple"),
        ({"patch": 16}, "only 4 LR pixels"),
        ({"batch_size": 0}, "at least one batch"),
        ({"patches_per_epoch": 1}, "at least one batch"),
        ({"require_guide": True, "with_guide": False}, "drop one"),
    ):
        with pytest.raises(ValueError, match=message):
            make_data(third, **options)
    with pytest.raises(ValueError, match="at least one source"):
        make_data()


def test_require_guide_drops_sources_without_colour(third, writer):
    import numpy as np
    import scipy.io

    scipy.io.savemat(writer.path("msgnet/Df_66.mat"), {"Df": np.ones((90, 90))})
    data = make_data(third, create_source("msgnet", root=writer.root / "msgnet"), require_guide=True)
    data.setup("fit")
    assert all(batch["has_guide"].all() for batch in data.train_dataloader())


def test_sources_without_a_validation_scene_train_with_a_warning(writer):
    writer.third_size_scene("Aloe")
    data = make_data(create_source("middlebury2006", root=writer.root))
    with pytest.warns(UserWarning, match="No validation frame"):
        data.setup("fit")
    assert data.val_dataloader() == []


def test_workers_make_the_same_patches(third):
    def collect(workers: int) -> list[torch.Tensor]:
        data = make_data(third, num_workers=workers)
        data.setup("fit")
        return [batch["depth_hr"] for batch in data.train_dataloader()]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert all(torch.equal(a, b) for a, b in zip(collect(0), collect(2)))


class Recorder(L.LightningModule):
    """Trains one number and remembers which patches it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, float]] = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, float(batch["depth_hr"].double().sum())))
        return ((self.weight - batch["depth_hr"].mean()) ** 2).mean()

    def validation_step(self, batch, batch_idx):
        self.log("error", (batch["depth_hr"] - self.weight).abs().mean(), batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(third, folder, steps: int, resume: str | None = None, workers: int = 0, **options) -> Recorder:
    module = Recorder()
    trainer = L.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[
            ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1),
            ModelCheckpoint(folder, filename="{epoch}", monitor="error", save_top_k=-1),
        ],
        **{"limit_val_batches": 0, **options},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, make_data(third, num_workers=workers), ckpt_path=resume)
    return module


@pytest.mark.parametrize(("stop", "workers"), [(4, 0), (6, 0), (9, 0), (9, 1)])
def test_a_resumed_run_sees_the_same_patches_and_ends_with_the_same_weights(third, tmp_path, stop, workers):
    whole = fit(third, tmp_path / "whole", 14)  # 6 batches an epoch
    assert len({value for _, value in whole.seen}) == 14
    first = fit(third, tmp_path / "first", stop)
    second = fit(third, tmp_path / "second", 14, str(tmp_path / f"first/step={stop}.ckpt"), workers)
    assert first.seen + second.seen == whole.seen
    assert torch.equal(second.weight, whole.weight)


def test_resuming_after_a_validation_and_with_a_limited_epoch(third, tmp_path):
    """The checkpoint that ends an epoch, written after its validation, starts the next epoch at its first patch."""
    options = {"limit_train_batches": 4, "limit_val_batches": 1, "num_sanity_val_steps": 0}
    whole = fit(third, tmp_path / "whole", 11, **options)
    for stop in (4, 6):
        first = fit(third, tmp_path / f"first{stop}", stop, **options)
        second = fit(third, tmp_path / f"second{stop}", 11, str(tmp_path / f"first{stop}/step={stop}.ckpt"), **options)
        assert first.seen + second.seen == whole.seen and torch.equal(second.weight, whole.weight)
    assert [epoch for epoch, _ in whole.seen] == [0] * 4 + [1] * 4 + [2] * 3
    after = fit(third, tmp_path / "after", 11, str(tmp_path / "first6/epoch=0.ckpt"), **options)
    assert after.seen == whole.seen[4:]


def test_devices_share_out_the_patches_of_one_device(third):
    from training.data.loader import PatchSampler

    data = make_data(third)
    data.setup("fit")
    shares = [list(PatchSampler(data._train, 2, rank, epoch=5)) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1]) == 6
    assert sorted(shares[0] + shares[1]) == [(5, index) for index in range(12)]


def test_yaml_names_sources_and_degradations_by_class_path(writer):
    for scene in SCENES:
        writer.third_size_scene(scene)
    parser = ArgumentParser()
    parser.add_class_arguments(DepthSRData, "data")
    config = parser.parse_string(f"""
data:
  sources:
    - class_path: Middlebury2006
      init_args: {{root: {writer.root}, size: third}}
    - {{class_path: SyntheticScenes, init_args: {{count: 2, width: 80, height: 64}}}}
  scale: 4
  patch: 64
  degradation:
    kernels:
      - {{kernel: block_mean, weight: 2}}
      - {{kernel: inter_cubic}}
    noise:
      - {{class_path: RangeNoise, init_args: {{probability: 0.5, sigma: [0.0, 0.02]}}}}
  augment: {{transpose: true, value_scale: [0.5, 1.0]}}
""")
    data = parser.instantiate_classes(config).data
    assert [source.layout for source in data.sources] == ["middlebury2006", "synthetic"]
    assert data.degradation.kernels == [WeightedKernel("block_mean", 2.0), WeightedKernel("inter_cubic", 1.0)]
    assert data.degradation.noise == [RangeNoise(0.5, (0.0, 0.02))]
    assert data.augment.transpose and data.augment.value_scale == (0.5, 1.0)
