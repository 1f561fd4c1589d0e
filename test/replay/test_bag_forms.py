"""Recordings in other forms than a whole rosbag2 with raw images: cut short, of ROS 1, compressed, without stamps."""

import json
import struct

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.cli import main
from depth_sr_ros.messages.images import colour_pixels, decode_depth
from depth_sr_ros.replay.reading import BagError, cdr_stamp, open_bag
from depth_sr_ros.replay.topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from depth_sr_ros.replay.writing import BagWriter

STORE, ROS1 = get_typestore(Stores.ROS2_KILTED), get_typestore(Stores.ROS1_NOETIC)
CAMERA = Intrinsics(40.0, 41.0, 15.5, 11.5, 32, 24)
START, STEP, COUNT = 1_700_000_000_123_456_789, 100_000_000, 12
RNG = np.random.default_rng(3)
DEPTHS = RNG.integers(500, 4000, (COUNT, 24, 32)).astype(np.uint16)
COLOURS = RNG.integers(0, 255, (COUNT, 96, 128, 3)).astype(np.uint8)


class Unstamped(BagWriter):
    def _header(self, topic, stamp_ns):
        return super()._header(topic, 0 if "depth" in topic else stamp_ns)


def write(path, writer=BagWriter, **options):
    with writer(path, **options) as bag:
        for index in range(COUNT):
            depth = DEPTHS[index].astype(np.float32) / 1000
            bag.write_frame(START + index * STEP, depth, CAMERA, COLOURS[index], CAMERA.scaled(4))
    return path


def mcap_of(path):
    (file,) = path.glob("*.mcap")
    return file


def cut(path, share):
    file = mcap_of(path)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("metadata", [True, False])
def test_an_incomplete_mcap_is_read_to_its_last_whole_message(tmp_path, share, metadata):
    path = cut(write(tmp_path / "bag"), share)
    if not metadata:
        (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        depths = [decode_depth(message).pixels for message in bag.messages("depth")]
        assert len(bag.notes) == 1
        assert all(word in bag.notes[0] for word in ("incomplete", "mcap recover", "reindex"))
    assert 0 < len(depths) <= COUNT
    if share == 0.5:
        assert 4 <= len(depths) <= 6
    np.testing.assert_array_equal(depths, DEPTHS[: len(depths)])


def test_a_compressed_mcap_is_read_to_its_last_whole_chunk(tmp_path):
    path = tmp_path / "bag"
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    noise = RNG.integers(0, 65535, (200, 200)).astype(np.uint16)
    with writer:
        connection = writer.add_connection("/c/depth/image_raw", IMAGE, typestore=STORE)
        for index in range(60):
            message = image(STORE, noise + np.uint16(index), "16UC1", START + index * STEP)
            writer.write(connection, START + index * STEP, STORE.serialize_cdr(message, IMAGE))
    with open_bag(cut(path, 0.7)) as bag:
        depths = [decode_depth(message).pixels for message in bag.messages("depth")]
    assert 10 < len(depths) <= 42
    np.testing.assert_array_equal(depths[-1], noise + np.uint16(len(depths) - 1))


@pytest.mark.parametrize("size", [0, 5, 60, 700])
def test_an_mcap_without_a_whole_message_says_how_to_repair_it(tmp_path, size):
    path = write(tmp_path / "bag")
    file = mcap_of(path)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BagError) as info, open_bag(path):
        pass
    assert size < 8 or "mcap recover" in str(info.value)


def image(store, pixels, encoding, stamp, **more):
    time = store.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    header = store.types["std_msgs/msg/Header"](stamp=time, frame_id="optical", **more)
    return store.types[IMAGE](
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.reshape(-1).view(np.uint8),
    )


def test_a_rosbag1_gives_the_same_frames(tmp_path):
    k = CAMERA.matrix()
    roi = ROS1.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    with Writer1(tmp_path / "old.bag") as writer:
        depth = writer.add_connection("/camera/depth/image_raw", IMAGE, typestore=ROS1)
        info = writer.add_connection("/camera/depth/camera_info", CAMERA_INFO, typestore=ROS1)
        for index, pixels in enumerate(DEPTHS):
            stamp = START + index * STEP
            message = image(ROS1, pixels, "16UC1", stamp, seq=index)
            writer.write(depth, stamp, ROS1.serialize_ros1(message, IMAGE))
            calibration = ROS1.types[CAMERA_INFO](
                message.header,
                24,
                32,
                "plumb_bob",
                np.zeros(5),
                k.ravel(),
                np.eye(3).ravel(),
                np.hstack([k, np.zeros((3, 1))]).ravel(),
                0,
                0,
                roi,
            )
            writer.write(info, stamp, ROS1.serialize_ros1(calibration, CAMERA_INFO))
    with open_bag(tmp_path / "old.bag") as bag:
        np.testing.assert_array_equal([decode_depth(m).pixels for m in bag.messages("depth")], DEPTHS)
        np.testing.assert_array_equal(next(iter(bag.messages("depth_info"))).k, k.ravel())
        assert [stamp for stamp, _ in bag.index("depth")] == [START + index * STEP for index in range(COUNT)]
        raw = next(iter(bag.raw("depth")))
        assert STORE.deserialize_cdr(raw.cdr, IMAGE).width == 32


