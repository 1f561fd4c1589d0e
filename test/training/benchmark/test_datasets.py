import numpy as np
import pytest

from training.benchmark.datasets import (
    DatasetError,
    find_offset,
    middlebury2005,
    read_image,
    shift_image,
)
from training.benchmark.other_datasets import tuning2006, validation2006
from training.benchmark.protocols import P1, P2
from training.data.splits import VALIDATION_SCENES


def test_protocols_and_registration_of_the_2005_layout(small2005):
    books, laundry = middlebury2005(small2005, None)
    assert (books.name, books.protocol, books.depth.shape) == ("Books", P1, (66, 82))
    assert (laundry.name, laundry.protocol) == ("Laundry", P2)
    assert books.guide.shape == (66, 82, 3)
    # the colour is a function of the depth here, so registration shows in the red channel
    assert np.abs(books.guide[3:, 7:, 0] - books.depth[3:, 7:]).mean() < 2


def test_find_offset_finds_the_shift_of_real_books(root2005):
    truth = read_image(root2005 / "Books" / "depth_msgnet_b.bmp", colour=False)
    depth = read_image(root2005 / "Books" / "depth.png", colour=False)
    assert find_offset(truth, depth) == (3, 7)


def test_shift_image_repeats_the_edge():
    image = np.arange(6).reshape(2, 3)
    assert shift_image(image, 1, 1, (3, 3)).tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


def test_without_the_msgnet_file_the_protocol_says_so(small2005):
    (small2005 / "Books" / "depth_msgnet_b.bmp").unlink()
    (books,) = middlebury2005(small2005, ["Books"])
    assert books.protocol.name == "P1 on depth.png" and books.depth.shape == (70, 86)


def test_missing_and_unknown_scenes_are_named(small2005, tmp_path):
    with pytest.raises(DatasetError, match=r"missing scenes .*Art, Dolls \(found Books, Laundry\)"):
        list(middlebury2005(small2005, ["Art", "Books", "Dolls"]))
    with pytest.raises(DatasetError, match="unknown scenes Sofa: this data set has Art, Books"):
        list(middlebury2005(small2005, ["Sofa"]))
    with pytest.raises(DatasetError, match=r"no folder .*nowhere: give the data set's folder with --root"):
        list(middlebury2005(tmp_path / "nowhere", None))
    (small2005 / "Laundry" / "color.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"color\.png cannot be read"):
        list(middlebury2005(small2005, ["Laundry"]))


def test_validation_and_tuning_scenes_do_not_overlap(root2006):
    held_out = {scene.removeprefix("middlebury2006/") for scene in VALIDATION_SCENES}
    validation = list(validation2006(root2006, None))
    assert {scene.name for scene in validation} == held_out | {f"{scene}-view5" for scene in held_out}
    assert all(scene.guide.shape == (*scene.depth.shape, 3) for scene in validation)
    assert any(np.isnan(scene.depth).any() for scene in validation)
    assert not held_out & {scene.name for scene in tuning2006(root2006)}
