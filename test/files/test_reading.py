"""Depth maps and guides from files: every stored form of one map, and files that must be refused."""

from __future__ import annotations

import io
import itertools
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from depth_sr_ros.files import MAX_PIXELS, read_depth, read_guide
from training.data.files import read_disparity, read_dpt
from training.data.sources.folder import PairFolder


@pytest.fixture
def metres() -> np.ndarray:
    """(6, 9) float32, whole quarters of a metre: exact in float16 and in millimetres; one hole."""
    depth = (np.arange(54, dtype=np.float32).reshape(6, 9) + 2) / 4
    depth[2, 3] = np.nan
    return depth


def in_type(metres: np.ndarray, dtype: str) -> np.ndarray:
    return np.nan_to_num(metres * 1000).astype(dtype) if np.dtype(dtype).kind == "u" else metres.astype(dtype)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<u2", ">u2"])
def test_npy_of_any_width_byte_order_and_layout(tmp_path, metres, dtype, version):
    for order in "CF":
        with open(tmp_path / "d.npy", "wb") as file:
            np.lib.format.write_array(file, np.asarray(in_type(metres, dtype), order=order), version)
        depth = read_depth(tmp_path / "d.npy")
        assert depth.dtype == np.float32 and depth.dtype.isnative
        np.testing.assert_array_equal(depth, metres)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magnitude", ["1", "1.0", "0.25", "1000", "3.9e-3"])
@pytest.mark.parametrize("gaps", [("\n", "\n", "\n"), (" ", " ", "\n"), ("\r\n", "\r\n", "\r\n")])
def test_pfm_scale_is_the_byte_order_alone(tmp_path, metres, order, magnitude, gaps):
    header = f"Pf{gaps[0]}9 6{gaps[1]}{'-' if order == '<' else ''}{magnitude}{gaps[2]}".encode()
    (tmp_path / "d.pfm").write_bytes(header + metres[::-1].astype(order + "f4").tobytes())
    np.testing.assert_array_equal(read_depth(tmp_path / "d.pfm"), metres)
    np.testing.assert_array_equal(read_disparity(tmp_path / "d.pfm"), metres)


@pytest.mark.parametrize(
    "suffix, dtype", [(".png", "u2"), (".pgm", "u2"), (".tif", "u2"), (".tiff", "f4"), (".tiff", "f8")]
)
def test_image_formats(tmp_path, metres, suffix, dtype):
    assert cv2.imwrite(str(tmp_path / f"d{suffix}"), in_type(metres, dtype))
    np.testing.assert_array_equal(read_depth(tmp_path / f"d{suffix}"), metres)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_no_orientation_tag_turns_one_of_a_pair(tmp_path, metres, orientation):
    rgb = np.random.default_rng(1).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(rgb).save(tmp_path / "g.png", exif=exif)
    Image.fromarray(rgb).save(tmp_path / "g.webp", exif=exif, lossless=True)
    Image.fromarray(rgb).save(tmp_path / "g.tif", tiffinfo={274: orientation})
    for suffix in (".png", ".webp", ".tif"):
        np.testing.assert_array_equal(read_guide(tmp_path / f"g{suffix}"), rgb)
    Image.fromarray(np.repeat(np.repeat(rgb, 16, 0), 16, 1)).save(tmp_path / "g.jpg", exif=exif, quality=95)
    guide = read_guide(tmp_path / "g.jpg")
    assert guide.shape == (96, 144, 3)
    assert np.abs(guide[8::16, 8::16].astype(int) - rgb).mean() < 20  # turned: about 85
    Image.fromarray(metres).save(tmp_path / "d.tif", tiffinfo={274: orientation})
    np.testing.assert_array_equal(read_depth(tmp_path / "d.tif"), metres)


def test_guides_of_other_kinds(tmp_path):
    grey = np.arange(60, dtype=np.uint8).reshape(6, 10)
    for name, image in (
        ("grey.png", grey),
        ("grey16.png", grey.astype(np.uint16) << 8),
        ("alpha.png", np.dstack([grey, grey, grey, grey])),
        ("grey.bmp", grey),
    ):
        assert cv2.imwrite(str(tmp_path / name), image)
        np.testing.assert_array_equal(read_guide(tmp_path / name), np.dstack([grey] * 3))


