"""Every reader, on tiny files in exactly the public layout."""

from __future__ import annotations

import pickle

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from training.data import SOURCES, create_source, list_sources
from training.data.sources.synthetic import to_disparity


def test_registry_names_every_layout_and_lists_them_in_its_error():
    assert set(list_sources()) == set(SOURCES)
    with pytest.raises(ValueError, match=r"'kitti'.*middlebury2006.*nyuv2"):
        create_source("kitti")


@pytest.mark.parametrize("name", [name for name in list_sources() if name != "synthetic"])
def test_absent_root_names_the_place_and_what_was_looked_for(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="Looked for") as error:
        create_source(name, root=tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(error.value)


@pytest.mark.parametrize("name", [name for name in list_sources() if name != "synthetic"])
def test_empty_root_is_an_error_not_an_empty_data_set(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="Looked for"):
        create_source(name, root=tmp_path)


def test_root_expands_variables(writer, monkeypatch):
    writer.third_size_scene("Aloe")
    monkeypatch.setenv("SOME_DATA", str(writer.root))
    assert len(create_source("middlebury2006", root="$SOME_DATA", scenes=["Aloe"])) == 2


def test_middlebury_2006_pairs_views_and_reports_what_is_absent(writer):
    disparity = writer.disparity("Aloe/disp1.png", (370, 427))
    colour = writer.colour("Aloe/view1.png", (370, 427))
    writer.disparity("Baby1/disp1.png", (370, 413))
    source = create_source("middlebury2006", root=writer.root, views=(1,), scenes=["Aloe", "Baby1", "Wood2"])
    assert source.names == ["Aloe/view1", "Baby1/view1"]
    assert source.scene_of(0) == "middlebury2006/Aloe"
    assert [str(item.path.relative_to(writer.root)) for item in source.missing()] == ["Baby1/view1.png", "Wood2"]
    sample = source[0]
    assert sample.unit == "disparity" and sample.disparity_scale == 3  # 370 rows: third size
    assert np.array_equal(np.isnan(sample.depth), disparity == 0)
    assert np.array_equal(sample.depth[disparity > 0], disparity[disparity > 0].astype(np.float32))
    assert np.array_equal(sample.guide, colour)  # RGB, not BGR
    assert source[1].guide is None


def test_middlebury_2006_metres_use_dmin(writer):
    writer.disparity("Aloe/disp1.png", (37, 42))
    writer.colour("Aloe/view1.png", (37, 42))
    options = {"root": writer.root, "views": (1,), "scenes": ["Aloe"], "unit": "m"}
    with pytest.raises(FileNotFoundError, match=r"dmin\.txt"):
        create_source("middlebury2006", **options)
    writer.path("Aloe/dmin.txt").write_text("270\n")
    source = create_source("middlebury2006", **options, size="full")
    metres = source[0].depth
    assert metres[20, 20] == pytest.approx(3740 * 0.160 / (200 + 270), rel=1e-6)
    assert np.isnan(metres[0, 0]) and source[0].unit == "m"


@pytest.mark.parametrize("options", [{"size": "fifth"}, {"views": (3,)}, {"scenes": ["Art"]}, {"unit": "mm"}])
def test_middlebury_2006_refuses_what_it_does_not_have(writer, options):
    writer.third_size_scene("Aloe")
    with pytest.raises(ValueError, match="middlebury2006"):
        create_source("middlebury2006", root=writer.root, **options)


def test_middlebury_2001_factors_and_special_scenes(writer):
    for name in ("venus/disp2.pgm", "venus/disp6.pgm", "map/disp0.pgm", "tsukuba/truedisp.row3.col3.pgm"):
        writer.disparity(name)
    for name in ("venus/im2.ppm", "venus/im6.ppm", "tsukuba/scene1.row3.col3.ppm"):
        writer.colour(name)
    grey = writer.image("map/im0.pgm", np.full((40, 48), 77, np.uint8))
    source = create_source("middlebury2001", root=writer.root)
    assert source.names == ["map/view0", "tsukuba/view3", "venus/view2", "venus/view6"]
    assert [sample.disparity_scale for sample in source] == [8, 16, 8, 8]
    assert np.array_equal(source[0].guide, np.repeat(grey[..., None], 3, axis=2))
    assert {str(item.path.relative_to(writer.root)) for item in source.missing()} >= {"map/disp1.pgm", "bull"}


@pytest.mark.parametrize(("size", "folder", "factor"), [("quarter", "cones", 4), ("half", "conesH", 2)])
def test_middlebury_2003_sizes(writer, size, folder, factor):
    writer.disparity(f"{folder}/disp2.png")
    writer.colour(f"{folder}/im2.png")
    source = create_source("middlebury2003", root=writer.root, size=size)
    assert source.names == ["cones/view2"] and source[0].disparity_scale == factor
    assert source.scene_of(0) == "middlebury2003/cones"


@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize(
    ("layout", "folder", "scene"),
    [
        ("middlebury2014", "Adirondack-perfect", "middlebury2014/Adirondack"),
        ("middlebury2021", "chess3", "middlebury2021/chess"),
    ],
)
def test_middlebury_2014_and_2021(writer, layout, folder, scene, little_endian):
    disparity = writer.rng.uniform(20, 60, (12, 18)).astype(np.float32)
    disparity[0, 0] = np.inf
    writer.pfm(f"{folder}/disp0.pfm", disparity, little_endian)
    writer.colour(f"{folder}/im0.png", (12, 18))
    writer.path(f"{folder}/calib.txt").write_text(
        "cam0=[4161.221 0 1445.577; 0 4161.221 984.686; 0 0 1]\ncam1=[4161.221 0 1654.636; 0 4161.221 984.686; 0 0 1]\n"
        "doffs=209.059\nbaseline=176.252\nwidth=2880\nheight=1988\nndisp=280\nisint=0\nvmin=33\nvmax=257\n"
    )
    source = create_source(layout, root=writer.root)
    assert len(source) == 1 and source.scene_of(0) == scene
    depth = source[0].depth
    assert np.isnan(depth[0, 0]) and np.array_equal(depth[1:], disparity[1:])  # rows the right way up
    metres = create_source(layout, root=writer.root, unit="m")[0]
    expected = 4161.221 * 0.176252 / (disparity[5, 5] + 209.059)
    assert metres.unit == "m" and metres.depth[5, 5] == pytest.approx(expected, rel=1e-6)
    assert any(item.path.name == "disp1.pfm" for item in source.missing())


def test_broken_pfm_and_calibration_name_the_file(writer):
    writer.pfm("Piano-perfect/disp0.pfm", np.ones((4, 5), np.float32))
    path = writer.path("Piano-perfect/disp0.pfm")
    path.write_bytes(path.read_bytes()[:-4])
    source = create_source("middlebury2014", root=writer.root)
    with pytest.raises(ValueError, match=r"disp0\.pfm: 5x4 pixels announced, 19 present"):
        source[0]
    writer.pfm("Piano-perfect/disp0.pfm", np.ones((4, 5), np.float32))
    writer.path("Piano-perfect/calib.txt").write_text("cam0=[1 0 0; 0 1 0; 0 0 1]\nbaseline=100\n")
    with pytest.raises(ValueError, match=r"calib\.txt.*doffs"):
        create_source("middlebury2014", root=writer.root, unit="m")[0]


@pytest.mark.parametrize("merged", [True, False])
def test_sintel_depth_with_both_renderings(writer, merged):
    depth = writer.rng.uniform(1, 50, (10, 16)).astype(np.float32)
    depth[0] = 5e4
    depth_root, image_root = ("", "") if merged else ("MPI-Sintel-depth-training-20150305/", "MPI-Sintel-complete/")
    for frame in (1, 2, 3):
        writer.dpt(f"{depth_root}training/depth/alley_1/frame_{frame:04d}.dpt", depth * frame)
        writer.colour(f"{image_root}training/clean/alley_1/frame_{frame:04d}.png", (10, 16))
    final = writer.colour(f"{image_root}training/final/alley_1/frame_0001.png", (10, 16))
    source = create_source("sintel", root=writer.root, every=2)
    assert source.names == ["alley_1/frame_0001", "alley_1/frame_0003"] and not source.missing()
    assert np.isnan(source[0].depth[0]).all() and np.array_equal(source[0].depth[1:], depth[1:])
    finals = create_source("sintel", root=writer.root, rendering="final")
    assert np.array_equal(finals[0].guide, final)
    assert [item.path.name for item in finals.missing()] == ["frame_0002.png", "frame_0003.png"]
    inverse = create_source("sintel", root=writer.root, values="inverse")[0]
    assert inverse.unit == "arbitrary" and np.allclose(inverse.depth, 1 / depth)


def test_a_file_that_is_not_dpt(writer):
    writer.dpt("training/depth/alley_1/frame_0001.dpt", np.ones((4, 4)))
    path = writer.path("training/depth/alley_1/frame_0001.dpt")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"frame_0001\.dpt: 4x4 pixels announced, 14 present"):
        create_source("sintel", root=writer.root)[0]
    path.write_bytes(b"\0" * 80)
    with pytest.raises(ValueError, match=r"202021\.25"):
        create_source("sintel", root=writer.root)[0]


