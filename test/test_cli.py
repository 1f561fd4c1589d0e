"""The command `depth-sr`, run as a user does."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from depth_sr_ros import cli
from depth_sr_ros.cli import main
from depth_sr_ros.diffusion import consistency
from depth_sr_ros.files import read_depth, write_depth
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.models import create_model, list_models
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights


@pytest.fixture
def depth():
    rows = np.linspace(1, 2, 12, dtype=np.float32)[:, None] * np.ones((12, 16), np.float32)
    rows[3:5, 4:6] = np.nan
    return rows


@pytest.fixture
def depth_png(tmp_path, depth):
    write_depth(tmp_path / "depth.png", depth)
    return tmp_path / "depth.png"


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_is_fast_and_imports_nothing_heavy():
    probe = (
        "import sys, depth_sr_ros.cli as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit as e: code = e.code\n"
        "print([m for m in ('torch', 'rclpy', 'matplotlib', 'rosbags', 'numpy') if m in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert "upsample" in done.stdout and "replay" in done.stdout


def test_upsample_png(tmp_path, capsys, depth_png):
    out = tmp_path / "new" / "out.png"
    code, text, _ = run(capsys, "upsample", depth_png, "--scale", 2, "--method", "bicubic", "-o", out, "--json")
    summary = json.loads(text)
    assert code == 0
    assert (summary["width"], summary["height"], summary["method"]) == (32, 24, "bicubic")
    image = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint16 and image.shape == (24, 32)
    expected = DepthUpsampler("bicubic", scale=2).upsample(read_depth(depth_png))
    np.testing.assert_array_equal(image == 0, np.isnan(expected))
    np.testing.assert_allclose(image[image > 0] / 1000, expected[image > 0], atol=5.1e-4)
    assert summary["invalid_share"] == pytest.approx(np.isnan(expected).mean(), abs=1e-5)


@pytest.mark.parametrize("suffix", [".npy", ".tiff", ".pfm"])
def test_float_files_keep_metres_and_holes(tmp_path, depth, suffix):
    write_depth(tmp_path / f"d{suffix}", depth)
    np.testing.assert_array_equal(read_depth(tmp_path / f"d{suffix}"), depth)


def test_upsample_guided(tmp_path, capsys, depth_png):
    guide = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "rgb.png"), guide[..., ::-1])
    code, text, _ = run(
        capsys, "upsample", depth_png, "--guide", tmp_path / "rgb.png", "--method", "dada_rgb", "-o",
        tmp_path / "o.npy", "--json",
    )  # fmt: skip
    assert code == 0 and json.loads(text)["method"] == "dada_rgb"
    expected = DepthUpsampler("dada_rgb", scale=4).upsample(read_depth(depth_png), guide)
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), expected, rtol=1e-5)


def test_upsample_options_reach_the_upsampler(tmp_path, capsys, depth_png):
    out = tmp_path / "o.npy"
    arguments = ("--scale", 2, "--method", "bicubic", "-o", out, "--fill-holes", "--consistent")
    assert run(capsys, "upsample", depth_png, *arguments)[0] == 0
    filled = np.load(out)
    source = read_depth(depth_png)
    assert np.isfinite(filled).all()
    means = filled.reshape(12, 2, 16, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(means[np.isfinite(source)], source[np.isfinite(source)], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "consistent"),
    [
        ((), False),
        (("--consistent",), "additive"),
        *((("--consistent-adjustment", a, "--consistent"), a) for a in consistency.ADJUSTMENTS),
    ],
)
def test_consistent_names_its_adjustment(tmp_path, capsys, depth_png, words, consistent):
    out = tmp_path / "o.npy"
    assert run(capsys, "upsample", *words, depth_png, "--method", "bicubic", "-o", out)[0] == 0
    expected = DepthUpsampler("bicubic", 4, consistent=consistent).upsample(read_depth(depth_png))
    np.testing.assert_array_equal(np.load(out), expected)


def test_upsample_holds_to_the_lr_kernel_that_is_asked_for(tmp_path, capsys, depth_png):
    guide = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "rgb.png"), guide[..., ::-1])
    common = ("upsample", depth_png, "--guide", tmp_path / "rgb.png", "--method", "dada_rgb", "-o", tmp_path / "o.npy")
    assert run(capsys, *common, "--lr-kernel", "bicubic")[0] == 0
    expected = DepthUpsampler("dada_rgb", 4, lr_kernel="bicubic").upsample(read_depth(depth_png), guide)
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), expected, rtol=1e-5)
    code, _, err = run(capsys, *common, "--lr-kernel", "bicubic", "--consistent")
    assert code == 2 and "lr_kernel 'bicubic'" in err


def test_choices_are_shown_where_another_was_given(capsys):
    wrong = {("--lr-kernel", "nearest"): "block_mean", ("--consistent-adjustment", "yes"): "multiplicative"}
    for words, shown in wrong.items():
        with pytest.raises(SystemExit) as info:
            main(["upsample", "in.png", "-o", "out.png", *words])
        assert info.value.code == 2 and shown in capsys.readouterr().err


def test_extrinsics_may_be_negative_in_any_notation(tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(
        "depth_sr_ros.replay.evaluate.replay", lambda bag, out, settings, *_, **__: given.append(settings)
    )
    monkeypatch.setattr(cli, "_show_metrics", lambda *_: None)
    words = ("-0.025", "-1e-3", "0", "-.5E-1", "-0", "-3.e-2", "1")
    assert run(capsys, "replay", "bag", "-o", tmp_path, "--extrinsics", *words, "--lr-kernel", "bicubic")[0] == 0
    assert given[0].extrinsics == (-0.025, -0.001, 0.0, -0.05, 0.0, -0.03, 1.0) and given[0].lr_kernel == "bicubic"
    assert run(capsys, "replay", "bag", "-o", tmp_path)[0] == 0
    assert (given[1].extrinsics, given[1].lr_kernel) == ((), None)


def test_weights_choose_the_method_they_were_trained_for(tmp_path, capsys, depth_png):
    model = create_model("dsrnet", 2, "lite")
    card = ModelCard(method="dsrnet", scale=2, size="lite", data="none", lr_kernel="block", steps=0, date="2026-11-21")
    path = save_weights(model, tmp_path / "own.safetensors", card)
    common = ("upsample", depth_png, "--scale", 2, "-o", tmp_path / "o.npy", "--weights")
    code, text, _ = run(capsys, *common, path, "--json")
    assert code == 0 and (json.loads(text)["method"], json.loads(text)["weights"]) == ("dsrnet", "own")
    code, _, err = run(capsys, *common, path, "--method", "bicubic")
    assert code == 2 and "no parameters" in err
    for given, taken in (("auto", "dsrnet_lite_x2_robust"), ("clean", "dsrnet_lite_x2")):
        assert json.loads(run(capsys, *common, given, "--json")[1])["weights"] == taken
        assert f"weights {taken}," in run(capsys, *common, given)[1]
    assert json.loads(run(capsys, *common[:-1], "--json")[1])["weights"] == "dsrnet_lite_x2_robust"
    code, _, err = run(capsys, *common, tmp_path / "missing.safetensors")
    assert code == 2 and "no weights at missing.safetensors" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("upsample", "{tmp}/missing.png", "-o", "{tmp}/o.png"), "no file at"),
        (("upsample", "{tmp}/text.png", "-o", "{tmp}/o.png"), "cannot be read"),
        (("upsample", "{tmp}/eight.png", "-o", "{tmp}/o.png"), "uint8"),
        (("upsample", "{tmp}/pickle.npy", "-o", "{tmp}/o.png"), "not a NumPy array"),
        (("upsample", "{tmp}/depth.jpg", "-o", "{tmp}/o.png"), "read from .png, .npy"),
        (("upsample", "{tmp}/depth.png", "--method", "magic", "-o", "{tmp}/o.png"), "magic"),
        (("upsample", "{tmp}/depth.png", "--method", "bicubic", "-o", "{tmp}/o.gif"), "written to .png, .npy"),
        (("upsample", "{tmp}/depth.png", "--method", "bicubic", "--scale", "0", "-o", "{tmp}/o.png"), "scale"),
        (("upsample", "{tmp}/depth.png", "--method", "dada_rgb", "-o", "{tmp}/o.png"), "guide"),
        (
            ("upsample", "{tmp}/depth.png", "--guide", "{tmp}/eight.png", "--method", "dada_rgb", "-o", "{tmp}/o.png"),
            "(48, 64, 3)",
        ),
        (("replay", "{tmp}/nothing", "-o", "{tmp}/r"), "no recording"),
        (("replay", "{tmp}/text.png", "-o", "{tmp}/r"), "not a recording"),
        (("replay", "{tmp}/nothing", "--external", "-o", "{tmp}/r"), "--live"),
        (("replay", "{tmp}/nothing", "--rate", "0", "-o", "{tmp}/r"), "--rate"),
        (("replay", "{tmp}/nothing", "--extrinsics", *"0000000", "-o", "{tmp}/r"), "quaternion"),
        (
            ("replay", "{tmp}/nothing", "--live", "--external", "--extrinsics", *"0000001", "-o", "{tmp}/r"),
            "--extrinsics with --external",
        ),
        (
            ("replay", "{tmp}/nothing", "--live", "--external", "--lr-kernel", "bicubic", "-o", "{tmp}/r"),
            "--lr-kernel with --external",
        ),
        (
            ("replay", "{tmp}/nothing", "--live", "--external", "--assume-registered", "-o", "{tmp}/r"),
            "set its parameter assume_registered",
        ),
        (
            ("replay", "{tmp}/nothing", "--method", "dsrnet", "--lr-kernel", "bicubic", "-o", "{tmp}/r"),
            "dsrnet', which does not diffuse",
        ),
        (
            ("upsample", "{tmp}/depth.png", "--method", "bicubic", "--lr-kernel", "bicubic", "-o", "{tmp}/o.png"),
            "bicubic, which does not diffuse",
        ),
        (("demo", "--method", "magic", "--out", "{tmp}/r"), "magic"),
        (("demo", "--scale", "7", "--out", "{tmp}/r"), "7"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path, capsys, depth, depth_png, arguments, message):
    (tmp_path / "text.png").write_text("not an image")
    cv2.imwrite(str(tmp_path / "eight.png"), np.zeros((12, 16), np.uint8))
    cv2.imwrite(str(tmp_path / "depth.jpg"), np.zeros((12, 16), np.uint8))
    np.save(tmp_path / "pickle.npy", np.array([{"code": 1}], object), allow_pickle=True)
    code, out, err = run(capsys, *(a.replace("{tmp}", str(tmp_path)) for a in arguments))
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"depth-sr {arguments[0]}: error: ") and message in last
    assert "Traceback" not in err and out == ""


def test_errors_as_json(tmp_path, capsys):
    code, out, _ = run(capsys, "replay", tmp_path / "nothing", "-o", tmp_path / "r", "--json")
    assert code == 2 and "no recording" in json.loads(out)["error"]


def test_unknown_command_and_missing_arguments_exit_with_2(capsys):
    for arguments in (["fly"], [], ["upsample"]):
        with pytest.raises(SystemExit) as info:
            main(arguments)
        assert info.value.code == 2
    capsys.readouterr()


def test_models_lists_the_registry(capsys):
    code, out, _ = run(capsys, "models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and sorted(rows) == list_models()
    assert rows["dada_rgb"]["input"] == "depth + RGB" and rows["bicubic"]["input"] == "depth"
    assert rows["bicubic"]["parameters"] == {"paper": 0}
    code, table, _ = run(capsys, "models")
    assert code == 0 and all(name in table for name in rows)


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_leaves_early_is_no_error(options):
    command = [sys.executable, "-m", "depth_sr_ros.cli", "models", *options]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    done.stdout.close()
    assert done.stderr.read() == ""
    assert done.wait(60) == 1
