"""Patches: what is in a batch, how holes are treated, and that randomness depends on (seed, epoch, index) alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth_sr_ros.resize import block_mean
from training.data import Augment, Degrader, DepthSRData, RGBDSample, Source
from training.data.degradations import Holes, WeightedKernel
from training.data.patches import FrameDataset, PatchDataset, check_geometry, make_tensors
from training.data.sample import DepthUnit
from training.data.store import SampleStore

BLOCK_MEAN = [WeightedKernel("block_mean")]


class InMemory(Source):
    """Samples given as arrays."""

    layout = "memory"

    def __init__(self, *samples: RGBDSample) -> None:
        self.samples = samples
        self.reads = 0

    @property
    def names(self) -> list[str]:
        return [sample.name for sample in self.samples]

    def __getitem__(self, index: int) -> RGBDSample:
        self.reads += 1
        return self.samples[index]


def make_sample(name: str, rng, shape=(120, 140), guide=True, unit="disparity") -> RGBDSample:
    depth = rng.uniform(20, 200, shape).astype(np.float32)
    colour = rng.integers(0, 256, (*shape, 3), dtype=np.uint8) if guide else None
    return RGBDSample(depth, colour, name, unit)


@pytest.fixture
def store(rng) -> SampleStore:
    source = InMemory(make_sample("a", rng), make_sample("b", rng, guide=False))
    source.samples[0].depth[:60, :20] = np.nan
    return SampleStore([source], lambda scene: True)


def make_patches(store, **options) -> PatchDataset:
    settings = {
        "scale": 4,
        "patch": 64,
        "count": 50,
        "degrader": Degrader(BLOCK_MEAN),
        "augment": Augment(),
    }
    return PatchDataset(store, **{**settings, **options})


def equal(a: dict, b: dict) -> bool:
    return all(torch.equal(a[k], b[k]) if torch.is_tensor(a[k]) else a[k] == b[k] for k in a.keys() | b.keys())


def test_a_patch_has_the_promised_shapes_and_ranges(store):
    patches = make_patches(store)
    names = set()
    for index in range(len(patches)):
        patch = patches[0, index]
        assert patch["depth_lr"].shape == (1, 16, 16) and patch["depth_hr"].shape == (1, 64, 64)
        assert patch["guide"].shape == (3, 64, 64) and patch["valid"].dtype == patch["valid_lr"].dtype == torch.bool
        for key in ("depth_lr", "depth_hr", "guide"):
            assert patch[key].dtype == torch.float32 and patch[key].isfinite().all()
            assert patch[key].min() >= 0 and patch[key].max() <= 1
        assert patch["has_guide"].item() == (patch["name"] == "memory/a") == bool(patch["guide"].any())
        assert (~patch["valid"]).float().mean() <= 0.1 + 16 * 16 / 64**2  # holes, and the LR cells at their border
        names.add(patch["name"])
    assert names == {"memory/a", "memory/b"}


def test_normalised_values_go_back_to_the_unit(store):
    sample = store.items[1].sample
    for normalise in ("range", "max", "none"):
        patches = make_patches(store, normalise=normalise, augment=Augment(False, False), patch=120)
        patch = next(p for p in (patches[0, i] for i in range(20)) if p["name"] == "memory/b")
        restored = patch["depth_hr"] * patch["range"] + patch["offset"]
        columns = [x for x in range(21) if np.allclose(restored[0].numpy(), sample.depth[:, x : x + 120], atol=1e-3)]
        assert len(columns) == 1
        if normalise == "max":
            assert patch["offset"] == 0 and patch["depth_hr"].min() > 0


def test_low_resolution_is_the_kernel_of_the_target_also_under_holes(store):
    for index in range(20):
        patch = make_patches(store, normalise="none", max_invalid=0.4)[3, index]
        target = np.where(patch["valid"][0], patch["depth_hr"][0], np.nan).astype(np.float32)
        lr, valid_lr = patch["depth_lr"][0].numpy(), patch["valid_lr"][0].numpy()
        np.testing.assert_allclose(lr[valid_lr], block_mean(target, 4)[valid_lr], rtol=1e-5)


def test_pixels_under_lost_readings_are_not_valid(rng):
    depth = rng.uniform(1, 3, (32, 32)).astype(np.float32)
    degrader = Degrader(BLOCK_MEAN, [Holes(share=0.3, speckle=0.2)])
    out = make_tensors(
        depth,
        None,
        scale=4,
        degrader=degrader,
        rng=rng,
        unit=DepthUnit("m", 3.0),
        value_range=(1.0, 3.0),
        normalise="none",
    )
    cells = out["valid_lr"].repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert not out["valid_lr"].all() and torch.equal(out["valid"], cells)
    assert out["depth_lr"].isfinite().all() and "guide" not in out


def test_randomness_is_a_function_of_seed_epoch_and_index(store):
    a, b = make_patches(store, seed=1), make_patches(store, seed=1)
    assert all(equal(a[2, i], b[2, i]) for i in range(10))
    assert not equal(a[2, 0], a[3, 0]) and not equal(a[2, 0], a[2, 1])
    assert not equal(a[2, 0], make_patches(store, seed=2)[2, 0])


def test_holes_are_avoided_where_possible_and_a_mostly_empty_map_still_serves(rng):
    sample = make_sample("sparse", rng, guide=False)
    sample.depth[:] = np.nan
    sample.depth[100:110, 100:110] = 5.0
    patches = make_patches(SampleStore([InMemory(sample)], lambda scene: True), count=30)
    shares = [patches[0, i]["valid"].float().mean() for i in range(30)]
    assert min(shares) > 0  # each patch has some of the 100 valid pixels


def test_maps_are_drawn_by_area_or_by_source_weight(rng):
    small, large = InMemory(make_sample("small", rng, (64, 64))), InMemory(make_sample("large", rng, (192, 192)))
    store = SampleStore([small, large], lambda scene: True)

    def share(**options) -> float:
        patches = make_patches(store, count=300, **options)
        return sum(patches[0, i]["name"] == "memory/small" for i in range(300)) / 300

    assert share() == pytest.approx(0.1, abs=0.05)
    assert share(source_weights=[0.7, 0.3]) == pytest.approx(0.7, abs=0.08)
    assert share(source_weights=[0, 1]) == 0
    with pytest.raises(ValueError, match="2 sources"):
        make_patches(store, source_weights=[1])
    with pytest.raises(ValueError, match="leave nothing"):
        make_patches(store, source_weights=[0, 0])


@pytest.mark.parametrize(
    ("scale", "patch", "message"),
    [
        (3, 96, "scale must be one of 2, 4, 8, 16, got 3"),
        (8, 100, "not a multiple of the scale 8: use 96"),
        (16, 96, "only 6 LR pixels.*at least 128"),
    ],
)
def test_impossible_geometry_is_refused_with_what_would_do(scale, patch, message):
    with pytest.raises(ValueError, match=message):
        check_geometry(scale, patch)


def test_a_patch_larger_than_every_map_is_refused(store):
    with pytest.raises(ValueError, match=r"256x256 patch; the largest is 120x140"):
        make_patches(store, patch=256)


def test_augmentations_move_depth_and_colour_together(rng):
    depth = rng.uniform(0, 1, (16, 16)).astype(np.float32)
    guide = np.repeat(depth[..., None], 3, axis=2)
    augment = Augment(transpose=True)
    seen = set()
    for seed in range(60):
        d, g, _ = augment(depth, guide, np.random.default_rng(seed), (0.0, 1.0), 1.0)
        assert np.array_equal(d, g[..., 0])
        seen.add(d.tobytes())
    assert len(seen) == 8  # the whole symmetry group of the square


def test_papers_augmentation_turns_by_180_degrees_and_mirrors(rng):
    depth = rng.uniform(0, 1, (16, 16)).astype(np.float32)
    out = {Augment()(depth, None, np.random.default_rng(s), (0, 1), 1.0)[0].tobytes() for s in range(40)}
    expected = (depth, depth[::-1, ::-1], depth[:, ::-1], depth[::-1])
    assert out == {np.ascontiguousarray(x).tobytes() for x in expected}


def test_inversion_value_scale_and_gain(rng):
    depth = rng.uniform(2, 6, (16, 16)).astype(np.float32)
    guide = np.full((16, 16, 3), 0.5, np.float32)
    inverted, _, _ = Augment(False, False, invert=1.0)(depth, None, np.random.default_rng(0), (2.0, 6.0), 1.0)
    np.testing.assert_allclose(inverted, 8 - depth, rtol=1e-6)
    stretch = Augment(False, False, value_scale=(0.5, 2.0))
    ratios = [stretch(depth, None, np.random.default_rng(s), (2, 6), 1.0)[0] / depth for s in range(50)]
    assert all(np.ptp(r) < 1e-5 for r in ratios) and {r.mean() < 1 for r in ratios} == {True, False}
    assert min(r.mean() for r in ratios) >= 0.5 and max(r.mean() for r in ratios) <= 2.0
    _, coloured, _ = Augment(False, False, gain=0.2)(depth, guide, np.random.default_rng(1), (2, 6), 1.0)
    assert np.ptp(coloured, axis=(0, 1)).max() < 1e-6 and np.ptp(coloured[0, 0]) > 0 and coloured.max() <= 1


@pytest.mark.parametrize("normalise", ["range", "max", "none"])
@pytest.mark.parametrize("unit", ["disparity", "m"])
def test_eight_bit_patches_stay_whole_levels_whatever_changed_them(unit, normalise):
    """And the low-resolution patch is made of the rounded one: a plane's steps are there to be found."""
    rows, columns = np.indices((96, 96), dtype=np.float32)
    plane = RGBDSample((100 + 0.31 * rows + 0.17 * columns).astype(np.float32), None, "plane", unit)
    store = SampleStore([InMemory(plane)], lambda name: True)
    level = 1.0 if unit == "disparity" else np.nanmax(plane.depth) / 255
    augment = Augment(value_scale=(0.5, 1.0), invert=0.5, zoom=(1.0, 2.5), eight_bit=0.5)
    whole = []
    for index in range(40):
        patch = make_patches(store, normalise=normalise, augment=augment)[0, index]
        assert patch["level"] * patch["range"] == pytest.approx(level, rel=1e-5)
        steps = (patch["depth_hr"].double() * patch["range"] + patch["offset"]) / level
        whole.append(bool(((steps - steps.round()).abs() < 0.01).all()))
        mean = block_mean(patch["depth_hr"][0].numpy(), 4)
        np.testing.assert_allclose(patch["depth_lr"][0].numpy(), mean, rtol=1e-5, atol=1e-6)
    assert 10 < sum(whole) < 30