def stored_forms(folder: Path) -> list[Path]:
    """One file of each format, of noise, so that every byte counts."""
    rng = np.random.default_rng(0)
    depth = rng.integers(300, 5000, (40, 52)).astype(np.uint16)
    rgb = rng.integers(0, 256, (40, 52, 3)).astype(np.uint8)
    for name, image in (
        ("d.png", depth),
        ("d.pgm", depth),
        ("d.tif", depth),
        ("f.tiff", depth.astype(np.float32) / 1000),
        ("g.png", rgb),
        ("g.jpg", rgb),
        ("g.webp", rgb),
        ("g.bmp", rgb),
    ):
        assert cv2.imwrite(str(folder / name), image)
    Image.fromarray(rgb).save(folder / "p.jpg", progressive=True)
    Image.fromarray(depth).save(folder / "lzw.tif", compression="tiff_lzw")
    np.save(folder / "d.npy", depth)
    (folder / "d.pfm").write_bytes(b"Pf\n52 40\n-1\n" + (depth / 1000).astype("<f4").tobytes())
    return sorted(folder.iterdir())


def test_truncated_at_any_place(tmp_path):
    for path in stored_forms(tmp_path):
        whole, read = path.read_bytes(), read_guide if path.stem in "gp" else read_depth
        pixels = read(path)
        for part in (0, 0.1, 0.25, 0.5, 0.75, 0.9):
            path.write_bytes(whole[: int(part * len(whole))])
            with pytest.raises(ValueError, match=path.name):
                read(path)
        for lost in (9, 2):  # of a TIFF, these may be the pointer to a next page that is not there
            path.write_bytes(whole[:-lost])
            try:
                np.testing.assert_array_equal(read(path), pixels)
                assert path.suffix == ".tif"
            except ValueError as error:
                assert path.name in str(error)


def test_flipped_bytes_are_read_or_refused(tmp_path):
    rng = np.random.default_rng(3)
    for path in stored_forms(tmp_path):
        whole, read = path.read_bytes(), read_guide if path.stem in "gp" else read_depth
        for end in itertools.chain([64] * 25, [len(whole)] * 10):
            damaged = bytearray(whole)
            for place in rng.integers(0, end, 2):
                damaged[place] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            try:
                assert read(path).shape[0] > 0
            except ValueError as error:
                assert path.name in str(error)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    rows = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (body, rows, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff_header(width: int, height: int, bits: int = 16) -> bytes:
    tags = ((256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 64))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(80)


def npy_header(header: str) -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + bytes(64)


ARRAY = "{'descr': '%s', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    "name, content",
    [
        ("d.png", png_header(60_000, 60_000)),
        ("d.png", png_header(2**31 - 1, 2**31 - 1)),
        ("d.png", png_header(0, 5)),
        ("d.tif", tiff_header(2**31 - 1, 2**31 - 1)),
        ("d.tif", tiff_header(9000, 9000)),
        ("d.tif", tiff_header(16, 16, bits=7)),
        ("d.tif", b"II*\0\xff\xff\xff\xff"),
        ("d.pgm", b"P5\n100000 100000\n65535\n" + bytes(64)),
        ("d.pfm", b"Pf\n99999 99999\n-1\n" + bytes(64)),
        ("d.pfm", b"Pf\n999999999999999999999 1\n-1\n" + bytes(64)),
        ("d.pfm", b"Pf\n4 4\n0\n" + bytes(64)),
        ("d.pfm", b"Pf\n4 4\n1e999\n" + bytes(64)),
        ("d.pfm", b"PF\n2 2\n-1\n" + bytes(48)),
        ("d.pfm", b"Pf\n-4 -4\n-1\n" + bytes(64)),
        ("d.npy", npy_header(ARRAY % ("<f4", (10**9, 10**9)))),
        ("d.npy", npy_header(ARRAY % ("<f4", (-4, -4)))),
        ("d.npy", npy_header(ARRAY % ("<f4", (0, 4)))),
        ("d.npy", npy_header(ARRAY % ("<f4", (16,)))),
        ("d.npy", npy_header(ARRAY % ("<f4", (4, 2, 2)))),
        ("d.npy", npy_header(ARRAY % ("|O", (4, 4)))),
        ("d.npy", npy_header(ARRAY % ("<c8", (2, 4)))),
        ("d.npy", npy_header(ARRAY % ("<i4", (4, 4)))),
        ("d.npy", npy_header("(" * 5000)),
        ("d.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff{"),
        ("d.npy", b"\x93NUMPY\x09\0" + bytes(64)),
        ("d.png", b"\xff\xd8\xff\xe0" + bytes(64)),
        ("d.png", bytes(64)),
        ("d.jpg", bytes(64)),
        ("d", bytes(64)),
    ],
)
def test_hostile_headers_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for read in (read_depth, read_guide):
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


