"""Writes tests/py/data/generation.json: what transformer_lens 4.3.0 generates with the small checkpoints there.

Run as `python -m tests.py.parity.make_generation_data` from the repository root, in the environment that has the peers.
"""

from __future__ import annotations

import json
import os
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["REFERENCE_LIBRARY"] = "transformer_lens"

import torch

from .. import generation_bodies as bodies
from .. import reference as ref


def plain(value: Any) -> Any:
    """A result as JSON: tensors as lists."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def main() -> None:
    torch.set_num_threads(1)
    facts: dict[str, Any] = {}
    with torch.no_grad():
        for name in ref.NAMES:
            model = ref.reference(name).boot()
            facts[name] = {what: plain(body(model)) for what, body in bodies.BODIES.items()}
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    (ref.DATA / "generation.json").write_text(text + "\n", "utf-8")
    print(f"{len(text)} characters")


if __name__ == "__main__":
    main()
