"""Threads that wait for each other: what that costs when other processes want the cores too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# A process of its own, so that its threads are made where it may run: on two cores, with four busy processes there.
MEASURED = """
import json, os, resource, subprocess, sys

import numpy as np

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])

from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine.compiled import go

sizes = dict(n_layers=2, d_model=256, n_ctx=128, d_head=32, n_heads=8, d_mlp=1024, d_vocab=64, act_fn="gelu_new")
model = TransformerBridge.boot_native({**sizes, "seed": 1})
tokens = np.arange(128)[None] % 64

def cost(n):
    go.SetThreads(n)
    def used():
        spent = resource.getrusage(resource.RUSAGE_SELF)
        return spent.ru_utime + spent.ru_stime
    before = used()
    for _ in range(10):
        model(tokens, return_type="logits")
    return used() - before

cost(1), cost(2)
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
try:
    rounds = [(cost(1), cost(2)) for _ in range(5)]
finally:
    for process in busy:
        process.kill()
        process.wait()
one, two = map(sorted, zip(*rounds))
print(json.dumps({"one": one[2], "two": two[2]}))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are kept to cores")
def test_fault_M13_waiting_threads_take_no_time_from_other_processes() -> None:
    """Two threads among four busy processes use about the processor time of one: waiting is not work."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: there is nobody to wait for")
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seconds = json.loads(ran.stdout.splitlines()[-1])
    assert seconds["two"] < 1.6 * seconds["one"] + 0.02, seconds
