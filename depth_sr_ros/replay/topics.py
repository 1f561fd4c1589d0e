"""Which topics of a recording are the depth camera, the RGB camera and the ground truth, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from depth_sr_ros.messages.images import DEPTH_DTYPES

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSPORTS = ("compressed", "compressedDepth")
"""Last parts of the topic names that image_transport's plugins publish beside the raw image."""
_TRUTH_WORDS = ("ground_truth", "groundtruth", "truth")
_NOT_COLOUR = ("mono8", "mono16")  # infrared images of depth cameras


@dataclass(frozen=True)
class Topics:
    """Topic names by role; None where the recording has none.

    Attributes:
        depth, depth_info: the depth camera.
        rgb, rgb_info: the colour camera.
        truth: high-resolution depth to score against.
    """

    depth: str
    depth_info: str | None = None
    rgb: str | None = None
    rgb_info: str | None = None
    truth: str | None = None

    def roles(self) -> dict[str, str]:
        """Topic name to role, for the topics that exist."""
        return {getattr(self, f.name): f.name for f in fields(self) if getattr(self, f.name)}


@dataclass(frozen=True)
class ImageTopic:
    """An image topic of a recording, by its first message.

    Attributes:
        name: the topic.
        encoding: of the image, after decompression.
        frame_id: its optical frame.
        width, height: pixels; 0 where a compressed image does not say.
        messages: how many there are.
        compressed: whether it is a CompressedImage.
    """

    name: str
    encoding: str
    frame_id: str = ""
    width: int = 0
    height: int = 0
    messages: int = 1
    compressed: bool = False

    @property
    def is_depth(self) -> bool:
        return self.encoding in DEPTH_DTYPES

    @property
    def is_colour(self) -> bool:
        return bool(self.encoding) and not self.is_depth and self.encoding not in _NOT_COLOUR

    @property
    def base(self) -> str:
        """The name without the transport: what the raw topic is called."""
        head, _, last = self.name.rpartition("/")
        return head if last in TRANSPORTS else self.name


@dataclass(frozen=True)
class TopicChoice:
    """The topics by role, and for each image topic of the recording in one sentence why it was taken or not."""

    topics: Topics
    reasons: dict[str, str] = field(default_factory=dict)


def choose_topics(
    images: Sequence[ImageTopic], infos: Sequence[str], given: dict[str, str | None]
) -> TopicChoice | None:
    """Choose the topics of one depth camera and of the RGB that belongs to it.

    Depth whose frame_id is RGB's (registered) goes before depth of a frame of its own; RGB must be of the same camera:
    one namespace contains the other (/camera/depth and /camera/color, but not /left/depth and /right/color).

    Args:
        images: every image topic.
        infos: every CameraInfo topic.
        given: topic names by role that the user has named; None: there is none.

    Returns:
        None where no depth image is left.
    """
    by_name = {image.name: image for image in images}
    reasons: dict[str, str] = {}
    depths = [image for image in images if image.is_depth]
    truth = given["truth"] if "truth" in given else _best_name(i for i in depths if _named_truth(i.name))
    for image in depths:
        if _named_truth(image.name) or image.name == truth:
            reasons[image.name] = (
                "ground truth" if image.name == truth else "named as ground truth, another one is taken"
            )
    inputs = [i for i in depths if i.name not in reasons]
    if name := given.get("depth"):
        inputs = [by_name[name]]
    if not inputs:
        return None
    colours = [image for image in images if image.is_colour]
    rgb_options: list[ImageTopic | None] = [*colours, None]
    if "rgb" in given:
        name = given["rgb"]
        rgb_options = [by_name[name] if name else None]
    pairs = [
        (depth, rgb)
        for depth in inputs
        for rgb in rgb_options
        if rgb is None or "rgb" in given or same_camera(depth.base, rgb.base)
    ]
    depth, rgb = max(pairs, key=lambda pair: _rank(pair[0], pair[1], infos))
    reasons |= {i.name: _why_not(i, depth, rgb) for i in [*inputs, *colours] if i.name not in reasons}
    reasons[depth.name] = _why_depth(depth, rgb)
    if rgb is not None:
        reasons[rgb.name] = "RGB of the same camera" if "rgb" not in given else "RGB, as asked for"
    for image in images:
        reasons.setdefault(image.name, f"encoding {image.encoding or 'unknown'} is neither depth nor colour")
    topics = Topics(
        depth.name,
        given["depth_info"] if "depth_info" in given else info_of(depth.base, infos),
        None if rgb is None else rgb.name,
        given["rgb_info"] if "rgb_info" in given else None if rgb is None else info_of(rgb.base, infos),
        truth,
    )
    return TopicChoice(topics, reasons)


