"""Maps that cannot be trained on are left out, counted and named, whether or not they fit into the cache."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import DepthSRData
from training.data.sources.folder import PairFolder


def make_folder(root: Path, maps: dict[str, np.ndarray], without_colour: tuple[str, ...] = ()) -> PairFolder:
    for name in ("depth", "rgb"):
        (root / name).mkdir(parents=True)
    for name, depth in maps.items():
        assert cv2.imwrite(str(root / f"depth/{name}.png"), depth)
        if name not in without_colour:
            assert cv2.imwrite(str(root / f"rgb/{name}.png"), np.zeros((*depth.shape, 3), np.uint8))
    return PairFolder(root)


def plane(height: int, width: int) -> np.ndarray:
    return (1000 + np.arange(height * width).reshape(height, width) % 700).astype(np.uint16)


def drawn(data: DepthSRData) -> set[str]:
    return {data._train[epoch, i]["name"] for epoch in range(3) for i in range(len(data._train))}


@pytest.fixture(params=[1e-9, 1.5e-5, 4.0], ids=["nothing", "one map", "everything"])
def cache_gb(request) -> float:
    return request.param


def make_data(source: PairFolder, cache_gb: float, **options) -> DepthSRData:
    settings = {"scale": 4, "patch": 48, "batch_size": 2, "patches_per_epoch": 30, "validation_scenes": []}
    return DepthSRData([source], cache_gb=cache_gb, **{**settings, **options})


@pytest.mark.parametrize("first", ["saturated", "small", "grey", "good"])
def test_each_kind_is_left_out_and_named(tmp_path, cache_gb, first):
    maps = {
        "good": plane(64, 80),
        "tall": plane(120, 50),
        "small": plane(47, 300),
        "grey": plane(64, 80),
        "saturated": np.full((64, 80), 65535, np.uint16),
    }
    source = make_folder(
        tmp_path, {f"{0 if k == first else 1}{k}": v for k, v in maps.items()}, (f"{int(first != 'grey')}grey",)
    )
    data = make_data(source, cache_gb, require_guide=True)
    with pytest.warns(UserWarning, match="saturated") as warned:
        data.setup("fit")
    text = next(str(w.message) for w in warned if "trained on" in str(w.message))
    assert all(name in text for name in ("saturated", "small", "grey")) and "tall" not in text
    assert {name[-4:] for name in drawn(data)} == {"good", "tall"}
    assert sorted(map(len, data._train.store.left_out.values())) == [1, 1, 1]
    patches = [data._train[0, i] for i in range(30)]
    assert all(bool(p["has_guide"]) and p["depth_hr"].shape == (1, 48, 48) for p in patches)


def test_patches_do_not_depend_on_the_cache(tmp_path):
    source = make_folder(tmp_path, {"a": plane(64, 80), "b": plane(90, 50), "c": np.zeros((64, 80), np.uint16)})
    sets = []
    for cache_gb in (1e-9, 4.0):
        data = make_data(source, cache_gb)
        with pytest.warns(UserWarning):
            data.setup("fit")
        sets.append([data._train[1, i] for i in range(20)])
    for a, b in zip(*sets, strict=True):
        assert a["name"] == b["name"] and bool((a["depth_hr"] == b["depth_hr"]).all())


def test_nothing_left_says_why(tmp_path, cache_gb):
    maps = {"a": plane(30, 300), "b": np.zeros((64, 64), np.uint16), "c": plane(64, 64), "d": plane(64, 64)}
    source = make_folder(tmp_path, maps, ("c",))
    held = [source.scene_of(source.names.index("d"))]
    data = make_data(source, cache_gb, require_guide=True, validation_scenes=held)
    with pytest.raises(ValueError, match="0 of 4") as error:
        data.setup("fit")
    assert all(f"folder/{name}" in str(error.value) for name in "abcd")


def test_validation_and_test_frames_are_checked_too(tmp_path, cache_gb):
    corner = np.zeros((35, 35), np.uint16)
    corner[34, 34] = 900  # outside of the whole 4x4 cells
    maps = {"good": plane(64, 80), "empty": np.zeros((64, 80), np.uint16), "corner": corner, "tiny": plane(3, 90)}
    source = make_folder(tmp_path, maps)
    data = make_data(
        make_folder(tmp_path / "train", {"x": plane(64, 64)}),
        cache_gb,
        validation_sources=[source],
        test_sources=[source],
    )
    with pytest.warns(UserWarning, match="empty"):
        data.setup("fit")
        data.setup("test")
    for loader in (data.val_dataloader(), data.test_dataloader()):
        assert [batch["name"] for batch in loader] == [["folder/good"]]


def test_nothing_to_test_on_says_why(tmp_path):
    source = make_folder(tmp_path, {"a": np.zeros((64, 64), np.uint16)})
    data = make_data(source, 4.0, test_sources=[source])
    with pytest.warns(UserWarning, match="folder/a"):
        data.setup("test")
    with pytest.raises(ValueError, match="folder/a"):
        data.test_dataloader()


def test_a_damaged_file_beyond_the_cache_is_named_before_the_training(tmp_path, cache_gb):
    source = make_folder(tmp_path, {"a": plane(64, 64), "b": plane(64, 64)})
    path = tmp_path / "depth/b.png"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ValueError, match=r"b\.png"):
        make_data(source, cache_gb).setup("fit")
