import json

import cv2
import numpy as np
import pytest

from training.benchmark.cli import main

PAPER = {"Books": [0.130, 0.291, 0.592, 1.156], "Laundry": [0.278, 0.544, 1.037, 1.953]}


def test_bicubic_row_of_the_papers_table(root2005, tmp_path):
    file = tmp_path / "scores.json"
    command = f"--dataset middlebury2005 --root {root2005} --scenes Books,Laundry --methods bicubic --scales 2,4,8,16"
    assert main([*command.split(), "--json", str(file)]) == 0
    results = json.loads(file.read_text())["results"]
    assert len(results) == 8
    for result in results:
        expected = PAPER[result["scene"]][(2, 4, 8, 16).index(result["scale"])]
        assert result["scores"]["mad"] == pytest.approx(expected, abs=0.0015), (result["scene"], result["scale"])


def test_pe_and_psnr_of_bicubic_are_the_cross_scale_papers(root2005, tmp_path):
    file = tmp_path / "scores.json"
    assert main(f"--dataset middlebury2005 --root {root2005} --scales 4,8 --json {file}".split()) == 0
    expected = {("Books", 4): (44.05, 1.465), ("Books", 8): (40.79, 3.098)}
    expected |= {("Laundry", 4): (40.52, 2.755), ("Laundry", 8): (37.38, 5.600)}
    for result in json.loads(file.read_text())["results"]:
        psnr, pe = expected[result["scene"], result["scale"]]
        assert result["scores"]["psnr"] == pytest.approx(psnr, abs=0.07)
        assert result["scores"]["pe"] == pytest.approx(pe, abs=0.08)


def test_report_files_hold_measured_and_published_rows_and_pictures(small2005, tmp_path, capsys):
    out, file = tmp_path / "out", tmp_path / "numbers" / "scores.json"
    command = f"--dataset middlebury2005 --root {small2005} --methods bicubic,guided_filter --scales 4 --output {out}"
    assert main([*command.split(), "--json", str(file), "--metrics", "mad,pe"]) == 0
    document = json.loads(file.read_text())
    assert {(r["scene"], r["method"]) for r in document["results"]} == {
        (scene, method) for scene in ("Books", "Laundry") for method in ("bicubic", "guided_filter")
    }
    for result in document["results"]:
        assert result["kernel"] == ("bicubic" if result["scene"] == "Books" else "bicubic_uint8")
        assert result["seconds"] > 0 and result["time_ratio"] > 0
    page = (out / "benchmark.md").read_text()
    assert "| CTKT DSRNet | CTKT, table 1 | protocol | 0.11 | 0.16 |" in page
    assert "| bicubic | measured | P1 / P2: bicubic / bicubic_uint8 |" in page
    assert "PE (% of pixels off by more than 4 levels)" in page and "CSAN, table 1" in page
    for scene in ("Books", "Laundry"):
        picture = cv2.imread(str(out / f"{scene}_x4_protocol.png"))
        assert picture.shape[0] > 500 and picture.std() > 20
    assert "guided_filter" in capsys.readouterr().out


def test_kernels_and_noise_make_rows_of_their_own(small2005, tmp_path):
    file = tmp_path / "scores.json"
    command = f"--dataset middlebury2005 --root {small2005} --scenes Laundry --scales 4 --no-published --json {file}"
    kernels = ["protocol", "bicubic", "block_mean", "nearest", "inter_cubic"]
    assert main([*command.split(), "--lr-kernel", ",".join(kernels), "--noise", "0,3"]) == 0
    document = json.loads(file.read_text())
    assert document["published"] == []
    mads = {(r["lr_kernel"], r["noise"]): r["scores"]["mad"] for r in document["results"]}
    assert set(mads) == {(kernel, noise) for kernel in kernels for noise in (0, 3)}
    assert all(mads[kernel, 3] > mads[kernel, 0] for kernel in kernels)
    assert len(set(mads.values())) == 10


@pytest.mark.parametrize(("noise", "tables"), [("0", {"table 1"}), ("5", {"table 2"}), ("0,5", {"table 1", "table 2"})])
def test_noisy_runs_stand_beside_rows_published_for_noisy_input(noise, tables, small2005, tmp_path):
    file = tmp_path / "scores.json"
    command = f"--dataset middlebury2005 --root {small2005} --scales 4 --metrics psnr,pe --noise {noise} --json {file}"
    assert main(command.split()) == 0
    published = json.loads(file.read_text())["published"]
    assert {row["source"] for row in published} == {f"CSAN, {table}" for table in tables}
    books = {
        (row["source"], row["metric"]): value["value"]
        for row in published
        for value in row["scores"]
        if row["method"] == "CSAN" and value["scene"] == "Books"
    }
    printed = {"table 1": {"psnr": 57.13, "pe": 0.047}, "table 2": {"psnr": 42.21, "pe": 0.535}}
    assert books == {(f"CSAN, {table}", metric): value for table in tables for metric, value in printed[table].items()}


def test_a_method_that_cannot_run_at_a_scale_is_left_out_and_named(small2005, tmp_path, capsys):
    file = tmp_path / "scores.json"
    command = f"--dataset middlebury2005 --root {small2005} --methods bicubic,guided_filter --scales 3 --json {file}"
    assert main(command.split()) == 0
    document = json.loads(file.read_text())
    assert {r["method"] for r in document["results"]} == {"bicubic"}
    assert "guided_filter x3 left out: guided_filter was not tuned at scale 3" in document["problems"][0]
    assert "left out" in capsys.readouterr().err
    assert main(command.replace("bicubic,", "").split()) == 1


def test_values_at_or_below_zero_stay_valid(small2005, tmp_path):
    depth = cv2.imread(str(small2005 / "Laundry" / "depth.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(small2005 / "Laundry" / "depth.png"), depth - depth.min())
    file = tmp_path / "scores.json"
    command = f"--dataset middlebury2005 --root {small2005} --scenes Laundry --scales 4 --noise 2 --json {file}"
    assert main(command.split()) == 0
    (result,) = json.loads(file.read_text())["results"]
    assert np.isfinite(result["scores"]["mad"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--methods magic", "--methods: unknown magic; choose from"),
        ("--lr-kernel lanczos", "--lr-kernel: unknown lanczos; choose from protocol"),
        ("--metrics ssim", "--metrics: unknown ssim"),
        ("--scenes Art", "missing scenes"),
    ],
)
def test_wrong_arguments_name_the_choices(arguments, message, small2005, capsys):
    assert main(["--dataset", "middlebury2005", "--root", str(small2005), *arguments.split()]) == 2
    assert message in capsys.readouterr().err


def test_validation_scenes_are_scored_on_valid_pixels(root2006, tmp_path):
    file = tmp_path / "scores.json"
    command = f"--dataset validation2006 --root {root2006} --methods bicubic,joint_bilateral --scales 8 --json {file}"
    assert main(command.split()) == 0
    results = json.loads(file.read_text())["results"]
    means = {
        method: np.mean([r["scores"]["mad"] for r in results if r["method"] == method])
        for method in ("bicubic", "joint_bilateral")
    }
    assert len(results) == 16 and means["joint_bilateral"] < means["bicubic"] < 5
