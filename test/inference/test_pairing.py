"""Pairing rules, driven by hand-made clocks: no ROS, no sleeping."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from depth_sr_ros.inference.pairing import InfoBuffer, Pairer

PERIOD = 1 / 30


@dataclass(frozen=True)
class Item:
    """Stands for an image or a camera_info: what the pairer reads of them, and a name to know them by."""

    stamp: float
    name: object
    width: int = 80
    height: int = 60

    def fits(self, width: int, height: int) -> bool:
        return (self.width, self.height) == (width, height)


def drain(pairer: Pairer, now: float) -> list:
    """Take everything, as a worker that needs no time would."""
    frames = []
    while (frame := pairer.take(now)) is not None:
        frames.append(frame)
    return frames


def test_depth_alone_is_ready_at_once():
    pairer = Pairer()
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    (frame,) = drain(pairer, 0.0)
    assert frame.depth.name == "d" and frame.rgb is None and frame.rgb_gap is None


def test_depth_takes_the_nearest_rgb_within_the_slop():
    pairer = Pairer(slop=0.02)
    for stamp in (0.985, 1.001, 1.018):
        pairer.push_rgb(Item(stamp, f"rgb {stamp}"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    (frame,) = drain(pairer, 0.0)
    assert frame.rgb.name == "rgb 1.001"


@pytest.mark.parametrize(("offset", "paired"), [(0.02, True), (-0.02, True), (0.021, False), (-0.021, False)])
def test_slop_is_a_closed_window(offset, paired):
    pairer = Pairer(slop=0.02)
    pairer.push_rgb(Item(1.0 + offset, "rgb"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    (frame,) = drain(pairer, 0.2)
    assert (frame.rgb is not None) == paired
    assert (frame.rgb_gap is None) == paired


def test_late_rgb_is_waited_for_and_then_used():
    pairer = Pairer(slop=0.02)
    pairer.push_rgb(Item(0.9, "old"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    assert drain(pairer, 0.01) == []
    pairer.push_rgb(Item(1.0, "rgb"), now=0.03)
    (frame,) = drain(pairer, 0.03)
    assert frame.rgb.name == "rgb"


def test_wait_is_bounded_by_slop_and_lateness():
    pairer = Pairer(slop=0.02, max_lateness=0.05)
    pairer.push_rgb(Item(0.9, "old"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    assert pairer.time_to_deadline(0.0) == pytest.approx(0.07)
    assert drain(pairer, 0.069) == []
    (frame,) = drain(pairer, 0.071)
    assert frame.rgb is None


def test_wait_shrinks_to_what_rgb_needs():
    pairer = Pairer(slop=0.02, max_lateness=0.05)
    for i in range(40):
        pairer.push_depth(Item(i * PERIOD, "d"), now=i * PERIOD)
        pairer.push_rgb(Item(i * PERIOD, "rgb"), now=i * PERIOD + 0.008)
        assert len(drain(pairer, i * PERIOD + 0.008)) == 1
    pairer.push_depth(Item(40 * PERIOD, "d"), now=40 * PERIOD)
    assert pairer.time_to_deadline(40 * PERIOD) == pytest.approx(0.02 + 1.25 * 0.008)


def test_rgb_beyond_the_window_ends_the_wait():
    pairer = Pairer(slop=0.02)
    pairer.push_rgb(Item(0.9, "old"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    assert drain(pairer, 0.001) == []
    pairer.push_rgb(Item(1.03, "too late"), now=0.002)
    (frame,) = drain(pairer, 0.002)
    assert frame.rgb is None


def test_an_earlier_rgb_waits_for_a_nearer_one():
    """RGB at 60 Hz: the image 17 ms before depth lies within the slop, yet the exact one is still to come."""
    pairer = Pairer(slop=0.02)
    for i in range(6):
        pairer.push_rgb(Item(i / 60, f"rgb {i}"), now=i / 60)
    pairer.push_depth(Item(6 / 60, "d"), now=6 / 60)
    assert drain(pairer, 6 / 60) == []
    pairer.push_rgb(Item(6 / 60, "rgb 6"), now=6 / 60 + 0.005)
    (frame,) = drain(pairer, 6 / 60 + 0.005)
    assert frame.rgb.name == "rgb 6"


def test_silent_rgb_is_not_waited_for():
    pairer = Pairer(silence=0.5)
    pairer.push_rgb(Item(0.0, "rgb"), now=0.0)
    pairer.push_depth(Item(1.0, "d"), now=1.0)
    assert len(drain(pairer, 1.0)) == 1


def test_rgb_that_is_needed_is_waited_for_even_when_silent():
    pairer = Pairer(slop=0.02, need_rgb=True)
    pairer.push_depth(Item(1.0, "d"), now=1.0)
    assert drain(pairer, 1.01) == []
    pairer.push_rgb(Item(1.0, "rgb"), now=1.02)
    assert drain(pairer, 1.02)[0].rgb.name == "rgb"
    pairer.push_depth(Item(2.0, "d"), now=5.0)
    assert drain(pairer, 5.2)[0].rgb is None


def test_unusable_rgb_is_paired_but_not_waited_for():
    pairer = Pairer()
    pairer.push_rgb(Item(0.9, "old"), now=0.0)
    pairer.rgb_usable = False
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    assert len(drain(pairer, 0.0)) == 1
    pairer.push_rgb(Item(2.0, "rgb"), now=1.0)
    pairer.push_depth(Item(2.0, "d"), now=1.0)
    assert drain(pairer, 1.0)[0].rgb.name == "rgb"


def play_late_rgb(pairer: Pairer, seconds: float, start: float, good_from: float) -> list[tuple[float, bool]]:
    """RGB 10 ms after depth, of use from `good_from` on; (time, paired) of the frames as a worker reports them."""
    seen = []
    for i in range(round(seconds / PERIOD)):
        now = start + i * PERIOD
        pairer.push_depth(Item(now, now), now)
        for at in (now, now + 0.010):
            if at > now:
                pairer.push_rgb(Item(now, "good" if now >= good_from else "bad"), at)
            for frame in drain(pairer, at):
                seen.append((frame.depth.name, frame.rgb is not None))
                if frame.rgb is not None:
                    pairer.rgb_usable = frame.rgb.name == "good"
    return seen


def test_late_rgb_that_was_unusable_is_tried_once_a_second_and_guides_again_when_it_is_good():
    pairer = Pairer()
    seen = play_late_rgb(pairer, seconds=8.0, start=10.0, good_from=14.0)
    bad = [at for at, paired in seen if paired and at < 14.0]
    waits = [later - earlier for earlier, later in pairwise(bad[2:])]
    assert len(bad) >= 4 and min(waits) >= 1.0, "RGB of no use costs a wait once a second, no more"
    assert all(paired for at, paired in seen if at >= 15.1), "and a second after it is good again, every frame pairs"
    assert [at for at, _ in seen] == sorted({at for at, _ in seen}) and pairer.dropped == 0


def test_the_first_rgb_info_and_a_clear_make_rgb_worth_waiting_for():
    pairer = Pairer()
    pairer.rgb_usable = False
    pairer.push_rgb_info(Item(1.0, "info"), now=0.0)
    assert pairer.rgb_usable
    pairer.rgb_usable = False
    pairer.push_rgb_info(Item(2.0, "info"), now=1.0)
    assert not pairer.rgb_usable, "one per image says nothing new"
    pairer.clear()
    assert pairer.rgb_usable


def test_idle_worker_gets_every_frame_in_order_while_rgb_lags_two_periods():
    pairer = Pairer(slop=0.005, max_lateness=0.1)
    taken = []
    for i in range(30):
        now = i * PERIOD
        pairer.push_depth(Item(i * PERIOD, i), now)
        if i >= 2:
            pairer.push_rgb(Item((i - 2) * PERIOD, f"rgb {i - 2}"), now + 0.001)
        taken += drain(pairer, now + 0.001)
    assert [frame.depth.name for frame in taken] == list(range(28))
    assert all(frame.rgb.name == f"rgb {frame.depth.name}" for frame in taken[4:])
    assert pairer.dropped == 0


def test_no_frame_is_lost_when_rgb_stops_and_returns():
    pairer = Pairer(slop=0.01)
    taken = []
    for i in range(120):
        now = i * PERIOD
        pairer.push_depth(Item(now, i), now)
        if i < 40 or i >= 80:
            pairer.push_rgb(Item(now, f"rgb {i}"), now + 0.004)
        taken += drain(pairer, now + 0.032)
    assert [frame.depth.name for frame in taken] == list(range(len(taken))) and len(taken) >= 118
    guided = [frame.depth.name for frame in taken if frame.rgb is not None]
    assert guided[:40] == list(range(40)) and set(range(82, 118)) <= set(guided)
    assert pairer.dropped == 0


def work_for_a_while(pairer: Pairer, work: float, count: int = 10) -> float:
    """`count` frames at 30 Hz, each of which keeps the worker busy for `work` seconds; returns the time after them."""
    for i in range(count):
        pairer.push_depth(Item(i * PERIOD, i), now=i * PERIOD)
        assert pairer.take(i * PERIOD).depth.name == i
        assert pairer.take(i * PERIOD + work) is None
    return count * PERIOD


def test_newest_frame_wins_while_a_slow_worker_is_busy():
    pairer = Pairer()
    start = work_for_a_while(pairer, work=0.03)
    pairer.push_depth(Item(start, 0), now=start)
    assert pairer.take(start).depth.name == 0
    for i in range(1, 7):
        pairer.push_depth(Item(start + i * PERIOD, i), now=start + i * PERIOD)
    assert pairer.take(start + 0.2).depth.name == 6
    assert pairer.dropped == 5
    assert pairer.take(start + 0.21) is None


def test_a_very_slow_worker_is_never_far_behind():
    pairer = Pairer()
    ages, free = [], 0.0
    for i in range(300):
        now = i * PERIOD
        pairer.push_depth(Item(now, now), now)
        if now >= free and (frame := pairer.take(now)) is not None:
            ages.append(now - frame.depth.name)
            free = now + 0.5
    assert max(ages[:6]) <= 6 * PERIOD + 1e-6 and max(ages[6:]) == 0.0


@pytest.mark.parametrize(("work", "kept"), [(0.010, [11, 12, 13, 14]), (0.030, [14])])
def test_after_a_hiccup_a_fast_worker_catches_up_and_a_slow_one_skips(work, kept):
    pairer = Pairer()
    work_for_a_while(pairer, work)
    pairer.push_depth(Item(10 * PERIOD, 10), now=10 * PERIOD)
    assert pairer.take(10 * PERIOD).depth.name == 10
    for i in range(11, 15):
        pairer.push_depth(Item(i * PERIOD, i), now=i * PERIOD)
    late = 14.5 * PERIOD
    taken = []
    while (frame := pairer.take(late)) is not None:
        taken.append(frame.depth.name)
        late += work
    assert taken == kept
    assert pairer.dropped == 4 - len(kept)


def test_newest_frame_wins_when_deadlines_passed_unseen():
    pairer = Pairer(slop=0.02)
    start = work_for_a_while(pairer, work=0.03)
    pairer.push_rgb(Item(start - 0.2, "old"), now=start)
    pairer.push_depth(Item(start, 0), now=start)
    assert pairer.take(start + 0.08).depth.name == 0
    for i in range(1, 4):
        pairer.push_depth(Item(start + i * PERIOD, i), now=start + 0.1 + 0.001 * i)
    assert pairer.take(start + 0.3).depth.name == 3
    assert pairer.dropped == 2


def test_a_looped_bag_resets_and_goes_on():
    pairer = Pairer()
    pairer.push_rgb(Item(9.0, "old rgb"), now=0.0)
    assert not pairer.push_depth(Item(9.0, "a"), now=0.0)
    assert pairer.push_depth(Item(0.0, "b"), now=0.1)
    assert [frame.depth.name for frame in drain(pairer, 0.5)] == ["a", "b"]
    assert pairer.resets == 1
    pairer.push_rgb(Item(0.1, "new rgb"), now=0.6)
    assert not pairer.push_depth(Item(0.1, "c"), now=0.6)
    assert drain(pairer, 0.6)[0].rgb.name == "new rgb"


def test_rgb_that_looped_first_is_kept():
    pairer = Pairer()
    pairer.push_depth(Item(9.0, "a"), now=0.0)
    pairer.push_rgb(Item(9.0, "old"), now=0.0)
    drain(pairer, 0.1)
    pairer.push_rgb(Item(0.0, "new"), now=0.1)
    pairer.push_depth(Item(0.0, "b"), now=0.11)
    assert drain(pairer, 0.11)[0].rgb.name == "new"


def test_equal_stamps_are_no_loop():
    pairer = Pairer()
    assert not pairer.push_depth(Item(0.0, "a"), now=0.0)
    assert not pairer.push_depth(Item(0.0, "b"), now=0.1)


def test_first_frame_waits_for_its_camera_info():
    pairer = Pairer(info_wait=0.05)
    pairer.info_expected = True
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    assert drain(pairer, 0.01) == []
    pairer.push_depth_info(Item(1.0, "info"), now=0.02)
    assert drain(pairer, 0.02)[0].depth_info.name == "info"
    pairer.push_depth(Item(2.0, "e"), now=1.0)
    assert drain(pairer, 1.0)[0].depth_info.name == "info"  # the latest one fits, so nothing waits


def test_camera_info_of_another_size_is_not_taken_while_its_own_may_come():
    pairer = Pairer(info_wait=0.05)
    pairer.info_expected = True
    pairer.push_depth_info(Item(1.0, "small", width=40), now=0.0)
    pairer.push_depth(Item(2.0, "large"), now=1.0)
    assert drain(pairer, 1.01) == []
    pairer.push_depth_info(Item(2.0, "large"), now=1.02)
    assert drain(pairer, 1.02)[0].depth_info.name == "large"


def test_missing_camera_info_holds_a_frame_no_longer_than_info_wait():
    pairer = Pairer(info_wait=0.05)
    pairer.info_expected = True
    pairer.push_depth(Item(1.0, "d"), now=0.0)
    (frame,) = drain(pairer, 0.051)
    assert frame.depth_info is None


def test_camera_info_that_never_comes_is_not_waited_for_again_and_again():
    pairer = Pairer(info_wait=0.05)
    pairer.info_expected = True
    for i in range(3):
        pairer.push_depth(Item(float(i), i), now=float(i))
        assert drain(pairer, i + 0.01) == [] and len(drain(pairer, i + 0.06)) == 1
    pairer.push_depth(Item(3.0, 3), now=3.0)
    assert len(drain(pairer, 3.0)) == 1
    pairer.push_depth_info(Item(3.5, "info"), now=3.5)
    pairer.push_depth(Item(4.0, 4), now=4.0)
    assert drain(pairer, 4.0)[0].depth_info.name == "info"


def test_clear_forgets_everything_but_counters():
    pairer = Pairer()
    pairer.push_rgb(Item(1.0, "rgb"), now=0.0)
    pairer.push_depth_info(Item(1.0, "info"), now=0.0)
    pairer.push_depth(Item(5.0, "d"), now=0.0)
    pairer.clear()
    assert pairer.take(1.0) is None
    assert not pairer.push_depth(Item(1.0, "e"), now=0.0)  # going back after a clear is no loop
    (frame,) = drain(pairer, 1.0)
    assert frame.rgb is None and frame.depth_info is None


def test_info_buffer_prefers_the_exact_stamp_and_follows_a_loop():
    infos = InfoBuffer()
    assert infos.find(1.0) is None
    infos.push(Item(1.0, "a"))
    infos.push(Item(2.0, "b"))
    assert infos.find(1.0).name == "a" and infos.find(1.5).name == "b" and infos.exact(1.5) is None
    infos.push(Item(0.5, "c"))
    assert infos.find(1.0).name == "c"
