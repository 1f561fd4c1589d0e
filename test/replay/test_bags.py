"""Writing and reading recordings: what goes in comes out, and what cannot be used says why."""

from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.messages.camera_info import decode_camera_info
from depth_sr_ros.messages.images import colour_pixels, decode_depth
from depth_sr_ros.messages.protocols import stamp_ns
from depth_sr_ros.replay.reading import BagError, open_bag
from depth_sr_ros.replay.topics import IMAGE, Topics
from depth_sr_ros.replay.writing import DEFAULT_TOPICS, BagWriter

STORE = get_typestore(Stores.ROS2_KILTED)
CAMERA = Intrinsics(40.0, 41.0, 15.5, 11.5, 32, 24)
START = 1_700_000_000_123_456_789


def frames(count=3):
    rng = np.random.default_rng(0)
    for index in range(count):
        depth = rng.uniform(0.5, 4, (24, 32)).astype(np.float32)
        depth[index, :5] = np.nan
        rgb = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        yield START + index * 100_000_000, depth, rgb, depth.repeat(2, 0).repeat(2, 1)


def write(path, count=3, topics=DEFAULT_TOPICS, **options):
    with BagWriter(path, topics, **options) as bag:
        for stamp, depth, rgb, truth in frames(count):
            bag.write_frame(stamp, depth, CAMERA, rgb, CAMERA.scaled(2), truth)
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(("encoding", "tolerance"), [("16UC1", 5.1e-4), ("32FC1", 0)])
def test_round_trip(tmp_path, storage, encoding, tolerance):
    path = write(tmp_path / "bag", depth_encoding=encoding, storage=storage)
    with open_bag(path) as bag:
        assert bag.topics == DEFAULT_TOPICS
        assert bag.count("depth") == bag.count("truth") == bag.count("rgb_info") == 3
        assert bag.duration == pytest.approx(0.2, abs=1e-6)
        assert [m.role for m in bag.raw()] == ["rgb", "rgb_info", "depth_info", "depth"] * 3
        decoded = zip(*(bag.messages(role) for role in ("depth", "rgb", "truth", "depth_info")))
        for (stamp, depth, rgb, truth), messages in zip(frames(), decoded):
            assert all(stamp_ns(m) == stamp for m in messages)
            np.testing.assert_allclose(decode_depth(messages[0]).metres(), depth, atol=tolerance)
            np.testing.assert_array_equal(colour_pixels(messages[1]), rgb)
            np.testing.assert_allclose(decode_depth(messages[2]).metres(), truth, atol=tolerance)
            assert decode_camera_info(messages[3]).intrinsics(32, 24) == CAMERA


def test_index_and_random_access(tmp_path):
    with open_bag(write(tmp_path / "bag")) as bag:
        index = bag.index("depth")
        assert [stamp for stamp, _ in index] == [stamp for stamp, *_ in frames()]
        assert stamp_ns(bag.message_at("depth", index[1][1])) == index[1][0]
        with pytest.raises(BagError, match="no depth message"):
            bag.message_at("depth", index[1][1] + 1)


def test_single_file_is_a_recording_too(tmp_path):
    path = write(tmp_path / "bag")
    (file,) = path.glob("*.mcap")
    with open_bag(file) as bag:
        assert bag.count("depth") == 3


@pytest.mark.parametrize(
    "topics",
    [
        Topics(
            "/camera/camera/aligned_depth_to_color/image_raw",
            "/camera/camera/aligned_depth_to_color/camera_info",
            "/camera/camera/color/image_raw",
            "/camera/camera/color/camera_info",
            "/gt/depth",
        ),
        Topics("/zed/depth/map", "/zed/depth/camera_info", "/zed/rgb/image", "/zed/rgb/camera_info", "/truth"),
    ],
)
def test_topics_are_found_by_type_encoding_and_name(tmp_path, topics):
    with open_bag(write(tmp_path / "bag", topics=topics)) as bag:
        assert bag.topics == topics


def test_overrides_replace_the_guess(tmp_path):
    path = write(tmp_path / "bag")
    with open_bag(path, depth="/ground_truth/depth/image_raw", truth="", rgb="") as bag:
        assert bag.topics == Topics("/ground_truth/depth/image_raw")
        assert list(bag.messages("rgb")) == []
    with pytest.raises(BagError, match=r"/nowhere.*camera/depth/image_raw"), open_bag(path, depth="/nowhere"):
        pass


def test_recordings_that_cannot_be_used(tmp_path):
    def complaint(path):
        with pytest.raises(BagError) as info, open_bag(path):
            pass
        return str(info.value)

    (tmp_path / "empty").mkdir()
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "damaged.mcap").write_bytes(b"\x89MCAP0\r\n" + b"\x00" * 40)
    assert "no recording" in complaint(tmp_path / "missing")
    assert "metadata.yaml" in complaint(tmp_path / "empty")
    assert "cannot be read" in complaint(tmp_path / "old.bag")
    assert "not a recording" in complaint(tmp_path / "notes.txt")
    assert "cannot be read" in complaint(tmp_path / "damaged.mcap")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_flipped_bytes_are_damage_or_harmless(tmp_path, storage):
    path = write(tmp_path / "bag", storage=storage)
    (file,) = (p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    whole, rng, damaged = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, data.size, 30)] ^= 255
        file.write_bytes(data.tobytes())
        try:
            with open_bag(path) as bag:
                bag.index("depth")
                for role in ("depth", "rgb", "depth_info"):
                    list(bag.messages(role))
        except BagError as error:
            damaged += "damaged" in str(error) or "cannot be read" in str(error)
    assert damaged > 10


def test_a_time_beyond_int64_is_damage(tmp_path):
    with pytest.raises(BagError, match="damaged"), open_bag(write(tmp_path / "bag")) as bag:
        bag._reader._reader = SimpleNamespace(messages=lambda *_, **__: iter([(None, 2**64 - 1, b"")]))
        bag.index("depth")


def test_recording_without_depth_lists_what_it_has(tmp_path):
    colour = _image(np.zeros((4, 6, 3), np.uint8), "rgb8")
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/webcam/image", IMAGE, typestore=STORE)
        writer.write(connection, 1, STORE.serialize_cdr(colour, IMAGE))
    with pytest.raises(BagError, match=r"no depth images.*/webcam/image"), open_bag(tmp_path / "bag"):
        pass


def test_writer_refuses_to_overwrite_and_unknown_options(tmp_path):
    write(tmp_path / "bag")
    with pytest.raises(FileExistsError):
        BagWriter(tmp_path / "bag")
    with pytest.raises(ValueError, match="mono16"):
        BagWriter(tmp_path / "other", depth_encoding="mono16")
    with pytest.raises(ValueError, match="hdf5"):
        BagWriter(tmp_path / "other", storage="hdf5")


def _image(pixels, encoding):
    header = STORE.types["std_msgs/msg/Header"](stamp=STORE.types["builtin_interfaces/msg/Time"](0, 0), frame_id="")
    return STORE.types[IMAGE](
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.reshape(-1).view(np.uint8),
    )