def compressed(data, format_text, stamp):
    header = image(STORE, DEPTHS[0], "16UC1", stamp).header
    return STORE.types[COMPRESSED_IMAGE](header=header, format=format_text, data=np.frombuffer(data, np.uint8))


def test_compressed_images_are_images(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        depth = writer.add_connection("/c/depth/image_raw/compressedDepth", COMPRESSED_IMAGE, typestore=STORE)
        rgb = writer.add_connection("/c/rgb/image_raw/compressed", COMPRESSED_IMAGE, typestore=STORE)
        for index in range(COUNT):
            stamp = START + index * STEP
            data = struct.pack("<iff", 0, 0, 0) + cv2.imencode(".png", DEPTHS[index])[1].tobytes()
            data = data[:60] if index == 2 else data
            message = compressed(data, "16UC1; compressedDepth png", stamp)
            writer.write(depth, stamp, STORE.serialize_cdr(message, COMPRESSED_IMAGE))
            colour = cv2.imencode(".png", COLOURS[index][..., ::-1])[1].tobytes()
            message = compressed(colour, "rgb8; png compressed bgr8", stamp)
            writer.write(rgb, stamp, STORE.serialize_cdr(message, COMPRESSED_IMAGE))
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics.rgb == "/c/rgb/image_raw/compressed"
        messages = list(bag.messages("depth"))
        assert len(messages) == COUNT
        with pytest.raises(ValueError, match="damaged"):
            decode_depth(messages[2])
        np.testing.assert_array_equal(decode_depth(messages[3]).pixels, DEPTHS[3])
        np.testing.assert_array_equal(colour_pixels(next(iter(bag.messages("rgb")))), COLOURS[0])
        sent = [STORE.deserialize_cdr(raw.cdr, IMAGE) for raw in bag.raw("depth")]
        assert (sent[2].width, sent[2].height) == (0, 0)
        np.testing.assert_array_equal(decode_depth(sent[4]).pixels, DEPTHS[4])


def test_a_stamp_of_zero_becomes_the_time_of_recording(tmp_path):
    with open_bag(write(tmp_path / "bag", Unstamped)) as bag:
        assert bag.index("depth") == [(START + i * STEP, START + i * STEP) for i in range(COUNT)]
        assert cdr_stamp(next(iter(bag.raw("depth_info"))).cdr) == START
        (note,) = bag.notes
        assert "/camera/depth/image_raw" in note and "/camera/rgb" not in note


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_zstd_by_file_and_by_message(tmp_path, mode):
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/c/depth/image_raw", IMAGE, typestore=STORE)
        for index, pixels in enumerate(DEPTHS):
            message = image(STORE, pixels, "16UC1", START + index * STEP)
            writer.write(connection, START + index * STEP, STORE.serialize_cdr(message, IMAGE))
    with open_bag(tmp_path / "bag") as bag:
        np.testing.assert_array_equal([decode_depth(m).pixels for m in bag.messages("depth")], DEPTHS)


def test_the_listing_says_which_topics_are_used_and_why(tmp_path, capsys):
    path = write(tmp_path / "bag")
    assert main(["replay", str(path), "--list", "--json"]) == 0
    listed = {row["topic"]: row for row in json.loads(capsys.readouterr().out)["topics"]}
    assert listed["/camera/depth/image_raw"]["role"] == "depth"
    assert listed["/camera/depth/image_raw"]["messages"] == COUNT
    assert "/camera/rgb/image_raw" in listed["/camera/depth/image_raw"]["why"]
    assert listed["/camera/rgb/camera_info"]["role"] == "rgb_info"
    assert main(["replay", str(path), "--list", "--rgb-topic", ""]) == 0
    assert "no RGB" in capsys.readouterr().out.replace("\n", " ")
