import numpy as np
import pytest

from training.benchmark.protocols import DADA, DKN, P1
from training.benchmark.scores import score


def test_scores_of_a_known_error():
    truth = np.full((8, 8), 100.0)
    output = truth.copy()
    output[0, 0] += 10.2  # scored as 10 after rounding
    output[0, 1] += 0.4  # rounds to no error
    scores = score(output, truth, np.full((2, 2), 100.0), P1, "block_mean")
    assert scores["mad"] == pytest.approx(10 / 64)
    assert scores["mse"] == pytest.approx(100 / 64)
    assert scores["rmse"] == pytest.approx(10 / 8)
    assert scores["pe"] == pytest.approx(100 / 64)
    assert scores["psnr"] == pytest.approx(20 * np.log10(255 / 1.25))
    assert scores["lr_consistency"] == pytest.approx((10.6 / 16) / 4)


def test_pe_counts_errors_above_four_levels():
    truth = np.full((2, 4), 100.0)
    output = truth + np.array([[0, 3, 4, 5], [-4, -5, 0, 0]])
    assert score(output, truth, np.full((1, 2), 100.0), P1, "block_mean")["pe"] == pytest.approx(25.0)


def test_invalid_truth_is_left_out_but_holes_in_the_output_are_refused():
    truth = np.full((4, 4), 5.0)
    truth[0, 0] = np.nan
    output = np.full((4, 4), 6.0)
    scores = score(output, truth, np.full((1, 1), 5.0), DADA, "block_mean")
    assert scores["mad"] == 1 and "psnr" not in scores
    output[0, 0] = np.nan
    assert score(output, truth, np.full((1, 1), 5.0), DADA, "block_mean")["mad"] == 1
    output[1, 1] = np.nan
    with pytest.raises(ValueError, match="no depth at 1 of 16 pixels"):
        score(output, truth, np.full((1, 1), 5.0), DADA, "block_mean")


def test_border_is_ignored():
    truth = np.zeros((16, 16))
    output = np.full((16, 16), 9.0)
    output[6:-6, 6:-6] = 0
    assert score(output, truth, np.zeros((4, 4)), DKN, "block_mean")["rmse"] == 0
