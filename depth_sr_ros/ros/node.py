"""sr_node: depth images in, high-resolution depth images out. The ROS side only; see docs for topics and parameters."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Hashable
from typing import Any

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool

from ..inference.frames import FramePair, Problem, ProblemKind
from ..inference.pairing import LOOPED, Pairer
from ..inference.pipeline import Pipeline
from ..inference.process import keep_freed_memory
from ..inference.settings import Settings
from ..messages.camera_info import decode_camera_info
from ..messages.errors import DecodeError
from ..messages.images import decode_colour, decode_depth
from . import parameters
from .diagnostics import (
    LARGE_DATA_HINT,
    FrameStatistics,
    PublishedFrame,
    Surroundings,
    Throttle,
    key_values,
    verdict,
)
from .encoding import require_sensor_msgs_py
from .inputs import Inputs, carries_large_data
from .outputs import Outputs
from .transforms import Transforms, require_tf2_ros
from .worker import Worker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SrNode(LifecycleNode):
    """Lifecycle node `depth_sr`: methods are built in configure, frames flow in active, memory is freed in cleanup."""

    def __init__(self, **options: Any) -> None:
        super().__init__("depth_sr", **options)
        parameters.declare(self)
        self._settings = Settings()
        self._pipeline: Pipeline | None = None
        self._candidate: Pipeline | None = None
        self._worker: Worker | None = None
        self._outputs: Outputs | None = None
        self._inputs = Inputs(self, self._on_qos_mismatch)
        self._transforms = Transforms(self)
        self._enabled = True
        self._active = False
        self._build_error = ""
        self._drops_seen = 0
        self._hardware_id = "depth_sr"
        self._statistics = FrameStatistics()
        self._throttle = Throttle()
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self._diagnostics_publisher = self.create_publisher(
            DiagnosticArray, "/diagnostics", 10, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        # steady: a paused simulation or a stopped bag must not silence the node's account of itself
        self.create_timer(1.0, self._publish_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def autostart(self) -> None:
        """Configure and activate, as the parameter `autostart` asks."""
        if self.get_parameter("autostart").value and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """End the worker and free everything; the node can be destroyed afterwards."""
        self._stop()
        self._free()

    # ---- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._settings = parameters.read(self)
            if self._settings.publish_points:
                require_sensor_msgs_py()
            self._transforms.listen(self._settings.extrinsics_from_tf)
            self._pipeline = Pipeline(self._settings, self._transforms.extrinsics)
            self._pipeline.warm_up()
            self._outputs = Outputs(self, self._report, self._inputs.on_incompatible_qos)
            self._outputs.offer_points(self._settings.publish_points, active=False)
        except Exception as error:  # FAILURE leaves the node unconfigured and alive, to be corrected and retried
            self._build_error = f"cannot configure: {error}"
            self.get_logger().error(self._build_error)
            self._free()
            return FAILURE
        self._build_error = ""
        self._worker = Worker(self._new_pairer(), self._process, self._on_worker_error)
        self._log_choices()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        assert self._worker is not None  # made in on_configure
        self._drops_seen = self._worker.pairer.dropped
        self._worker.start()
        self._active = True
        self._listen(self._enabled)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_cleanup(state)
        self._free()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        result = super().on_shutdown(state)
        self._free()
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._free()
        return SUCCESS

    def _stop(self) -> None:
        self._active = False
        self._listen(False)
        if self._worker is not None:
            self._worker.stop()

    def _free(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._transforms.listen(False)
        self._pipeline = self._candidate = self._worker = None
        torch.cuda.empty_cache()  # torch keeps what it has allocated; does nothing where CUDA is not in use

    # ---- endpoints

    def _new_pairer(self) -> Pairer:
        settings = self._settings
        return Pairer(settings.sync_slop, settings.mode != "single", settings.mode == "guided")

    def _listen(self, listening: bool) -> None:
        wanted = {}
        if listening:
            wanted = {
                "depth/camera_info": (CameraInfo, self._on_depth_info),
                "depth/image_raw": (Image, self._on_depth),
            }
            if self._settings.mode != "single":
                wanted["rgb/camera_info"] = (CameraInfo, self._on_rgb_info)
                wanted["rgb/image_raw"] = (Image, self._on_rgb)
        self._inputs.listen(wanted)

    # ---- inputs: look, pair, return at once

    def _on_depth(self, msg: Image) -> None:
        now = time.monotonic()
        self._statistics.depth_arrived(now)
        try:
            depth = decode_depth(msg)
        except DecodeError as error:
            self._report(Problem(ProblemKind.REJECTED, f"depth image rejected: {error}"))
            return
        self._hardware_id = depth.frame_id or "depth_sr"
        infos_come = self._inputs.publishers("depth/camera_info") > 0

        def push(pairer: Pairer) -> bool:
            pairer.info_expected = infos_come
            return pairer.push_depth(depth, now)

        if self._worker is not None and self._worker.push(push):
            self._report(Problem(ProblemKind.LOOPED, LOOPED))

    def _on_rgb(self, msg: Image) -> None:
        now = time.monotonic()
        self._statistics.rgb_arrived(now)
        if self._worker is not None:
            self._worker.push(lambda pairer: pairer.push_rgb(decode_colour(msg), now))

    def _on_depth_info(self, msg: CameraInfo) -> None:
        if self._worker is not None:
            self._worker.push(lambda pairer: pairer.push_depth_info(decode_camera_info(msg), time.monotonic()))

    def _on_rgb_info(self, msg: CameraInfo) -> None:
        if self._worker is not None:
            self._worker.push(lambda pairer: pairer.push_rgb_info(decode_camera_info(msg), time.monotonic()))

    # ---- the worker's thread

    def _process(self, pair: FramePair) -> None:
        pipeline, worker, outputs = self._pipeline, self._worker, self._outputs
        assert pipeline is not None and worker is not None and outputs is not None  # freed after the thread has ended
        result = pipeline.run(pair)
        if pipeline is not self._pipeline:  # replaced meanwhile: this frame was the last to hold it
            del pipeline
            torch.cuda.empty_cache()
        for problem in result.problems:
            self._report(problem)
        drops = worker.pairer.dropped
        for _ in range(drops - self._drops_seen):
            self._statistics.add_problem(Problem(ProblemKind.DROPPED, ""), time.monotonic())
        self._drops_seen = drops
        worker.pairer.learn(result.rgb_usable)
        if result.depth is None:
            return
        outputs.publish(pair, result.depth)
        now = time.monotonic()
        self._statistics.published(
            PublishedFrame(now, now - pair.arrival, result.invalid_share, result.guided, result.solve)
        )

    def _on_worker_error(self, error: Exception) -> None:
        if not self.context.ok():
            return  # publishing failed because the process is being shut down
        self._report(Problem(ProblemKind.FAILED, f"a frame failed: {type(error).__name__}: {error}"))

    # ---- parameters and services

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        self._candidate = None
        if not _concerns_us(changes):
            return SetParametersResult(successful=True)
        try:
            settings = parameters.read(self, changes)
            if settings.publish_points:
                require_sensor_msgs_py()
            if settings.extrinsics_from_tf:
                require_tf2_ros()
            if self._pipeline is not None and self._worker is not None and not self._pipeline.fits(settings):
                self._candidate = Pipeline(settings, self._transforms.extrinsics)
                self._candidate.warm_up()
        except Exception as error:  # building a method can fail in many ways, and each is a reason to keep the old one
            self._candidate = None
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        if self._worker is None or self._pipeline is None or self._outputs is None or not _concerns_us(changes):
            return
        self._settings = parameters.read(self)
        self._transforms.listen(self._settings.extrinsics_from_tf)
        if self._candidate is not None and self._candidate.fits(self._settings):
            self._pipeline, self._candidate = self._candidate, None
            torch.cuda.empty_cache()
            self._log_choices()
        else:
            self._pipeline.adopt(self._settings)
        settings = self._settings

        def update(pairer: Pairer) -> None:
            pairer.slop, pairer.rgb_usable = settings.sync_slop, True
            pairer.use_rgb, pairer.need_rgb = settings.mode != "single", settings.mode == "guided"

        self._worker.push(update)
        self._statistics.forget_problems()
        self._outputs.offer_points(settings.publish_points, self._active)
        self._listen(self._active and self._enabled)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        self._listen(self._active and self._enabled)
        response.success = True
        response.message = "enabled" if self._enabled else "disabled: no topic is subscribed, nothing is computed"
        if not self._active:
            response.message += "; takes effect when the node is active"
        self.get_logger().info(response.message)
        return response

    # ---- telling how it goes

    def _publish_diagnostics(self) -> None:
        now = time.monotonic()
        summary = self._statistics.summary(now)
        around = Surroundings(
            state=self._state_machine.current_state[1],
            enabled=self._enabled,
            listening_for=self._inputs.listening_for(now),
            depth_topic=self.resolve_topic_name("depth/image_raw"),
            depth_publishers=self._inputs.publishers("depth/image_raw"),
            incompatible_qos=dict(self._inputs.incompatible_qos),
            large_data_profile=carries_large_data(),
            build_error=self._build_error,
        )
        judged = verdict(summary, around)
        facts = self._pipeline.facts(summary.guided_share) if self._pipeline is not None else {}
        status = DiagnosticStatus(
            level=judged.level.value,
            name=f"{self.get_fully_qualified_name()}: super-resolution",
            message=judged.text,
        )
        status.hardware_id = self._hardware_id
        status.values = [KeyValue(key=key, value=value) for key, value in key_values(summary, facts).items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)
        if judged.silent:
            self._warn("silence", judged.text)

    def _log_choices(self) -> None:
        assert self._pipeline is not None
        for choice in self._pipeline.choices:
            self.get_logger().info(choice)

    def _report(self, problem: Problem) -> None:
        self._statistics.add_problem(problem, time.monotonic())
        self._warn(problem.kind, problem.text)

    def _on_qos_mismatch(self, topic: str, text: str) -> None:
        self._warn(("qos", topic), text)

    def _warn(self, kind: Hashable, text: str) -> None:
        line = self._throttle(kind, text, time.monotonic())
        if line is not None:
            self.get_logger().warning(line)


def _concerns_us(changes: list[Parameter]) -> bool:
    """False for what rclpy sets itself, such as the QoS overrides while endpoints are created."""
    return any(change.name in Settings.__dataclass_fields__ for change in changes)


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    # rclpy's own handler ends the context. Python's would also raise KeyboardInterrupt, anywhere: inside rclpy's
    # constructors, or in the tidying up when `ros2 launch` and the terminal both send SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # RCLError and its kin: a command line or a parameter file that cannot be read
        print(f"depth_sr: {error}", file=sys.stderr)
        return 1
    node = None
    try:
        node = SrNode()
        if not carries_large_data():
            node.get_logger().info(LARGE_DATA_HINT)
        node.autostart()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except ExternalShutdownException:
        pass
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"depth_sr: {error}", file=sys.stderr)
        return 1
    except RCLError:
        if rclpy.ok():
            raise
        # a signal ends the context while a callback may be using it
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