def test_eight_bit_is_a_share_and_has_no_level_above_the_full_scale():
    with pytest.raises(ValueError, match="eight_bit is a share of the patches in 0-1, got 2"):
        Augment(eight_bit=2)
    with pytest.raises(ValueError, match="no room above the full scale"):
        Augment(eight_bit=0.5, value_scale=(0.5, 1.2))


def test_eight_bit_keeps_positive_depth_positive_and_draws_from_nothing_else():
    depth = np.array([[0.0, 0.3], [0.7, 5.2]], np.float32)
    rounded, plain = np.random.default_rng(3), np.random.default_rng(3)
    out, _, _ = Augment(False, False, eight_bit=1.0)(depth, None, rounded, (0.0, 5.2), 1.0)
    assert out.tolist() == [[0, 1], [1, 5]]
    Augment(False, False)(depth, None, plain, (0.0, 5.2), 1.0)
    assert rounded.random() == plain.random()


def test_a_patch_knows_the_frame_it_was_cut_from(store):
    """In its own unit, and changed as its own values were: inverted, stretched, normalised."""
    sample = store.items[1].sample
    low, high = np.nanmin(sample.depth), np.nanmax(sample.depth)
    options = {"augment": Augment(False, False, invert=0.5, value_scale=(0.5, 2.0)), "patch": 120}
    signs = set()
    for normalise in ("range", "max", "none"):
        for index in range(20):
            patch = make_patches(store, normalise=normalise, **options)[0, index]
            if patch["name"] != "memory/b":
                continue
            restored = (patch["depth_hr"][0] * patch["range"] + patch["offset"])[patch["valid"][0]].double().numpy()
            assert patch["frame"].dtype == torch.float32
            frame = (patch["frame"] * patch["range"] + patch["offset"] * torch.tensor([1, 1, 1, 0])).double().numpy()
            factor = (frame[1] - frame[0]) / (high - low)
            assert frame[0] - 1e-3 <= restored.min() and restored.max() <= frame[1] + 1e-3
            assert frame[3] == pytest.approx(factor * np.nanstd(sample.depth), rel=1e-3)
            inverted = frame[2] == pytest.approx(factor * (low + high - np.nanmean(sample.depth)), rel=1e-3)
            assert inverted or frame[2] == pytest.approx(factor * np.nanmean(sample.depth), rel=1e-3)
            signs.add(inverted)
    assert signs == {True, False}