@pytest.fixture
def nyu(writer):
    """Three frames of 6 x 8 pixels, as MATLAB writes them: last index first."""
    depth = writer.rng.uniform(1, 9, (3, 6, 8)).astype(np.float32)
    raw = np.where(writer.rng.random(depth.shape) < 0.2, 0, depth).astype(np.float32)
    rgb = writer.rng.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    with h5py.File(writer.path("nyu_depth_v2_labeled.mat"), "w") as file:
        file["depths"], file["rawDepths"] = depth.transpose(0, 2, 1), raw.transpose(0, 2, 1)
        file["images"] = rgb.transpose(0, 3, 2, 1)
    return writer.root, depth, raw, rgb


def test_nyuv2_is_read_frame_by_frame_the_right_way_round(nyu, monkeypatch):
    root, depth, raw, rgb = nyu
    monkeypatch.setattr("training.data.sources.nyuv2.TRAINING_FRAMES", 2)
    train, test = create_source("nyuv2", root=root), create_source("nyuv2", root=root, split="test", depth="raw")
    assert train.names == ["0001", "0002"] and test.names == ["0003"]
    assert np.array_equal(train[1].depth, depth[1]) and np.array_equal(train[1].guide, rgb[1])
    assert np.array_equal(np.nan_to_num(test[0].depth), raw[2]) and np.isnan(test[0].depth).any()
    assert train[0].unit == "m" and "1446 of 1449" in str(train.missing()[0])
    copy = pickle.loads(pickle.dumps(train))  # a spawned loader process gets it this way
    assert np.array_equal(copy[0].depth, depth[0])