def same_camera(first: str, second: str) -> bool:
    """Whether two image topics belong to one camera: its namespace is what stands before the last two parts of a name,
    and one of the two namespaces contains the other."""
    a, b = (topic.strip("/").split("/")[:-2] for topic in (first, second))
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared]


def info_of(image: str, infos: Iterable[str]) -> str | None:
    """The camera_info beside an image topic (REP 135): same namespace."""
    beside = image.rsplit("/", 1)[0] + "/camera_info"
    return beside if beside in infos else None


def _rank(depth: ImageTopic, rgb: ImageTopic | None, infos: Sequence[str]) -> tuple:
    """What makes a pair the one to take, the most important first."""
    words = depth.name.lower()
    return (
        rgb is not None and depth.frame_id == rgb.frame_id and depth.frame_id != "",
        rgb is not None,
        "depth" in words,
        not any(word in words for word in ("infra", "confidence", "disparity")),
        info_of(depth.base, infos) is not None,
        rgb is not None and info_of(rgb.base, infos) is not None,
        rgb is not None and any(word in rgb.name.lower() for word in ("rgb", "color", "colour")),
        rgb is not None and _shared_parts(depth.name, rgb.name),
        not depth.compressed,
        rgb is not None and not rgb.compressed,
        depth.messages + (rgb.messages if rgb else 0),
        -len(depth.name) - (len(rgb.name) if rgb else 0),
        # names decide last, so that the choice does not depend on the order of recording
        tuple(-ord(letter) for letter in depth.name + (rgb.name if rgb else "")),
    )


def _shared_parts(first: str, second: str) -> int:
    parts = zip(first.split("/"), second.split("/"))
    return next((index for index, (a, b) in enumerate(parts) if a != b), 0)


def _why_depth(depth: ImageTopic, rgb: ImageTopic | None) -> str:
    if rgb is None:
        return "depth; no RGB of the same camera"
    if depth.frame_id == rgb.frame_id:
        return f"depth registered to {rgb.name}: both are in frame {depth.frame_id!r}"
    return f"depth in frame {depth.frame_id!r}, not registered to {rgb.name} in frame {rgb.frame_id!r}"


def _why_not(image: ImageTopic, depth: ImageTopic, rgb: ImageTopic | None) -> str:
    if image.is_colour and not same_camera(depth.base, image.base):
        return f"RGB of another camera than {depth.name}"
    taken = depth if image.is_depth else rgb
    if taken is None:
        return "not used: no RGB was asked for"
    if image.base == taken.base:
        return f"the same images as {taken.name}"
    if image.is_depth and rgb is not None and depth.frame_id == rgb.frame_id != image.frame_id:
        return f"not registered to RGB, {depth.name} is"
    return f"{taken.name} is taken"


def _best_name(images: Iterable[ImageTopic]) -> str | None:
    ranked = sorted(images, key=lambda i: (i.compressed, len(i.name), i.name))
    return ranked[0].name if ranked else None


def _named_truth(topic: str) -> bool:
    parts = topic.lower().split("/")
    return "gt" in parts or any(word in part for part in parts for word in _TRUTH_WORDS)
