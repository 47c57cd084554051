"""What many runs of mixed lengths leave: memory that grows, and pages that are had from the system again and again."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

import torch

LONGEST = 128


def resident() -> float:
    """Megabytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def minor_faults() -> int:
    """How often a page of this process was had from the system."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def mixed_lengths(model: Any, runs: int) -> dict[str, float]:
    """Megabytes by which the process grows, and pages a run, in the last three quarters of some runs."""
    draw = random.Random(0)

    def run(number: int) -> None:
        tokens = torch.randint(5, 250, (1, draw.randint(1, LONGEST)))
        if number % 2:
            model(tokens)
        else:
            model.run_with_cache(tokens)

    settling = runs // 4
    run(0)
    for number in range(settling):
        run(number)
    memory, faults = resident(), minor_faults()
    for number in range(settling, runs):
        run(number)
    return {
        "growth": resident() - memory,
        "pages": (minor_faults() - faults) / (runs - settling),
    }
