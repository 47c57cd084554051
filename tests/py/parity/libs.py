"""The two libraries under comparison, behind one small face.

`transformer_lens` is the reference. The subject is `transformer_lens_go`, or whatever module PARITY_SUBJECT names:
PARITY_SUBJECT=transformer_lens compares the reference with itself, which checks the tests, not the subject.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .compare import TOLERANCE, Outcome, check_outcomes, outcome
from .tokenizer_folders import digits_apart

REFERENCE = "transformer_lens"
SUBJECT = os.environ.get("PARITY_SUBJECT", "transformer_lens_go")


@dataclass(frozen=True)
class Lib:
    """One of the libraries."""

    name: str
    module: Any

    @property
    def is_reference(self) -> bool:
        return self.name == REFERENCE

    def bridge(self) -> Any:
        """The TransformerBridge class, from where each library keeps it."""
        return importlib.import_module(f"{self.name}.model_bridge").TransformerBridge

    def boot(self, source: Path | str, **options: Any) -> Any:
        """A model in evaluation mode on the CPU, from a checkpoint folder or a GGUF file."""
        options.setdefault("device", "cpu")
        if self.is_reference and str(source).endswith(".gguf"):
            return self._boot_gguf(Path(source), **options)
        return self.bridge().boot_transformers(str(source), **options)

    def _boot_gguf(self, file: Path, **options: Any) -> Any:
        """The reference cannot open GGUF itself: transformers reads it, widened to float32."""
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.integrations.gguf.reader import read_gguf_metadata

        where = dict(pretrained_model_name_or_path=str(file.parent), gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
        # the reference reopens a tokenizer by its folder to switch BOS on, so it needs a folder
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = AutoTokenizer.from_pretrained(**where)
            if read_gguf_metadata(str(file))[0].get("tokenizer.ggml.pre") == "smollm":
                tokenizer.backend_tokenizer.pre_tokenizer = digits_apart()
            tokenizer.save_pretrained(folder)
            options.setdefault("tokenizer", AutoTokenizer.from_pretrained(folder))
            return self.bridge().boot_transformers(file.stem, hf_model=model, **options)


def load(name: str) -> Lib:
    """Import a library by name; an error, not a skip, if it is not there."""
    return Lib(name, importlib.import_module(name))


@dataclass
class Pair:
    """The same checkpoint in both libraries."""

    reference: Any
    subject: Any

    def run(self, body: Callable[[Any], Any]) -> tuple[Outcome, Outcome]:
        """Run one body on the subject and on the reference."""
        return outcome(lambda: body(self.subject)), outcome(lambda: body(self.reference))

    def same(
        self, body: Callable[[Any], Any], where: str = "result", tolerance: float = TOLERANCE
    ) -> Outcome:
        """Both must give the same value or raise the same type of error; returns the reference's outcome."""
        got, want = self.run(body)
        check_outcomes(got, want, where, tolerance)
        return want
