"""Writes tests/py/data/own_modules.json: what transformer_lens gives for every case of own_module_cases.

Run as `python -m tests.py.parity.make_own_module_data` from the repository root, in the environment with the peers.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parents[1]


def main() -> None:
    from own_module_cases import CASES  # beside this folder, and found by its path alone
    from own_modules import Lab, plain

    logging.disable(logging.WARNING)
    lab = Lab("transformer_lens", torch)
    found = {name: plain(run(lab)) for name, run in CASES.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items()]
    path = TESTS / "data" / "own_modules.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    main()
