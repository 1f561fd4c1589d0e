import json
import os
import subprocess
import sys

import pytest

from depth_sr_ros.process import keep_freed_memory

FAULTS = """
import json, os, resource, sys, threading
from depth_sr_ros.process import keep_freed_memory, let_threads_sleep
if sys.argv[1] == "prepared":
    let_threads_sleep()
    keep_freed_memory()
faults = []
def work():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        b"x" * (96 << 20)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(json.dumps({"faults": faults, "policy": os.environ.get("OMP_WAIT_POLICY")}))
"""


def run(how: str, **environment: str) -> dict:
    kept = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY" and not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], env=kept | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_large_maps_are_made_from_memory_that_is_there_already():
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")
    plain, prepared = run("plain"), run("prepared")
    page_faults = plain["faults"][-1]
    assert page_faults > 1000  # a frame as large as the last one is paid for again ...
    assert prepared["faults"][0] > 1000 and prepared["faults"][-1] < page_faults / 50  # ... and here once
    assert plain["policy"] is None and prepared["policy"] == "PASSIVE"


def test_what_the_user_has_set_stays():
    assert run("prepared", OMP_WAIT_POLICY="ACTIVE")["policy"] == "ACTIVE"
