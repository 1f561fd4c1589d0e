import json

import cv2
import numpy as np
import pytest

from training.benchmark.cli import main
from training.benchmark.datasets import DatasetError
from training.benchmark.results import read_results
from training.benchmark.sensor_report import records, tables
from training.benchmark.sensors import (
    DEGRADATIONS,
    SensorFrame,
    SensorResult,
    degrade,
    evenly_spaced,
    find_groups,
)

SIZE = (144, 192)


def frame_mm(seed: int) -> np.ndarray:
    """A Kinect-like frame, uint16 millimetres: a slanted floor, a box before it, a hole, noise."""
    inverse = np.repeat(0.35 + 0.001 * np.arange(SIZE[0])[:, None], SIZE[1], 1)
    inverse[20:90, 40:120] = 0.9
    depth = 1000 / inverse + np.random.default_rng(seed).normal(0, 3, SIZE)
    depth[100:120, 150:170] = 0
    return depth.astype(np.uint16)


@pytest.fixture
def recordings(tmp_path, scene_images):
    """One folder of each layout that the benchmark knows, and one without frames."""
    root = tmp_path / "recordings"
    for folder in ("kinect", "pairs/depth", "pairs/rgb", "stereo/Baby3", "stereo/Aloe", "papers"):
        (root / folder).mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(root / "kinect" / f"frame-{index:06d}.depth.png"), frame_mm(index))
    cv2.imwrite(str(root / "pairs" / "depth" / "a.png"), frame_mm(9))
    grey = (frame_mm(9) / 16).clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(root / "pairs" / "rgb" / "a.jpg"), np.repeat(grey[..., None], 3, -1))
    disparity, colour = scene_images(3, SIZE)
    for scene in ("Baby3", "Aloe"):
        for view in (1, 5):
            cv2.imwrite(str(root / "stereo" / scene / f"disp{view}.png"), disparity)
            cv2.imwrite(str(root / "stereo" / scene / f"view{view}.png"), colour)
    return root


def test_layouts_are_recognised(recordings):
    groups = find_groups(recordings)
    assert {name: len(frames) for name, frames in groups.items()} == {"kinect": 3, "pairs": 1, "stereo": 2}
    kinect, pair, stereo = groups["kinect"][1](), groups["pairs"][0](), groups["stereo"][1]()
    assert kinect.guide is None and kinect.metric and np.isnan(kinect.depth[110, 160])
    assert kinect.depth[50, 60] == pytest.approx(1 / 0.9, abs=0.02)
    assert pair.guide.shape == (*SIZE, 3)
    assert stereo.name == "Baby3 view 5" and not stereo.metric and np.nanmin(stereo.depth) == 60


