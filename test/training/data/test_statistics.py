"""The statistics of maps made by hand, whose values can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import RGBDSample
from training.data.__main__ import main
from training.data.sources import SyntheticScenes
from training.data.statistics import mean, measure, slopes, thin_structures
from training.data.statistics_table import BLOCK, COLUMNS

SHAPE = (60, 80)


def sample(depth: np.ndarray, guide: np.ndarray | None = None, unit: str = "disparity") -> RGBDSample:
    if guide is not None:
        guide = np.repeat(guide.astype(np.uint8)[..., None], 3, axis=2)
    return RGBDSample(depth.astype(np.float32), guide, "made", unit)


def halves(low: float, high: float) -> np.ndarray:
    """`low` left of column 40, `high` from there on."""
    values = np.full(SHAPE, float(low))
    values[:, 40:] = high
    return values


def test_step_edge_counts_both_sides_and_spans_the_range():
    found = measure(sample(halves(10, 200)))
    assert found.edge_density == pytest.approx(2 / 80)
    assert found.contrast_median == found.contrast_high == pytest.approx(1)
    assert found.thin == 0 and found.slope_high == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.depth_only) and np.isnan(found.colour_only)


def test_contrast_is_the_share_of_the_range_per_edge_pixel():
    depth = halves(0, 100)
    depth[:, 60:] = 125  # jumps of 100 and 25 in a range of 125
    found = measure(sample(depth))
    assert found.contrast_median == pytest.approx(0.5)  # two pixels a row at 0.8, two at 0.2
    assert found.contrast_high == pytest.approx(0.8)


def test_a_jump_below_two_per_cent_is_no_edge():
    depth = halves(0, 1.9)
    depth[:, 60:] = 100
    assert measure(sample(depth)).edge_density == pytest.approx(2 / 80)


@pytest.mark.parametrize(("unit", "sign"), [("disparity", 1), ("m", -1)])
def test_bar_of_three_pixels_is_thin_when_it_is_nearer(unit, sign):
    depth = np.full(SHAPE, 5.0)
    depth[:, 30:33] += sign
    assert measure(sample(depth, unit=unit)).thin == pytest.approx(3 / 80)
    depth = np.full(SHAPE, 5.0)
    depth[:, 30:33] -= sign  # a slit: what is nearer is wide
    assert measure(sample(depth, unit=unit)).thin == 0


@pytest.mark.parametrize(("width", "thin"), [(8, True), (9, False)])
def test_thin_ends_at_nine_pixels(width, thin):
    nearness = np.zeros(SHAPE, np.float32)
    nearness[:, 20 : 20 + width] = 1
    assert thin_structures(nearness).sum() == (width * SHAPE[0] if thin else 0)


def test_ramp_has_its_slope_and_nothing_else():
    found = measure(sample(np.tile(3 + 0.5 * np.arange(80), (60, 1)), unit="m"))
    assert found.slope_median == pytest.approx(100 / 79, rel=1e-5)
    assert found.slope_high == pytest.approx(100 / 79, rel=1e-5)
    assert found.edge_density == found.thin == 0


def test_slope_is_the_gradients_length_and_survives_rounding():
    y, x = np.indices(SHAPE)
    depth = 0.3 * x + 0.4 * y
    everywhere = np.ones(SHAPE, bool)
    np.testing.assert_allclose(slopes(depth, everywhere), 0.5)
    assert slopes(depth, everywhere).size == (60 - 20) * (80 - 20)
    assert np.median(slopes(np.rint(depth), everywhere)) == pytest.approx(0.5, rel=0.02)
    everywhere[30, 40] = False
    assert slopes(depth, everywhere).size == (60 - 20) * (80 - 20) - 21 * 21


def test_textured_plane_has_colour_edges_only():
    ramp = np.tile(np.linspace(0, 1, 80), (60, 1))
    stripes = np.where(np.arange(80) // 10 % 2, 200, 40) * np.ones((60, 1))
    found = measure(sample(ramp, stripes))
    assert found.colour_only == 1 and np.isnan(found.depth_only)


def test_depth_edge_under_one_colour():
    found = measure(sample(halves(10, 200), np.full(SHAPE, 90)))
    assert found.depth_only == 1 and np.isnan(found.colour_only)


@pytest.mark.parametrize(("shift", "share"), [(0, 0), (2, 0), (8, 1)])
def test_edges_within_two_pixels_belong_together(shift, share):
    found = measure(sample(halves(10, 200), np.roll(halves(20, 220), shift, axis=1)[:, :80]))
    assert found.depth_only == share


def test_edge_in_a_hole_counts_once_and_is_left_out_of_the_shares():
    depth = halves(10, 200)
    depth[:, 37:41] = np.nan
    found = measure(sample(depth, halves(20, 220)))
    assert found.edge_density == pytest.approx(2 / 80)
    assert np.isnan(found.depth_only) and np.isnan(found.colour_only)


def test_map_of_one_depth_or_of_holes_is_refused():
    for value in (4.0, np.nan):
        with pytest.raises(ValueError, match="made: statistics need a map of at least two depths"):
            measure(sample(np.full(SHAPE, value)))


def test_mean_leaves_out_what_a_map_does_not_have():
    plain, coloured = measure(sample(halves(1, 2))), measure(sample(halves(1, 2), np.full(SHAPE, 9)))
    both = mean([plain, coloured])
    assert both.depth_only == 1 and both.edge_density == plain.edge_density and np.isnan(both.colour_only)


@pytest.fixture
def small_scenes(monkeypatch):
    """The command's scenes at a quarter of the size."""
    original = SyntheticScenes.__init__

    def init(self, *args, **options):
        original(self, *args, **options, width=160, height=120)

    monkeypatch.setattr(SyntheticScenes, "__init__", init)


