import json
import shutil

import cv2
import h5py
import numpy as np
import pytest

from training.benchmark.cli import main
from training.benchmark.datasets import DatasetError
from training.benchmark.other_datasets import DATASETS


def run(dataset: str, arguments: str, tmp_path) -> list[dict]:
    file = tmp_path / "scores.json"
    assert main(f"--dataset {dataset} {arguments} --json {file}".split()) == 0
    return json.loads(file.read_text())["results"]


def nyu_file(folder, frames: int = 1310) -> None:
    """The labelled file's layout with tiny frames: depth 2 m + 1 mm per frame number, a hole in each."""
    depths = np.full((frames, 48, 40), 2.0, np.float32) + 0.001 * np.arange(frames, dtype=np.float32)[:, None, None]
    depths[:, 24:] += 1
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["depths"] = depths
        file["images"] = np.zeros((frames, 3, 48, 40), np.uint8)


def test_nyuv2_in_both_protocols(tmp_path):
    nyu_file(tmp_path)
    dada = DATASETS["nyuv2"](tmp_path, None)
    dkn = DATASETS["nyuv2_dkn"](tmp_path, None)
    assert (len(dada), len(dkn)) == (300, 310)
    assert dada.names[-1] == dkn.names[-1] == "1310"
    scene = dkn.load("1002")
    assert scene.depth.shape == (40, 48)
    assert scene.depth[0, 0] == pytest.approx(300.1, abs=0.01)  # cm
    (result,) = run("nyuv2", f"--root {tmp_path} --scenes 1310 --scales 4", tmp_path)
    assert (result["kernel"], result["unit"]) == ("block_mean", "cm")
    assert result["scores"]["mse"] == pytest.approx(result["scores"]["rmse"] ** 2)
    (result,) = run("nyuv2_dkn", f"--root {tmp_path} --scenes 1310 --scales 4", tmp_path)
    assert result["kernel"] == "bicubic_pillow"


def test_many_scenes_are_shown_by_their_mean_beside_the_published_ones(tmp_path, capsys):
    nyu_file(tmp_path, 1020)
    results = run("nyuv2_dkn", f"--root {tmp_path} --scales 8 --output {tmp_path}/out --pictures 1", tmp_path)
    assert len(results) == 20
    page = (tmp_path / "out" / "benchmark.md").read_text()
    assert "| method | source | LR kernel | mean x8 |" in page
    assert "| CTKT DSRNet | CTKT, table 2 | bicubic | 2.73 |" in page
    mean = np.mean([r["scores"]["rmse"] for r in results])
    assert f"| bicubic | measured | bicubic_pillow | **{mean:.3f}** |" in page
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_middlebury_in_metres_needs_calibration(tmp_path, scene_images):
    depth, colour = scene_images()
    for name in ("Aloe", "Midd1"):
        folder = tmp_path / "2006" / name
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "disp1.png"), depth)
        cv2.imwrite(str(folder / "view1.png"), colour[..., ::-1])
    with pytest.raises(DatasetError, match=r"dmin\.txt"):
        DATASETS["middlebury"](tmp_path, None)
    (tmp_path / "2006" / "Aloe" / "dmin.txt").write_text("200\n")
    (scene,) = DATASETS["middlebury"](tmp_path, None)
    assert scene.name == "Aloe"
    np.testing.assert_allclose(scene.depth, 100 * 3740 * 0.16 / (depth + 200.0), rtol=1e-5)


def test_tofmark_starts_from_the_sensors_reading(tmp_path):
    truth = np.full((24, 32), 1500.0)
    truth[:, 16:] = 2000
    reading = truth + 30
    reading[5:8, 5:8] = 0  # missing points are filled
    (tmp_path / "Books").mkdir()
    np.save(tmp_path / "Books" / "books_gt.npy", truth)
    np.save(tmp_path / "Books" / "books_tof.npy", reading)
    (result,) = run("tofmark", f"--root {tmp_path} --scales 2", tmp_path)
    assert (result["unit"], result["kernel"]) == ("mm", "bicubic")
    assert 29 < result["scores"]["mad"] < 45


def test_real_frames_of_a_folder_and_of_7_scenes(data_set, tmp_path):
    results = run(
        "folder",
        f"--root {data_set('realsense_planes')} --scenes 000000,000005 --scales 4 --methods bicubic,guided_filter",
        tmp_path,
    )
    assert len(results) == 4 and all(0 < r["scores"]["mad"] < 20 for r in results)
    frames = tmp_path / "frames"
    frames.mkdir()
    for path in sorted(data_set("kinect_7scenes").glob("frame-*.depth.png"))[:2]:
        shutil.copy(path, frames)
    results = run("sevenscenes", f"--root {frames} --scales 4 --methods bicubic,guided_filter --noise 0,2", tmp_path)
    assert len(results) == 4 and {r["method"] for r in results} == {"bicubic"}
    assert all(0 < r["scores"]["mad"] < 20 for r in results)


def test_synthetic_scenes_need_no_folder_and_others_do(tmp_path, capsys):
    scenes = DATASETS["synthetic"](None, None)
    (result,) = run("synthetic", f"--scenes {scenes.names[0]} --scales 8", tmp_path)
    assert result["unit"] == "cm" and result["scores"]["mad"] > 0
    assert main(["--dataset", "diml"]) == 2
    assert "diml lies in a folder: give it with --root" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"synthetic"}))
def test_an_absent_folder_is_an_error_that_names_it(name, tmp_path, capsys):
    assert main(["--dataset", name, "--root", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
