import numpy as np
import pytest

from depth_sr_ros.evaluation.metrics import lr_consistency, mad, percent_error, psnr, rmse
from depth_sr_ros.resize import bicubic, block_mean

TRUTH = np.array([[1.0, 2.0], [np.nan, 4.0]])
ESTIMATE = np.array([[2.0, np.nan], [3.0, 1.0]])


def test_only_pixels_valid_in_both_count():
    assert mad(ESTIMATE, TRUTH) == 2.0  # errors 1 and -3
    assert rmse(ESTIMATE, TRUTH) == pytest.approx(np.sqrt(5))
    assert percent_error(ESTIMATE, TRUTH, threshold=1.0) == 50.0
    assert psnr(ESTIMATE, TRUTH, peak=10.0) == pytest.approx(20 * np.log10(10 / np.sqrt(5)))


def test_nothing_valid_is_nan_and_exact_is_infinite_psnr():
    assert np.isnan(mad(np.full((2, 2), np.nan), TRUTH))
    assert psnr(TRUTH, TRUTH) == np.inf


def test_other_shape_is_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        mad(np.zeros((2, 3)), np.zeros((3, 2)))


def test_lr_consistency_knows_its_kernel():
    truth = np.random.default_rng(0).random((32, 48))
    assert lr_consistency(truth, block_mean(truth, 4)) == pytest.approx(0, abs=1e-12)
    assert lr_consistency(truth, bicubic(truth, scale=0.25), kernel="bicubic") == pytest.approx(0, abs=1e-12)
    assert lr_consistency(truth, bicubic(truth, scale=0.25), kernel="block_mean") > 1e-3
