"""Where several processes share the tests, those of a file stay together: fixtures of a module are made once."""

from __future__ import annotations

import pytest

SEEN: list[int] = []


@pytest.mark.parametrize("number", range(4))
def test_a_file_s_tests_share_a_process(request, number):
    if not hasattr(request.config, "workerinput"):
        pytest.skip("this run has one process")
    SEEN.append(number)
    assert [*range(number + 1)] == SEEN
