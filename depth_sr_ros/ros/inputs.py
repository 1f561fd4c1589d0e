"""What the node listens to: exactly the subscriptions that its state and mode need, and who cannot reach it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable

from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier


class Inputs:
    """The subscriptions of `node`, made and destroyed as it needs them: a node at rest costs no bandwidth.

    Args:
        node: owner of the subscriptions.
        on_mismatch: called with (topic, text) when a peer's QoS does not fit ours.
    """

    def __init__(self, node: LifecycleNode, on_mismatch: Callable[[str, str], None]):
        self._node, self._on_mismatch = node, on_mismatch
        self._subscriptions: dict = {}
        self._since = 0.0
        self.incompatible_qos: dict[str, str] = {}
        """Topic -> the policy that a peer's QoS and ours differ in."""

    def listen(self, wanted: dict[str, tuple[type, Callable]]) -> None:
        """Hold subscriptions to `wanted`, topic -> (message type, callback), and no others."""
        if wanted and not self._subscriptions:
            self._since = time.monotonic()
        for topic in list(self._subscriptions):
            if topic not in wanted:
                self._node.destroy_subscription(self._subscriptions.pop(topic))
                self.incompatible_qos.pop(self._node.resolve_topic_name(topic), None)
        for topic, (message_type, callback) in wanted.items():
            if topic not in self._subscriptions:
                self._subscriptions[topic] = self._create(message_type, topic, callback)

    def listening_for(self, now: float) -> float:
        """Seconds since the first subscription was made; 0 while there is none."""
        return now - self._since if self._subscriptions else 0.0

    def publishers(self, topic: str) -> int:
        """How many publish the relative `topic`."""
        return self._node.count_publishers(self._node.resolve_topic_name(topic))

    def on_incompatible_qos(self, topic: str, event: QoSRequestedIncompatibleQoSInfo) -> None:
        """Remember and report that a peer of the resolved `topic` cannot talk to us; for publishers too."""
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self.incompatible_qos[topic] = policy
        self._on_mismatch(
            topic,
            f"QoS mismatch on {topic}: a peer's {policy} does not fit ours, nothing passes between us; set "
            f"qos_overrides.{topic}.*.{policy.lower()} of this node or of the peer",
        )

    def _create(self, message_type: type, topic: str, callback: Callable) -> Subscription:
        resolved = self._node.resolve_topic_name(topic)
        return self._node.create_subscription(
            message_type,
            topic,
            callback,
            copy.copy(qos_profile_sensor_data),  # rclpy writes overrides into the profile it is given
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda event: self.on_incompatible_qos(resolved, event)
            ),
        )


def carries_large_data() -> bool:
    """Whether images of megabytes arrive: a Fast DDS profile or transport is chosen, or it is another middleware."""
    if "fastrtps" not in get_rmw_implementation_identifier():
        return True
    chosen = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    return any(os.environ.get(name) for name in chosen) or "LARGE_DATA" in os.environ.get(
        "FASTDDS_BUILTIN_TRANSPORTS", ""
    )