def test_zoom_cuts_smaller_or_larger_crops_and_keeps_the_patch_size(store):
    sides = {Augment(zoom=(0.5, 4.0)).crop_side(64, 120, np.random.default_rng(s)) for s in range(200)}
    assert min(sides) <= 18 and max(sides) == 120 and Augment().crop_side(64, 120, None) == 64
    patches = make_patches(store, augment=Augment(zoom=(0.6, 3.0), blur=1.0))
    for index in range(20):
        patch = patches[0, index]
        assert patch["depth_hr"].shape == (1, 64, 64) and patch["depth_lr"].shape == (1, 16, 16)
        assert patch["guide"].shape == (3, 64, 64) and patch["depth_hr"].isfinite().all()


def test_blur_softens_colour_alone(rng):
    depth, guide = rng.random((32, 32), np.float32), rng.random((32, 32, 3), np.float32)
    out, soft, _ = Augment(False, False, blur=3.0)(depth, guide, np.random.default_rng(0), (0, 1), 1.0)
    assert np.array_equal(out, depth) and soft.std() < 0.7 * guide.std() and soft.shape == guide.shape


@pytest.mark.parametrize(
    "options",
    [
        {"invert": 2},
        {"value_scale": (0, 1)},
        {"value_scale": (2, 1)},
        {"gain": 1},
        {"blur": -1},
        {"zoom": (0, 1)},
        {"zoom": (2, 1)},
    ],
)
def test_augment_refuses_impossible_settings(options):
    with pytest.raises(ValueError):
        Augment(**options)


