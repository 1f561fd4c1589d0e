import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# in a process of its own: it would stay set for all tests after this one
PROBE = """
import sys
from depth_sr_ros.inference.process import keep_freed_memory
sys.exit(0 if keep_freed_memory() else 3)
"""

FAULTS = """
import json, os, resource, sys, threading
from depth_sr_ros.inference.process import keep_freed_memory, let_threads_sleep
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


HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run Python without the user's own settings of malloc and OpenMP."""
    own = ("OMP_WAIT_POLICY", "GLIBC_TUNABLES")
    kept = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("MALLOC_")}
    return subprocess.run([sys.executable, *arguments], env=kept | environment, capture_output=True, text=True)


def run(how: str, **environment: str) -> dict:
    done = python("-c", FAULTS, how, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_large_maps_are_made_from_memory_that_is_there_already():
    if HUGE_PAGES.is_file() and "[always]" in HUGE_PAGES.read_text():
        pytest.skip(f"{HUGE_PAGES} is 'always': a map of 96 MB costs 48 page faults, too few to tell apart")
    probe = python("-c", PROBE)
    assert probe.returncode in (0, 3), probe.stderr
    if probe.returncode == 3:
        pytest.skip("this C library has no mallopt")
    plain, prepared = run("plain"), run("prepared")
    page_faults = plain["faults"][-1]
    assert page_faults > 1000  # a frame as large as the last one is paid for again ...
    assert prepared["faults"][0] > 1000 and prepared["faults"][-1] < page_faults / 50  # ... and here once
    assert plain["policy"] is None and prepared["policy"] == "PASSIVE"


def test_what_the_user_has_set_stays():
    assert run("prepared", OMP_WAIT_POLICY="ACTIVE")["policy"] == "ACTIVE"