def test_the_limit_is_on_pixels_not_on_the_file(tmp_path):
    side = int(MAX_PIXELS**0.5)
    (tmp_path / "g.png").write_bytes(png_header(side, side + 1))
    with pytest.raises(ValueError, match=str(MAX_PIXELS)):
        read_guide(tmp_path / "g.png")


@pytest.mark.parametrize(
    "image", [np.ones((8, 8), np.uint8), np.ones((8, 8, 3), np.uint16), np.ones((8, 8, 4), np.uint8)]
)
def test_no_depth_map(tmp_path, image):
    for suffix in (".png", ".tiff"):
        assert cv2.imwrite(str(tmp_path / f"d{suffix}"), image)
        with pytest.raises(ValueError, match=f"d{suffix}"):
            read_depth(tmp_path / f"d{suffix}")


def test_no_regular_file(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    for name, kind in (
        ("folder", IsADirectoryError),
        ("loop", FileNotFoundError),
        ("broken", FileNotFoundError),
        ("absent", FileNotFoundError),
        ("empty", ValueError),
        ("device", OSError),
        ("pipe", OSError),
    ):
        for read in (read_depth, read_guide):
            with pytest.raises(kind, match=name):
                read(tmp_path / f"{name}.png")
    for read in (read_depth, read_guide):
        with pytest.raises(ValueError):
            read("nul\0.png")


def test_dpt_claims_are_checked(tmp_path):
    tag = np.float32(202021.25).tobytes()
    (tmp_path / "d.dpt").write_bytes(tag + np.array([2**30, 2**30], "<i4").tobytes() + bytes(64))
    with pytest.raises(ValueError, match=r"d\.dpt"):
        read_dpt(tmp_path / "d.dpt")


def test_millimetres_stored_as_float_are_noticed(tmp_path, metres):
    for suffix in (".npy", ".tiff", ".pfm"):
        if suffix == ".npy":
            np.save(tmp_path / "d.npy", metres * 1000)
        else:
            assert cv2.imwrite(str(tmp_path / f"d{suffix}"), metres * 1000)
        with pytest.warns(UserWarning, match="metres"):
            read_depth(tmp_path / f"d{suffix}")


def test_training_reads_a_folder_as_the_command_line_does(tmp_path, metres):
    (tmp_path / "Depth").mkdir()
    (tmp_path / "IMG").mkdir()
    np.save(tmp_path / "Depth/a.npy", metres.astype(">f2"))
    (tmp_path / "Depth/b.pfm").write_bytes(b"Pf\n9 6\n0.5\n" + metres[::-1].astype(">f4").tobytes())
    rgb = np.zeros((6, 9, 3), np.uint8)
    rgb[:3] = 250
    exif = Image.Exif()
    exif[274] = 3
    for name in "ab":
        Image.fromarray(rgb).save(tmp_path / f"IMG/{name}.png", exif=exif)
    for hidden in ("Depth/._a.npy", "Depth/.DS_Store", "Depth/.b.pfm", "IMG/._a.png"):
        (tmp_path / hidden).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (tmp_path / "Depth/c.png").mkdir()
    source = PairFolder(tmp_path)
    assert source.names == ["a", "b"] and not source.missing()
    for sample in source:
        np.testing.assert_array_equal(sample.depth, metres)
        assert sample.guide is not None and sample.guide[:3].min() == 250


def test_pairs_without_a_common_name_are_an_error(tmp_path, metres):
    for name in ("depth/1.npy", "color/x.png"):
        (tmp_path / name).parent.mkdir()
    np.save(tmp_path / "depth/1.npy", metres)
    Image.new("RGB", (9, 6)).save(tmp_path / "color/x.png")
    with pytest.raises(ValueError, match="order"):
        PairFolder(tmp_path)
    assert next(iter(PairFolder(tmp_path, pair="order"))).guide is not None


def test_a_jpeg_whose_thumbnail_is_whole_is_still_truncated(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    thumbnail = io.BytesIO()
    noise.resize((8, 8)).save(thumbnail, "JPEG")
    content = io.BytesIO()
    noise.save(content, "JPEG", comment=thumbnail.getvalue())
    (tmp_path / "g.jpg").write_bytes(content.getvalue())
    assert read_guide(tmp_path / "g.jpg").shape == (64, 64, 3)
    (tmp_path / "g.jpg").write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
    with pytest.raises(ValueError, match=r"g\.jpg"):
        read_guide(tmp_path / "g.jpg")