def test_command_writes_its_block_and_nothing_else(small_scenes, writer, capsys):
    writer.third_size_scene("middlebury2006_third/Aloe")
    page = writer.path("page.md")
    page.write_text(f"before\n<!-- benchmark:{BLOCK} -->\nold\n<!-- /benchmark:{BLOCK} -->\nafter\n")
    assert main(["statistics", "--root", str(writer.root), "--scenes", "1", "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| Middlebury 2006, third size",
        *(f"| synthetic `{kind}`, {unit}" for kind in ("any", "clutter") for unit in ("metres", "disparity")),
    ]
    assert all(line.count(" | ") == len(COLUMNS) + 1 for line in (table[0], *table[2:]))
    printed = capsys.readouterr()
    assert table[2] in printed.out
    absent = [line.split(": not found in ") for line in printed.err.splitlines()]
    assert [(label, place.split(", looked")[0]) for label, place in absent] == [
        ("MSG-Net, Middlebury 2006, full size", str(writer.root / "msgnet_depth")),
        ("MSG-Net, Sintel", str(writer.root / "msgnet_depth")),
        ("NYUv2, raw", str(writer.root / "nyuv2")),
        ("NYUv2, samples", str(writer.root / "nyuv2_samples")),
        ("RealSense, aligned", str(writer.root / "realsense_aligned")),
    ]
    assert "Df_1.mat" in printed.err and "nyu_depth_v2_labeled.mat" in printed.err


def test_synthetic_rows_alone_are_printed_but_not_written(small_scenes, writer, capsys):
    writer.third_size_scene("elsewhere/Aloe")
    page = writer.path("page.md")
    text = f"<!-- benchmark:{BLOCK} -->\nold\n<!-- /benchmark:{BLOCK} -->\n"
    page.write_text(text)
    command = ["statistics", "--root", str(writer.root), "--scenes", "1"]
    assert main([*command, "--write", str(page)]) == 2
    assert page.read_text() == text
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count(": not found in ") == 6
    assert f"no real data under {writer.root}: {page} is left as it is" in printed.err
    assert main(command) == 0
    printed = capsys.readouterr()
    assert printed.out.count("| synthetic ") == 4 and printed.err.count(": not found in ") == 6


def test_help_names_the_folders(capsys):
    with pytest.raises(SystemExit):
        main(["statistics", "--help"])
    text = capsys.readouterr().out
    assert all(folder in text for folder in ("middlebury2006_third", "msgnet_depth", "nyuv2_samples"))
    assert "configs" not in text


def test_command_fails_before_measuring_when_the_place_is_wrong(writer, capsys):
    page = writer.path("page.md")
    page.write_text("no block\n")
    assert main(["statistics", "--root", str(writer.root), "--write", str(page)]) == 2
    assert f"<!-- benchmark:{BLOCK} -->" in capsys.readouterr().err
    assert main(["statistics", "--root", str(writer.root / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