def test_nyuv2_refuses_an_older_matlab_file(tmp_path):
    scipy.io.savemat(tmp_path / "nyu_depth_v2_labeled.mat", {"depths": np.ones((4, 4))})
    with pytest.raises(ValueError, match=r"v7\.3"):
        create_source("nyuv2", root=tmp_path)


def test_msgnet_files_holes_and_identity(writer):
    sintel, full = np.full((8, 10), 3.0), np.full((8, 10), 50.0)
    sintel[0, 0] = full[0, 0] = 0
    for number, array in ((2, sintel), (10, sintel), (64, full.astype(np.uint8)), (65, full)):
        scipy.io.savemat(writer.path(f"Df_{number}.mat"), {"Df": array})
    source = create_source("msgnet", root=writer.root)
    assert source.names == ["Df_2", "Df_10", "Df_64", "Df_65"] and not source.has_guide
    assert source.scene_of(3) == "middlebury2006/Aloe" and source.scene_of(2) == "middlebury2001/venus"
    assert source[0].depth[0, 0] == 0 and source[0].unit == "arbitrary"  # Sintel: 0 is far, not a hole
    assert np.isnan(source[3].depth[0, 0]) and source[3].unit == "disparity"
    assert len(source.missing()) == 66
    scipy.io.savemat(writer.path("Df_10.mat"), {"other": sintel})
    with pytest.raises(ValueError, match=r"Df_10\.mat.*variable Df"):
        source[1]