def test_frames_are_cropped_at_the_lower_right_and_always_the_same(store):
    frames = FrameDataset(store, scale=8, degrader=Degrader(BLOCK_MEAN, [Holes()]), normalise="none")
    frame = frames[0]
    assert frame["depth_hr"].shape == (1, 120, 136) and frame["depth_lr"].shape == (1, 15, 17)
    assert equal(frame, frames[0])
    sample = store.items[0].sample
    assert np.array_equal(frame["depth_hr"][0][frame["valid"][0]], sample.depth[:, :136][frame["valid"][0].numpy()])


@pytest.mark.parametrize("unit", ["disparity", "m"])
def test_frames_shown_larger_are_central_squares(rng, unit):
    """8-bit disparities in whole levels, as a larger ground truth would have them."""
    sample = make_sample("plane", rng, unit=unit)
    sample.depth[:] = np.add.outer(0.5 * np.arange(120), 0.25 * np.arange(140)) + 50  # no edge, where it would snap
    store = SampleStore([InMemory(sample)], lambda scene: True)
    frame = FrameDataset(store, scale=4, degrader=Degrader(BLOCK_MEAN), normalise="none", enlarge=3.0)[0]
    assert frame["depth_hr"].shape == (1, 360, 360) and frame["guide"].shape == (3, 360, 360)
    centres = frame["depth_hr"][0, 1::3, 1::3]
    expected = torch.from_numpy(sample.depth[:, 10:130])
    torch.testing.assert_close(centres, (expected + 0.5).floor() if unit == "disparity" else expected)
    with pytest.raises(ValueError, match=r"at least 1, got 0\.5"):
        DepthSRData([InMemory(make_sample("c", np.random.default_rng(0)))], patch=64, validation_zoom=0.5)


def test_a_sensors_own_reading_makes_the_low_resolution_frame(rng):
    sample = make_sample("tof", rng, (32, 32), unit="m")
    measured = np.where(rng.random((32, 32)) < 0.5, np.nan, sample.depth + 0.05).astype(np.float32)
    sample = RGBDSample(sample.depth, sample.guide, "tof", "m", measured=measured)
    store = SampleStore([InMemory(sample)], lambda scene: True)
    frame = FrameDataset(store, scale=2, degrader=Degrader(BLOCK_MEAN), normalise="none")[0]
    assert frame["valid_lr"].all() and frame["valid"].all()  # missing points are filled first
    full = ~np.isnan(measured).reshape(16, 2, 16, 2).any(axis=(1, 3))
    np.testing.assert_allclose(frame["depth_lr"][0].numpy()[full], block_mean(measured, 2)[full], rtol=1e-5)


def test_the_cache_holds_what_fits_and_decodes_the_rest_again(rng):
    def samples() -> InMemory:
        generator = np.random.default_rng(0)
        return InMemory(*(make_sample(str(i), generator) for i in range(5)))

    one = samples().samples[0]
    budget = 2.5 * (one.depth.nbytes + one.guide.nbytes)
    small_source, whole = samples(), SampleStore([samples()], lambda scene: True)
    small = SampleStore([small_source], lambda scene: True, cache_bytes=budget)
    assert len(small) == 5 and [item.sample is None for item in small.items] == [False, False, True, True, True]
    reads = small_source.reads
    a, b = make_patches(small), make_patches(whole)
    assert all(equal(a[0, i], b[0, i]) for i in range(20)) and small_source.reads > reads


def test_samples_without_depth_or_colour_are_left_out(rng):
    empty = make_sample("empty", rng)
    empty.depth[:] = np.nan
    source = InMemory(make_sample("a", rng), empty, make_sample("c", rng, guide=False))
    assert [i.name for i in SampleStore([source], lambda s: True).items] == ["memory/a", "memory/c"]
    assert [i.name for i in SampleStore([source], lambda s: True, require_guide=True).items] == ["memory/a"]
    with pytest.raises(ValueError, match="no training sample"):
        make_patches(SampleStore([source], lambda s: s == "nothing"))
