"""The loop of generation: one forward pass a token, a choice, and who is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._engine import arrays
from ..utilities.logits_utils import check_sampling, sample_logits
from ..utilities.tensors import is_torch_tensor, to_numpy
from .caches import can_cache
from .past_key_values import PastKeyValues

__all__ = ["Sampling", "Steps"]

Choice = Callable[[Any, Any, Any], Any]  # of logits, ids, and their mask


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen; see `sample_logits`."""

    do_sample: bool = True
    top_k: int | None = None
    top_p: float | None = None
    temperature: float = 1.0
    freq_penalty: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        check_sampling(
            self.top_k, self.top_p, self.temperature, self.freq_penalty, self.repetition_penalty
        )

    def __call__(self, logits: Any, tokens: Any, mask: Any) -> Any:
        """Tokens [batch] chosen from logits [batch, d_vocab] behind `tokens` [batch, pos].

        What `mask` [batch, pos] (None: no padding) has as 0 counts for nothing.
        """
        if not self.do_sample:
            return sample_logits(
                logits,
                temperature=0.0,
                freq_penalty=self.freq_penalty,
                repetition_penalty=self.repetition_penalty,
                tokens=tokens,
                attention_mask=mask,
            )
        return sample_logits(
            logits,
            self.top_k,
            self.top_p,
            self.temperature,
            self.freq_penalty,
            self.repetition_penalty,
            tokens,
            mask,
        )


@dataclass(slots=True)
class Steps:
    """A generation from ids [batch, pos] (or embeddings [batch, pos, d_model]), step by step.

    `mask` [batch, pos] is 0 at padding of the prompt; None: there is none. `positions` is what to pass for the
    prompt's positions with it, None: they are derived. `stop_tokens` None: no token ends a sequence.
    """

    model: Any
    prompt: Any
    choose: Choice
    max_new_tokens: int
    mask: Any = None
    positions: Any = None
    stop_tokens: list[int] | None = None
    pad: int = 0
    criteria: list[Callable[[Any, Any], Any]] = field(default_factory=list)
    cached: bool = True
    verbose: bool = False
    _finished: np.ndarray = field(init=False)
    cache: PastKeyValues | None = field(init=False, default=None)

    def __iter__(self) -> Iterator[tuple[Any, Any, bool]]:
        """(tokens [batch], the logits they were chosen from [batch, d_vocab], whether all rows are finished)."""
        batch = self.prompt.shape[0]
        self._finished = np.zeros(batch, dtype=bool)
        embeds = arrays.is_floating(self.prompt)
        running = self.prompt
        chosen: Any = None  # those so far, where the prompt is embeddings
        for _ in self._counted():
            with arrays.no_grad():
                logits = self._logits(running)
                tokens = self._chosen(logits, chosen if embeds else running)
                self._fill_finished(tokens)
                column = tokens[:, None]
                if embeds:
                    chosen = column if chosen is None else arrays.concat([chosen, column], 1)
                    running = arrays.concat([running, self.model.embed(column)], 1)
                else:
                    running = arrays.concat([running, column], 1)
                finished = self._note_finished(tokens, running, logits)
            yield tokens, logits, finished
            if finished:
                return

    def _counted(self) -> Iterable[int]:
        """One number a step, with a progress bar where that is asked for."""
        if not self.verbose:
            return range(self.max_new_tokens)
        from tqdm import tqdm  # not at import: most programs never show a bar

        return tqdm(range(self.max_new_tokens))

    def _logits(self, running: Any) -> Any:
        """The logits behind the last token of each row."""
        new = running
        options: dict[str, Any] = {}
        past = 0
        if self.cached and can_cache(self.model.cfg):
            if self.cache is None:
                self.cache = PastKeyValues.for_model(self.model.cfg, running.shape[0])
            past = self.cache.get_seq_length()
            options["past_key_values"] = self.cache
            new = running[:, past:]
        if self.mask is not None:
            options |= self._masked(running.shape[1], past)
        return self.model(new, return_type="logits", logits_to_keep=1, **options)[:, -1, :]

    def _chosen(self, logits: Any, tokens: Any) -> Any:
        """Tokens [batch] chosen behind `tokens` [batch, pos], of a prompt of embeddings the new ones alone."""
        embeds = arrays.is_floating(self.prompt)
        mask = None if embeds or self.mask is None else self._mask_of(tokens.shape[1])
        return self.choose(logits, tokens, mask)

    def _mask_of(self, length: int) -> Any:
        """The prompt's mask with ones behind it, up to that length."""
        library = arrays.torch if arrays.torch is not None else np
        ones = library.ones(
            (self.mask.shape[0], length - self.mask.shape[1]), dtype=self.mask.dtype
        )
        return arrays.concat([self.mask, ones], 1)

    def _masked(self, length: int, past: int) -> dict[str, Any]:
        """The mask over `length` positions, and the positions of those behind `past`."""
        options = {"attention_mask": self._mask_of(length)}
        if self.positions is not None:
            library = arrays.torch if arrays.torch is not None else np
            more = length - self.mask.shape[1]
            counted = self.positions[:, -1:] + library.arange(1, more + 1)[None]
            options["position_ids"] = arrays.concat([self.positions, counted], 1)[:, past:]
        return options

    def _fill_finished(self, tokens: Any) -> None:
        """Let finished rows emit the padding token."""
        if self._finished.any():
            tokens[arrays.from_numpy(self._finished)] = self.pad

    def _note_finished(self, tokens: Any, running: Any, logits: Any) -> bool:
        """Note which rows end here; True when all have."""
        if self.stop_tokens is None and not self.criteria:
            return False
        if self.stop_tokens:
            self._finished |= np.isin(to_numpy(tokens), self.stop_tokens)
        for criterion in self.criteria:
            told = criterion(running, logits)
            told = np.asarray(to_numpy(told) if is_torch_tensor(told) else told).astype(bool)
            if told.shape not in ((), self._finished.shape):
                raise ValueError(
                    f"A stopping criterion returned shape {told.shape}, expected one bool, or one for each row: "
                    f"{self._finished.shape}"
                )
            self._finished |= told
        return bool(self._finished.all())