def test_folder_of_pairs_in_millimetres_and_metres(writer):
    raw = np.array([[0, 500, 65535], [1000, 2000, 3000]], np.uint16)
    writer.image("depth/a.png", raw)
    np.save(writer.path("depth/b.npy"), np.array([[np.nan, 0.5], [1.0, np.inf]], np.float32))
    rgb = writer.colour("rgb/a.png", (2, 3))
    source = create_source("folder", root=writer.root)
    assert source.names == ["a", "b"]
    np.testing.assert_allclose(source[0].depth, [[np.nan, 0.5, np.nan], [1, 2, 3]])
    np.testing.assert_allclose(source[1].depth, [[np.nan, 0.5], [1, np.nan]])
    assert np.array_equal(source[0].guide, rgb) and source[1].guide is None
    assert [item.path.name for item in source.missing()] == ["b.png"]
    assert np.isnan(create_source("folder", root=writer.root, max_depth=2.5)[0].depth[1, 2])


def test_folder_pairs_by_order_and_needs_equal_numbers(writer):
    for stamp in ("9.5", "10.5"):
        writer.image(f"depth/{stamp}.png", np.full((4, 4), 1000, np.uint16))
    first = writer.colour("color/9.6.png", (4, 4))
    with pytest.raises(ValueError, match="got 1 and 2"):
        create_source("folder", root=writer.root, pair="order")
    writer.colour("color/10.6.png", (4, 4))
    source = create_source("folder", root=writer.root, pair="order")
    assert source.names == ["9.5", "10.5"] and np.array_equal(source[0].guide, first)


def test_folder_rejects_a_guide_of_another_size_and_an_8_bit_depth(writer):
    writer.image("depth/a.png", np.full((4, 4), 1000, np.uint16))
    writer.colour("color/a.png", (8, 8))
    writer.image("depth/b.png", np.full((4, 4), 100, np.uint8))
    source = create_source("folder", root=writer.root)
    with pytest.raises(ValueError, match=r"a: the guide must be uint8 \(4, 4, 3\).*\(8, 8, 3\)"):
        source[0]
    with pytest.raises(ValueError, match=r"b\.png.*uint16 millimetres.*uint8"):
        source[1]
    assert create_source("folder", root=writer.root, unit="disparity")[1].unit == "disparity"


def test_diml_indoor_and_outdoor(writer):
    depth = np.full((6, 8), 2500, np.uint16)
    depth[0, 0] = 0
    writer.image("train/HR/01. Office/depth_filled/in_k_01_0001_depth_filled.png", depth)
    rgb = writer.colour("train/HR/01. Office/color/in_k_01_0001_c.png", (6, 8))
    writer.image("outdoor/train/HR/depthmap/out_0001.png", depth)
    writer.colour("outdoor/train/HR/outleft/out_0001.png", (6, 8))
    confidence = np.full((6, 8), 255, np.uint8)
    confidence[5, 5] = 20
    writer.image("outdoor/train/HR/confidencemap/out_0001.png", confidence)
    source = create_source("diml", root=writer.root)
    assert source.names == ["01. Office/in_k_01_0001", "outdoor/out_0001"]
    assert np.array_equal(source[0].guide, rgb) and source[0].depth[3, 3] == pytest.approx(2.5)
    assert np.isnan(source[0].depth[0, 0]) and not np.isnan(source[0].depth[5, 5])
    assert np.isnan(source[1].depth[5, 5])
    with pytest.raises(FileNotFoundError, match="test/HR"):
        create_source("diml", root=writer.root, split="test")


