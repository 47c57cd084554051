"""`generate` and `generate_stream`: tokens behind a prompt, one forward pass each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._engine import arrays
from .._engine.inputs import check_mask, float_input, in_rows, token_ids
from ..array_types import Array
from ..given import cut, integer
from ..hook_points import NamesFilter
from ..utilities.tensors import to_numpy
from ..utilities.tokenize_utils import get_attention_mask
from .encodings import unpacked_prompt
from .generation_loop import Choice, Sampling, Steps
from .generation_output import GenerateOutput, TextStream, decoded
from .padding import positions_of, warn_of_empty
from .stopping import criteria_of, eos_tokens

__all__ = ["GenerationMixin"]


@dataclass(slots=True)
class _Prompt:
    """What generation starts from: ids [batch, pos] or embeddings [batch, pos, d_model], and their padding."""

    tokens: Any
    kind: str  # "str", "list", "tokens" or "embeds"
    mask: Any = None
    positions: Any = None

    def return_type(self, asked: str | None) -> str | None:
        """ "input" as what it means for this prompt."""
        if asked != "input":
            return asked
        return "str" if self.kind in ("str", "list") else "tokens"


class GenerationMixin:
    """Needs `cfg`, `tokenizer`, `to_tokens`, `run_with_cache`, and that the model can be called."""

    cfg: Any
    tokenizer: Any
    _tokenized: Any
    run_with_cache: Any
    _need_tokenizer: Any
    _engine: Any

    def generate(
        self,
        input: str | list[str] | Array = "",
        max_new_tokens: int = 10,
        stop_at_eos: bool = True,
        eos_token_id: int | list[int] | None = None,
        do_sample: bool = True,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float = 1.0,
        freq_penalty: float = 0.0,
        repetition_penalty: float = 1.0,
        use_past_kv_cache: bool = True,
        prepend_bos: bool | None = None,
        padding_side: str | None = None,
        return_type: str | None = "input",
        verbose: bool = True,
        output_logits: bool = False,
        return_cache: bool = False,
        return_input_tokens: bool = False,
        names_filter: NamesFilter = None,
        device: Any = None,
        pixel_values: Any | None = None,
        stop_strings: str | list[str] | None = None,
        stopping_criteria: Callable[..., Any] | list[Callable[..., Any]] | None = None,
        attention_mask: Array | None = None,
        forced_bos_token_id: int | None = None,
        **multimodal_kwargs: Any,
    ) -> Any:
        """Continue a text, several, ids [batch, pos], or embeddings [batch, pos, d_model].

        Each step runs the model on what is new, chooses a token by `sample_logits`, and appends it. Hooks on the
        model are called in each step: the first one sees the prompt, later ones one position, with keys, scores and
        patterns of all (`hook.positions` says which). Draws come from torch's generator (`torch.manual_seed`);
        without torch from NumPy's (`numpy.random.seed`).

        Args:
            input: a list of texts is padded on the left. What a tokenizer gave may be passed whole, or as keywords.
            max_new_tokens: at least 1.
            stop_at_eos: a row that has chosen `eos_token_id` (one id or several; None: `cfg.eos_token_id`, else the
                tokenizer's) is finished and goes on with EOS; when all are, generation ends.
            do_sample: False takes the likeliest token, after the repetition penalty.
            top_k, top_p, temperature, freq_penalty, repetition_penalty: see `sample_logits`.
            use_past_kv_cache: False runs the whole sequence in each step: the same bits, slower.
            prepend_bos: for texts; False for one that begins with BOS, as chat templates write it.
            padding_side: for ids: read their padding off the tokenizer's pad token at that side.
            return_type: "input" (text for texts, ids for ids and embeddings), "str" or "tokens".
            verbose: show a progress bar.
            output_logits: return an object with `sequences` [batch, pos + new] and `logits`, one [batch, d_vocab] each
                step.
            return_cache: return also the ActivationCache of the whole output, as `run_with_cache` with `names_filter`
                and `device` gives it. For one sequence only.
            return_input_tokens: return also the ids that generation started from.
            stop_strings: a row whose text ends with one of these is finished.
            stopping_criteria: functions of (ids [batch, pos], logits [batch, d_vocab]) that say which rows are
                finished.
            attention_mask: 0 at padding of the prompt, 1 elsewhere: [batch, pos].

        Returns:
            What `return_type` says: prompt and new tokens, or for embeddings the new ones. With `return_cache` or
            `return_input_tokens` a tuple of that and those.

        Raises:
            ValueError: `max_new_tokens` below 1, a mask of another shape than the prompt, `forced_bos_token_id` (for
                encoder-decoder models), `pixel_values` (for multimodal ones), `top_k`, `top_p`, a temperature or a
                penalty out of range, no tokenizer for `stop_strings` or `padding_side`.
            AssertionError: no EOS known although `stop_at_eos`.
            NotImplementedError: `return_cache` for several sequences or embeddings.

        Example:
            >>> text = model.generate("The capital of", max_new_tokens=3, do_sample=False, verbose=False)
            >>> text.startswith("The capital of")
            True
            >>> tokens = model.to_tokens("The capital of")  # [batch, pos]
            >>> tuple(model.generate(tokens, max_new_tokens=3, stop_at_eos=False, verbose=False).shape)
            (1, 7)
        """
        input, attention_mask = unpacked_prompt(
            "generate", input, attention_mask, multimodal_kwargs
        )
        _refuse(pixel_values, multimodal_kwargs, forced_bos_token_id, max_new_tokens)
        sampling = Sampling(do_sample, top_k, top_p, temperature, freq_penalty, repetition_penalty)
        prompt = self._prompt(input, prepend_bos, padding_side, attention_mask)
        if return_cache:
            _check_cacheable(prompt)
        steps = self._steps(
            prompt,
            sampling,
            max_new_tokens,
            eos_token_id,
            stop_at_eos,
            stop_strings,
            stopping_criteria,
            use_past_kv_cache,
            verbose,
        )
        chosen, logits = [], []
        for tokens, behind, _ in steps:
            chosen.append(tokens[:, None])
            if output_logits:
                logits.append(_copied(behind))
        new = arrays.concat(chosen, 1)
        sequences = new if prompt.kind == "embeds" else arrays.concat([prompt.tokens, new], 1)
        if output_logits:
            result: Any = GenerateOutput(sequences=sequences, logits=tuple(logits))
        elif prompt.return_type(return_type) == "str":
            result = decoded(self._need_tokenizer("return_type='str'"), sequences)
        else:
            result = sequences
        extra = []
        if return_cache:
            mask = None if prompt.mask is None else _extended(prompt.mask, sequences.shape[1])
            extra.append(
                self.run_with_cache(
                    sequences, names_filter=names_filter, device=device, attention_mask=mask
                )[1]
            )
        if return_input_tokens:
            extra.append(prompt.tokens)
        return (result, *extra) if extra else result

    def generate_stream(
        self,
        input: str | list[str] | Any = "",
        max_new_tokens: int = 10,
        max_tokens_per_yield: int = 25,
        stop_at_eos: bool = True,
        eos_token_id: int | list[int] | None = None,
        do_sample: bool = True,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float = 1.0,
        freq_penalty: float = 0.0,
        repetition_penalty: float = 1.0,
        use_past_kv_cache: bool = True,
        prepend_bos: bool | None = None,
        padding_side: str | None = None,
        return_type: str | None = "input",
        verbose: bool = True,
        stop_strings: str | list[str] | None = None,
        stopping_criteria: Any | None = None,
        attention_mask: Any | None = None,
        forced_bos_token_id: int | None = None,
        **encoding: Any,
    ) -> Iterator[Any]:
        """`generate`, piece by piece: the prompt and the first tokens, then what is new.

        A piece comes when `max_tokens_per_yield` tokens are there (the prompt's count in the first), and at the end.
        It is ids [batch, new], or for `return_type` "str" a text, or one for each row of a batch; a character whose
        bytes are not all there yet waits for the next piece.
        """
        input, attention_mask = unpacked_prompt("generate_stream", input, attention_mask, encoding)
        _refuse(None, encoding, forced_bos_token_id, max_new_tokens, "generate_stream")
        sampling = Sampling(do_sample, top_k, top_p, temperature, freq_penalty, repetition_penalty)
        prompt = self._prompt(input, prepend_bos, None, attention_mask)
        if prompt.kind == "embeds":
            raise RuntimeError(
                "generate_stream takes text or ids, not embeddings; generate takes those"
            )
        steps = self._steps(
            prompt,
            sampling,
            max_new_tokens,
            eos_token_id,
            stop_at_eos,
            stop_strings,
            stopping_criteria,
            use_past_kv_cache,
            verbose,
        )
        text = None
        if prompt.return_type(return_type) == "str":
            text = TextStream(self._need_tokenizer("return_type='str'"), prompt.tokens.shape[0])
        waiting = [prompt.tokens]
        count = prompt.tokens.shape[1]
        for tokens, _, finished in steps:
            waiting.append(tokens[:, None])
            count += 1
            if count >= max_tokens_per_yield or finished:
                piece = arrays.concat(waiting, 1)
                yield piece if text is None else text.add(piece)
                waiting, count = [], 0
        if waiting:
            piece = arrays.concat(waiting, 1)
            yield piece if text is None else text.add(piece)
        rest = None if text is None else text.rest()
        if rest is not None:
            yield rest

    def diffusion_generate(
        self,
        input: str | list[str] | Any,
        max_new_tokens: int = 32,
        prepend_bos: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """For models that sample by denoising; the others, all that there are here, raise NotImplementedError."""
        raise NotImplementedError(
            f"{self.cfg.architecture} has no native sampler; use generate() for autoregressive architectures."
        )

    def _prompt(
        self, input: Any, prepend_bos: bool | None, padding_side: str | None, mask: Any
    ) -> _Prompt:
        if isinstance(input, (str, list)):
            prompt = self._text_prompt(input, prepend_bos)
        elif arrays.is_array(input) and arrays.is_floating(input):
            prompt = _Prompt(
                float_input(input, self.cfg.d_model, "embeddings", self._engine.dtype, 3), "embeds"
            )
        else:
            prompt = _Prompt(token_ids(input), "tokens")
        if mask is not None:
            shape = tuple(prompt.tokens.shape[:2])
            if tuple(np.shape(mask)) != shape:
                raise ValueError(
                    f"attention_mask shape {tuple(np.shape(mask))} does not match the prompt shape {shape}. Pass a "
                    "0/1 mask covering exactly the prompt tokens; it is extended over the new ones."
                )
            mask = arrays.asarray(mask)
            check_mask(mask)
            prompt.mask, prompt.positions = in_rows(mask != 0, "int64"), None
        elif padding_side is not None and prompt.kind == "tokens":
            prompt.mask = self._padding_of(prompt.tokens, prepend_bos, padding_side)
        if prompt.mask is not None and bool((prompt.mask != 0).all()):
            prompt.mask = prompt.positions = None
        return prompt

    def _text_prompt(self, input: str | list[str], prepend_bos: bool | None) -> _Prompt:
        """Texts as ids, padded on the left where there are several."""
        several = isinstance(input, list) and len(input) > 1
        self._warn_of_second_bos(input, prepend_bos)
        ids, real = self._tokenized(input, prepend_bos, "left" if several else None, truncate=False)
        prompt = _Prompt(token_ids(ids), "str" if isinstance(input, str) else "list")
        if not real.all():
            warn_of_empty(real)
            prompt.mask = arrays.from_numpy(real)
            prompt.positions = positions_of(prompt.mask)
        return prompt

    def _warn_of_second_bos(self, input: str | list[str], prepend_bos: bool | None) -> None:
        bos = getattr(self.tokenizer, "bos_token", None)
        wanted = self.cfg.default_prepend_bos if prepend_bos is None else prepend_bos
        texts = [input] if isinstance(input, str) else input
        if bos and wanted and any(isinstance(t, str) and t.startswith(bos) for t in texts):
            warnings.warn(
                f"the text begins with {bos!r} already, and another BOS is put in front of it; pass "
                "prepend_bos=False for text of a chat template",
                UserWarning,
                stacklevel=5,
            )

    def _padding_of(self, tokens: Any, prepend_bos: bool | None, side: str) -> Any:
        """The mask of ids whose padding shows by the tokenizer's pad token."""
        pad = getattr(self.tokenizer, "pad_token_id", None)
        if pad is None:
            raise ValueError(
                "generate(padding_side=...) reads the padding off the pad token, which needs a tokenizer that has "
                "one; pass attention_mask=... to state the padding directly"
            )
        prepend = self.cfg.default_prepend_bos if prepend_bos is None else prepend_bos
        return get_attention_mask(self.tokenizer, tokens, prepend, padding_side=side)

    def _steps(
        self,
        prompt: _Prompt,
        choose: Choice,
        max_new_tokens: int,
        eos_token_id: Any,
        stop_at_eos: bool,
        stop_strings: Any,
        stopping_criteria: Any,
        cached: bool,
        verbose: bool,
    ) -> Steps:
        stop_tokens, pad = None, 0
        if stop_at_eos:
            stop_tokens, pad = eos_tokens(eos_token_id, self.cfg, self.tokenizer)
        criteria = criteria_of(stop_strings, stopping_criteria, self.tokenizer)
        if criteria and prompt.kind == "embeds":
            raise NotImplementedError(
                "stop_strings and stopping_criteria work on ids, and embeddings have none; generate from ids"
            )
        if criteria and not stop_at_eos:
            pad = self._padding_token(prompt.tokens.shape[0])
        return Steps(
            model=self,
            prompt=prompt.tokens,
            choose=choose,
            max_new_tokens=max_new_tokens,
            mask=prompt.mask,
            positions=prompt.positions,
            stop_tokens=stop_tokens,
            pad=pad,
            criteria=criteria,
            cached=cached,
            verbose=verbose,
        )

    def _padding_token(self, batch: int) -> int:
        """What finished rows emit where no EOS is asked for."""
        for name in ("pad_token_id", "eos_token_id"):
            token = getattr(self.tokenizer, name, None)
            if token is not None:
                return token
        if batch > 1:
            raise ValueError(
                "finished rows of a batch need a token to go on with, and the tokenizer has neither pad nor EOS "
                "token: set stop_at_eos=True with eos_token_id=..., or generate one sequence at a time"
            )
        return 0


def _refuse(
    pixel_values: Any,
    others: dict[str, Any],
    forced_bos_token_id: Any,
    max_new_tokens: int,
    api: str = "generate",
) -> None:
    if forced_bos_token_id is not None:
        raise ValueError("forced_bos_token_id is only meaningful for encoder-decoder models")
    if pixel_values is not None:
        raise ValueError(
            "pixel_values can only be passed to multimodal or vision models; this one reads text"
        )
    if others:
        raise TypeError(
            f"{api}() got unexpected keyword arguments: {cut(', '.join(sorted(others)))}"
        )
    if integer("max_new_tokens", max_new_tokens) < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: expected at least 1")


def _check_cacheable(prompt: _Prompt) -> None:
    if prompt.kind == "embeds":
        raise NotImplementedError(
            "generate(return_cache=True) needs text or ids, not embeddings: run_with_cache takes those"
        )
    if prompt.tokens.shape[0] > 1:
        raise NotImplementedError(
            "generate(return_cache=True) is for one sequence; run run_with_cache on each output sequence"
        )


def _copied(logits: Any) -> Any:
    return logits.clone() if arrays.torch is not None else logits.copy()


def _extended(mask: Any, length: int) -> Any:
    """A prompt's mask with ones behind it, up to that length."""
    known = to_numpy(mask)
    ones = np.ones((known.shape[0], length - known.shape[1]), dtype=known.dtype)
    return arrays.from_numpy(np.concatenate([known, ones], axis=1))
