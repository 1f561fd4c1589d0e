"""The depth camera, its RGB and the ground truth among the topics of a recording."""

import pytest

from depth_sr_ros.replay.topics import ImageTopic, Topics, choose_topics, same_camera


def choose(images, infos=None, **given):
    infos = infos if infos is not None else sorted({i.base.rsplit("/", 1)[0] + "/camera_info" for i in images})
    return choose_topics(images, infos, given)


def depth(name, frame="depth", **facts):
    return ImageTopic(name, "16UC1", frame, **facts)


def colour(name, frame="rgb", encoding="rgb8", **facts):
    return ImageTopic(name, encoding, frame, **facts)


def test_depth_in_the_frame_of_rgb_goes_before_depth_of_its_own():
    raw = depth("/c/depth/image_rect_raw", "depth_optical")
    aligned = depth("/c/aligned_depth_to_color/image_raw", "color_optical")
    choice = choose([raw, colour("/c/color/image_raw", "color_optical"), aligned])
    assert choice.topics.depth == aligned.name
    assert choice.topics.rgb == "/c/color/image_raw"
    assert aligned.name in choice.reasons[raw.name]


@pytest.mark.parametrize("order", [1, -1])
def test_rgb_of_another_camera_is_never_taken(order):
    images = [depth("/left/depth/image_raw", "optical"), colour("/right/color/image_raw", "optical")][::order]
    choice = choose(images)
    assert choice.topics == Topics("/left/depth/image_raw", "/left/depth/camera_info")
    assert "another camera" in choice.reasons["/right/color/image_raw"]


def test_of_two_cameras_the_one_that_has_rgb_is_taken():
    images = [
        depth("/a/depth/image_raw", "a_depth"),
        depth("/back/depth/image_raw", "back_rgb"),
        colour("/back/rgb/image_raw", "back_rgb"),
    ]
    assert choose(images).topics.depth == "/back/depth/image_raw"


@pytest.mark.parametrize("encoding", ["mono8", "mono16"])
def test_infrared_is_no_rgb(encoding):
    images = [depth("/c/depth/image_raw"), colour("/c/infra1/image_rect_raw", "depth", encoding)]
    assert choose(images).topics.rgb is None


def test_raw_goes_before_compressed_of_the_same_images():
    images = [
        depth("/c/depth/image_raw/compressedDepth", compressed=True, messages=9),
        depth("/c/depth/image_raw", messages=9),
        colour("/c/rgb/image_raw/compressed", compressed=True),
    ]
    topics = choose(images).topics
    assert topics.depth == "/c/depth/image_raw"
    assert topics.rgb == "/c/rgb/image_raw/compressed"
    assert topics.rgb_info == "/c/rgb/camera_info"


def test_compressed_depth_of_a_registered_camera_goes_before_raw_depth_that_is_not():
    images = [
        depth("/c/depth/image_raw", "depth"),
        depth("/c/depth_registered/image_raw/compressedDepth", "rgb", compressed=True),
        colour("/c/rgb/image_raw", "rgb"),
    ]
    assert choose(images).topics.depth == "/c/depth_registered/image_raw/compressedDepth"


def test_what_the_user_names_is_taken_whatever_camera_it_is_of():
    images = [depth("/left/depth/image_raw"), colour("/right/color/image_raw")]
    assert choose(images, rgb="/right/color/image_raw").topics.rgb == "/right/color/image_raw"
    assert choose(images, depth_info="/other/camera_info").topics.depth_info == "/other/camera_info"


def test_ground_truth_is_no_input():
    images = [depth("/gt/depth/image"), depth("/sim/ground_truth/depth"), depth("/c/depth/image_raw")]
    choice = choose(images)
    assert choice.topics.depth == "/c/depth/image_raw"
    assert choice.topics.truth == "/gt/depth/image"
    assert choose(images[:2]) is None


def test_the_choice_does_not_depend_on_the_order_of_recording():
    images = [depth(f"/c/{name}/image") for name in ("depth_b", "depth_a")] + [colour("/c/rgb/image")]
    assert choose(images).topics == choose(images[::-1]).topics


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("/camera/camera/depth/image_rect_raw", "/camera/camera/color/image_raw", True),
        ("/depth/image_raw", "/rgb/image_raw", True),
        ("/zed/zed_node/depth/depth_registered", "/zed/zed_node/rgb/color/rect/image", True),
        ("/depth/image_raw", "/camera/rgb/image_raw", True),
        ("/cam1/depth/image_raw", "/cam2/rgb/image_raw", False),
        ("/robot/cam1/depth/image_raw", "/robot/cam10/rgb/image_raw", False),
    ],
)
def test_one_camera_is_one_namespace(first, second, same):
    assert same_camera(first, second) == same_camera(second, first) == same
