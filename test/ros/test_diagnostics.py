"""The verdict, its hints, the numbers and the throttle, on hand-made clocks."""

from __future__ import annotations

import dataclasses

import pytest

from depth_sr_ros.inference.frames import Problem, ProblemKind, Severity
from depth_sr_ros.ros.diagnostics import (
    FrameStatistics,
    Level,
    PublishedFrame,
    Summary,
    Surroundings,
    Throttle,
    key_values,
    verdict,
)

STREAMING = Summary(input_rate=30.0, output_rate=30.0, since_input=0.01)
SILENT = Summary(since_input=None)
LISTENING = Surroundings(listening_for=10.0)


def meeting(summary: Summary, output_rate: float | None = None, **problems: str) -> Summary:
    """`summary` with problems, kind to text, and another output rate if one is given."""
    met = [Problem(ProblemKind[kind], text) for kind, text in problems.items()]
    return dataclasses.replace(summary, problems=met, output_rate=output_rate or summary.output_rate)


def around(**changes) -> Surroundings:
    return dataclasses.replace(LISTENING, **changes)


def test_rates_latency_and_shares_over_the_window():
    statistics = FrameStatistics()
    for i in range(300):
        at = i / 30
        statistics.depth_arrived(at)
        if i % 2 == 0:
            statistics.published(
                PublishedFrame(at + 0.02, 0.02 if i % 4 else 0.04, invalid_share=0.25, guided=i % 4 == 0)
            )
    summary = statistics.summary(10.0)
    assert summary.input_rate == pytest.approx(30.0, rel=0.01)
    assert summary.output_rate == pytest.approx(15.0, rel=0.02)
    assert 0.02 <= summary.latency_p50 <= 0.04 and summary.latency_max == 0.04
    assert summary.invalid_share == 0.25 and summary.guided_share == pytest.approx(0.5, abs=0.02)
    assert (summary.counts.received, summary.counts.out) == (300, 150)
    assert summary.since_input == pytest.approx(10.0 - 299 / 30)


def test_rates_fall_to_zero_when_the_stream_stops():
    statistics = FrameStatistics()
    for i in range(60):
        statistics.depth_arrived(i / 30)
    assert statistics.summary(2.1).input_rate > 29
    assert statistics.summary(4.5).input_rate == 0.0
    assert statistics.summary(100.0).input_rate == 0.0


def test_trouble_is_reported_for_a_while_and_counted_for_ever():
    statistics = FrameStatistics()
    statistics.add_problem(Problem(ProblemKind.REJECTED, "bad"), now=1.0)
    assert statistics.summary(2.0).problems == [Problem(ProblemKind.REJECTED, "bad")]
    later = statistics.summary(10.0)
    assert later.problems == [] and later.counts.problems == {ProblemKind.REJECTED: 1}
    assert key_values(later, {})["frames_rejected"] == "1"


def test_nothing_yet_reports_no_number():
    rows = key_values(FrameStatistics().summary(0.0), {"method": "bicubic"})
    assert rows["latency_ms_p50"] == rows["invalid_percent"] == "n/a"
    assert rows["method"] == "bicubic" and rows["frames_in"] == "0"


def test_numbers_are_in_their_units():
    summary = Summary(input_rate=29.97, latency_p50=0.0123, invalid_share=0.5, guided_share=1.0)
    rows = key_values(summary, {})
    assert rows["input_rate_hz"] == "29.97" and rows["latency_ms_p50"] == "12.3"
    assert rows["invalid_percent"] == "50.0" and rows["guided_percent"] == "100.0"


