import numpy as np
import pytest

from training.benchmark.datasets import SCENES_2005
from training.benchmark.published import published_rows, rows_for
from training.benchmark.scores import SCORES


def find(method: str, source: str, metric: str):
    (row,) = [r for r in published_rows() if (r.method, r.source, r.metric) == (method, source, metric)]
    return row.printed


@pytest.mark.parametrize(
    ("method", "source", "scale", "mean"),
    [
        ("CTKT DSRNet", "CTKT, table 1", 2, 0.073),
        ("CTKT DSRNet", "CTKT, table 1", 4, 0.163),
        ("CTKT DSRNet", "CTKT, table 1", 8, 0.355),
        ("CTKT DSRNet", "CTKT, table 1", 16, 0.830),
        ("BridgeNet", "BridgeNet, table 1", 4, 0.190),
        ("BridgeNet", "BridgeNet, table 1", 8, 0.345),
        ("BridgeNet", "BridgeNet, table 1", 16, 0.765),
    ],
)
def test_means_over_the_six_scenes_that_the_papers_state(method, source, scale, mean):
    printed = find(method, source, "mad")
    assert np.mean([float(printed[scene, scale]) for scene in SCENES_2005]) == pytest.approx(mean, abs=6e-4)


@pytest.mark.parametrize("metric", ["psnr", "pe"])
def test_cross_scale_rows_agree_with_their_printed_means(metric):
    rows = [r for r in published_rows() if r.source == "CSAN, table 1" and r.metric == metric]
    assert len(rows) == 10
    for row in rows:
        for scale in {scale for _, scale in row.printed}:
            values = [float(v) for (scene, s), v in row.printed.items() if s == scale and scene != "mean_of_ten"]
            assert len(values) == 10
            assert np.mean(values) == pytest.approx(float(row.printed["mean_of_ten", scale]), abs=0.011)


def test_values_are_kept_as_printed():
    assert find("DSRN", "CTKT, table 1", "mad")["Laundry", 16] == "1.24"
    assert find("Bicubic", "CTKT, table 1", "mad")["Reindeer", 2] == "0.30"


def test_all_four_papers_and_the_measured_peers_are_there_with_known_metrics():
    rows = published_rows()
    sources = {row.source.partition(",")[0] for row in rows}
    assert {"CTKT", "BridgeNet", "CSAN", "DADA", "HCGNet", "peer"} == sources
    assert {row.metric for row in rows} - {"lr_mse"} <= set(SCORES)
    assert all(float(text) >= 0 for row in rows for text in row.printed.values())


def test_rows_repeated_by_a_later_paper_are_shown_once():
    columns = [(scene, 8) for scene in SCENES_2005]
    rows = rows_for("middlebury2005", "mad", columns)
    names = [row.method for row in rows]
    assert names.count("DGDIE") == names.count("CTKT DSRNet") == 1
    # MSG-Net's published row and its row measured from the weights differ, so both stay
    assert names.count("MSG-Net") == 2
    assert not rows_for("middlebury2005", "mad", [("Books", 32)])
