"""Each kind of tokenizer in both libraries: real ones and those that are trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import tokenizers
from transformer_lens_go import Tokenizer

from . import real_tokenizers
from .make_tokenizer_testdata import byte_level_builders, trained
from .tokenizers_live import BUILDERS

TRAINED = [*byte_level_builders(), *BUILDERS]
KINDS = [*real_tokenizers.NAMES, *TRAINED]


class Both(NamedTuple):
    """Hugging Face's tokenizer, ours, and what ours was read from."""

    theirs: Any
    ours: Tokenizer
    form: str


class Pairs:
    """Pairs by name, each made once."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._made: dict[str, Both] = {}

    def __call__(self, name: str) -> Both:
        """Both tokenizers of a kind, without truncation and padding."""
        if name not in self._made:
            self._made[name] = self._trained(name) if name in TRAINED else self._real(name)
        for core in self._made[name][:2]:
            core.no_truncation()
            core.no_padding()
        return self._made[name]

    def _trained(self, name: str) -> Both:
        text = trained(name)
        theirs = tokenizers.Tokenizer.from_str(text)
        return Both(theirs, Tokenizer.from_str(text), "tokenizer.json, trained here")

    def _real(self, name: str) -> Both:
        found = real_tokenizers.real(name, self._work)
        return Both(found.core, Tokenizer.from_file(found.subject), found.form)