@pytest.mark.parametrize(
    ("summary", "surroundings", "level", "words"),
    [
        (STREAMING, LISTENING, Level.OK, ["30.0 Hz"]),
        (SILENT, around(listening_for=1.0), Level.OK, ["waiting for depth/image_raw"]),
        (SILENT, around(state="inactive"), Level.OK, ["inactive", "activate"]),
        (SILENT, around(enabled=False), Level.OK, ["~/enable"]),
        (SILENT, around(build_error="cannot configure: x"), Level.ERROR, ["cannot configure: x"]),
        (SILENT, around(depth_publishers=0), Level.STALE, ["nobody publishes depth/image_raw", "remap"]),
        (SILENT, around(large_data_profile=False), Level.STALE, ["614 kB", "FASTDDS_DEFAULT_PROFILES_FILE"]),
        (SILENT, LISTENING, Level.STALE, ["although 1 publish depth/image_raw", "ROS_DOMAIN_ID"]),
        (
            SILENT,
            around(incompatible_qos={"depth/image_raw": "RELIABILITY"}),
            Level.ERROR,
            ["QoS mismatch", "RELIABILITY", "qos_overrides.depth/image_raw.*.reliability"],
        ),
        (dataclasses.replace(STREAMING, since_input=7.0), LISTENING, Level.STALE, ["for 7 s"]),
        (
            meeting(SILENT, REJECTED="mono16"),
            LISTENING,
            Level.ERROR,
            ["mono16"],
        ),
        (
            meeting(STREAMING, REJECTED="mono16"),
            LISTENING,
            Level.WARN,
            ["mono16"],
        ),
        (
            meeting(STREAMING, GUIDE="K = 0"),
            LISTENING,
            Level.WARN,
            ["K = 0"],
        ),
        (
            meeting(STREAMING, CAMERA_INFO="none"),
            LISTENING,
            Level.WARN,
            ["none"],
        ),
        (
            meeting(STREAMING, UNGUIDED="no RGB"),
            LISTENING,
            Level.ERROR,
            ["no RGB"],
        ),
        (
            dataclasses.replace(
                STREAMING, problems=[Problem(ProblemKind.FAILED, "memory"), Problem(ProblemKind.GUIDE, "K")]
            ),
            LISTENING,
            Level.ERROR,
            ["memory"],
        ),
        (
            meeting(STREAMING, DROPPED="", output_rate=5.0),
            LISTENING,
            Level.WARN,
            ["30.0 Hz come in", "5.0 Hz go out"],
        ),
        (
            meeting(STREAMING, DROPPED="", output_rate=29.0),
            LISTENING,
            Level.OK,
            ["29.0 Hz"],
        ),
    ],
)
def test_verdict(summary, surroundings, level, words):
    judged = verdict(summary, surroundings)
    assert judged.level == level, judged.text
    assert judged.silent == (level == Level.STALE), "silence is for the log, and nothing else is"
    for word in words:
        assert word in judged.text


def test_the_severity_of_a_problem_decides():
    for kind in ProblemKind:
        level = verdict(meeting(STREAMING, **{kind.name: "text"}), LISTENING).level
        assert level == {Severity.ERROR: Level.ERROR, Severity.WARN: Level.WARN, Severity.NOTE: Level.OK}[kind.severity]


def test_levels_are_those_of_the_message():
    from diagnostic_msgs.msg import DiagnosticStatus

    assert {level.name: level.value for level in Level} == {
        name: getattr(DiagnosticStatus, name) for name in ("OK", "WARN", "ERROR", "STALE")
    }


def test_throttle_lets_one_through_per_period_and_counts_the_rest():
    throttle = Throttle(period=5.0)
    assert throttle("rejected", "23 bytes came", now=0.0) == "23 bytes came"
    assert throttle("rejected", "22 bytes came", now=1.0) is None
    assert throttle("rejected", "21 bytes came", now=2.0) is None
    assert throttle("rejected", "20 bytes came", now=5.1).startswith("20 bytes came (2 more")
    assert throttle("rejected", "19 bytes came", now=10.2) == "19 bytes came"


def test_throttle_does_not_let_one_trouble_hide_another():
    throttle = Throttle()
    assert throttle("rejected", "truncated", now=0.0) and throttle("rejected", "wrong encoding", now=0.0)
    assert throttle("guide", "truncated", now=0.0)


def test_throttle_stays_small():
    throttle = Throttle(capacity=4)
    for letter in "abcdefghij":
        assert throttle("kind", letter, now=0.0) == letter
    assert len(throttle._last) <= 4