def test_folders_without_frames_are_an_error(tmp_path, recordings):
    with pytest.raises(DatasetError, match=r"no frames under .*expected folders with frame-"):
        find_groups(recordings / "kinect")
    with pytest.raises(DatasetError, match="no folder"):
        find_groups(tmp_path / "nowhere")
    (recordings / "pairs" / "rgb" / "b.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="1 depth and 2 colour images"):
        find_groups(recordings)


def test_frames_are_evenly_spaced():
    assert evenly_spaced(list(range(60)), 4) == [0, 20, 39, 59]
    assert evenly_spaced([1, 2], 4) == [1, 2] and evenly_spaced([1, 2, 3], 1) == [1]


@pytest.mark.parametrize("degradation", DEGRADATIONS[4:], ids=lambda d: d.name)
def test_noise_is_as_stated(degradation):
    offset, growth = degradation.noise
    for metric, depth, sigma in ((True, 3.0, offset + growth * 9), (False, 120.0, degradation.levels)):
        frame = SensorFrame("g", "f", np.full((400, 400), depth), None, metric)
        lr = degrade(frame, 4, degradation)
        assert np.std(lr - depth) == pytest.approx(sigma, rel=0.03)
        assert np.array_equal(lr, degrade(frame, 4, degradation))


def test_half_lost_cells_are_holes_under_every_kernel():
    depth = np.full((8, 16), 2.0)
    depth[:4, :2] = np.nan  # half of a cell, its pixel (2, 2) still there
    depth[2, 6] = np.nan  # one pixel, the one that nearest takes
    frame = SensorFrame("g", "f", depth, None, True)
    for degradation in DEGRADATIONS:
        holes = np.argwhere(np.isnan(degrade(frame, 4, degradation))).tolist()
        assert holes == [[0, 0]], degradation.name


def test_command_writes_tables_and_numbers(recordings, tmp_path, capsys):
    folder, file = tmp_path / "results", tmp_path / "numbers.json"
    command = f"sensors --root {recordings} --frames 1 --methods bicubic,joint_bilateral --scales 4"
    assert main([*command.split(), "--results", str(folder), "--json", str(file)]) == 0
    results = json.loads(file.read_text())["results"]
    groups = {(r["group"], r["method"]) for r in results}
    assert groups == {
        ("kinect", "bicubic"),
        *((group, method) for group in ("pairs", "stereo") for method in ("bicubic", "joint_bilateral")),
    }
    assert len(results) == 5 * len(DEGRADATIONS)
    for r in results:
        if r["method"] == "bicubic":
            assert r["mae"] == r["bicubic_mae"]
        if r["unit"] == "mm":
            assert 0.5 < r["floor"] < 4 and r["floor"] < r["mae"]  # 3 mm of noise: mean absolute 2.4 mm
            assert r["denoised_mae"] < r["mae"]
        else:
            assert r["floor"] is None and r["denoised_mae"] is None
    by_name = {r["degradation"]: r for r in results if (r["group"], r["method"]) == ("pairs", "bicubic")}
    assert by_name["block_mean, high noise"]["mae"] > by_name["block_mean, low noise"]["mae"]
    high = by_name["block_mean, high noise"]
    assert 0.5 < high["plane_std"] / high["plane_std_input"] < 1  # interpolation averages, edges are left out
    assert by_name["nearest"]["plane_std"] is None
    rows, origin = read_results(folder, "sensors")
    assert origin.command.startswith("python -m training.benchmark sensors --root $DEPTH_SR_DATA ")
    assert str(recordings) not in origin.command and "2 mm + 2.8 mm z^2" in origin.unit
    (row,) = (r for r in rows if (r["truth"], r["frames"], r["lr"]) == ("frame", "pairs", "inter_cubic"))
    own = next(r for r in results if (r["group"], r["degradation"]) == ("pairs", "inter_cubic"))
    assert (row["scale"], row["unit"], row["bicubic"]) == ("4", "mm", f"{own['bicubic_mae']:.2f}")
    # its only method is not in kinect
    assert {r["frames"] for r in rows if r["frames"].startswith("mean")} == {"mean of cameras with RGB"}
    planes, _ = read_results(folder, "sensor_planes")
    assert {r["lr"] for r in planes} == {"block_mean, low noise", "block_mean, high noise"}
    assert all(float(r["lr_input"]) > 0 and 0 < float(r["bicubic"]) < 1 for r in planes)
    captured = capsys.readouterr()
    assert "joint_bilateral left out in kinect: no registered colour" in captured.err
    assert "standard deviation on planes" in captured.out


def results_of(errors: dict[str, dict[str, float]]) -> list[SensorResult]:
    """Method -> group -> error against the frame where bicubic's is 10, under "nearest"; twice that if denoised."""
    errors = {"bicubic": dict.fromkeys(("kinect", "pairs", "stereo"), 10.0)} | errors
    return [
        SensorResult(
            group=group,
            frame="a",
            unit="levels" if group == "stereo" else "mm",
            scale=4,
            degradation="nearest",
            method=method,
            mae=mae,
            bicubic_mae=10.0,
            denoised_mae=None if group == "stereo" else 2 * mae,
            denoised_bicubic_mae=None if group == "stereo" else 10.0,
        )
        for method, groups in errors.items()
        for group, mae in groups.items()
    ]


def means_of(rows: list[list[str]]) -> list[list[str]]:
    return [row for row in rows if row[0].startswith("mean")]


def test_methods_are_averaged_over_the_same_cameras():
    plain, guided = {"kinect": 2.0, "pairs": 6.0, "stereo": 90.0}, {"pairs": 5.0, "stereo": 70.0}
    results = results_of({"plain": plain, "guided": guided})
    raw, denoised = tables(results)
    assert raw.headings[-2:] == ["plain", "guided"]
    assert means_of(raw.rows) == [
        ["mean of cameras", "nearest", "", "", "0.40", "-"],
        ["mean of cameras with RGB", "nearest", "", "", "0.60", "0.50"],
    ]
    assert means_of(denoised.rows) == [
        ["mean of cameras", "nearest", "", "0.80", "-"],
        ["mean of cameras with RGB", "nearest", "", "1.20", "1.00"],
    ]
    files = records([raw, denoised])
    first = files["sensors"][0][0]
    assert (first["truth"], first["frames"], first["bicubic"], first["unit"]) == ("frame", "kinect", "10.00", "mm")
    assert (first["plain"], first["guided"], first["floor"]) == ("0.20", "", "")
    assert len(files["sensors"][0]) == len(raw.rows) + len(denoised.rows) and files["sensor_planes"][0] == []


def test_one_mean_where_every_method_ran_on_every_camera():
    both = {"kinect": 2.0, "pairs": 6.0, "stereo": 90.0}
    results = results_of({"plain": both, "other": {**both, "pairs": 8.0}})
    assert means_of(tables(results)[0].rows) == [["mean of cameras", "nearest", "", "", "0.40", "0.50"]]


def test_no_mean_where_a_method_ran_on_no_camera_of_the_others():
    results = results_of({"plain": {"kinect": 2.0, "pairs": 6.0}, "guided": {"stereo": 70.0}})
    assert means_of(tables(results)[0].rows) == [["mean of cameras", "nearest", "", "", "0.40", "-"]]


def test_wrong_names_list_the_choices(recordings, capsys):
    assert main(["sensors", "--root", str(recordings), "--groups", "mars"]) == 2
    assert "--groups: unknown mars; choose from kinect, pairs, stereo" in capsys.readouterr().err
    assert main(["sensors", "--root", str(recordings), "--methods", "dsrnet:nothing", "--groups", "kinect"]) == 0
    assert "dsrnet:nothing x4 left out" in capsys.readouterr().err