def test_tofmark_brings_the_sensors_reading(writer):
    truth = writer.rng.uniform(500, 900, (20, 30))
    reading = np.where(writer.rng.random((20, 30)) < 0.7, 0, truth)
    scipy.io.savemat(writer.path("Devil/devil_gt.mat"), {"gt": truth})
    scipy.io.savemat(writer.path("Devil/devil_tof.mat"), {"tof": reading})
    writer.image("Devil/devil_intensity.png", writer.rng.integers(0, 256, (20, 30), dtype=np.uint8))
    writer.image("Shark/shark_groundtruth.png", truth.astype(np.uint16))
    source = create_source("tofmark", root=writer.root)
    assert source.names == ["Devil"]
    sample = source[0]
    assert sample.unit == "m" and np.allclose(sample.depth, truth / 1000)
    assert np.array_equal(np.isnan(sample.measured), reading == 0)
    assert sample.guide.shape == (20, 30, 3)
    lacking = [str(item) for item in source.missing()]
    assert any("Shark" in item and "ToF reading" in item for item in lacking)
    assert any("Books" in item and "ground truth" in item for item in lacking)


def test_synthetic_scenes_are_reproducible(writer):
    source = create_source("synthetic", count=2, seed=3, width=64, height=48)
    sample = source[0]
    assert sample.unit == "m" and sample.depth.shape == (48, 64) and sample.guide.shape == (48, 64, 3)
    assert np.array_equal(sample.depth, source[0].depth, equal_nan=True)
    assert np.array_equal(source[1].depth, create_source("synthetic", seed=4, width=64, height=48)[0].depth, True)
    assert source.names == ["any-3", "any-4"] and len(list(source)) == 2
    with pytest.raises(ValueError, match="at least 1"):
        create_source("synthetic", count=0)


def test_synthetic_disparity_is_rounded_k_over_z_with_the_nearest_at_a_middlebury_level():
    options = {"count": 3, "seed": 5, "width": 64, "height": 48}
    nearest = []
    in_metres, in_levels = (create_source("synthetic", **options, unit=unit) for unit in ("m", "disparity"))
    for metres, sample in zip(in_metres, in_levels):
        assert sample.unit == "disparity" and sample.depth.dtype == np.float32
        assert np.array_equal(sample.guide, metres.guide)
        assert np.array_equal(sample.depth, np.rint(sample.depth)) and sample.depth.min() >= 1
        k = sample.depth.max() * metres.depth.min()
        np.testing.assert_allclose(sample.depth, k / metres.depth, atol=1.01)  # both were rounded to half a level
        nearest.append(sample.depth.max())
    assert 136 <= min(nearest) < max(nearest) <= 230
    with pytest.raises(ValueError, match="unit must be 'm' or 'disparity', got 'mm'"):
        create_source("synthetic", unit="mm")


def test_disparity_keeps_holes_and_marks_nothing_far_as_one():
    disparity = to_disparity(np.array([[1.0, np.nan, 1e4]], np.float32), seed=0)
    assert 136 <= disparity[0, 0] <= 230 and np.isnan(disparity[0, 1]) and disparity[0, 2] == 1


def test_an_unreadable_image_is_named(writer):
    writer.path("Aloe/disp1.png").write_bytes(b"not a picture")
    source = create_source("middlebury2006", root=writer.root, scenes=["Aloe"], views=(1,))
    with pytest.raises(ValueError, match=r"disp1\.png cannot be read"):
        source[0]
    assert cv2.imwrite(str(writer.path("Aloe/disp1.png")), writer.rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="one channel"):
        source[0]
