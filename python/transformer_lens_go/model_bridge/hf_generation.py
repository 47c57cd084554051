"""`hf_generate`: generation as transformers does it, by the engine's own loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .._engine import arrays
from .._engine.inputs import check_mask, in_rows, token_ids
from ..given import brief, check_number, integer
from ..utilities.logits_utils import (
    SamplingError,
    cooled,
    draw,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
)
from ..utilities.tensors import to_numpy
from .encodings import unpacked_prompt
from .generation_loop import Steps
from .generation_output import GenerateOutput
from .padding import told_mask, warn_of_empty
from .stopping import criteria_of, eos_tokens

__all__ = ["HFGenerationMixin"]

_TOP_K = 50  # what transformers takes where nobody says
# With these values they ask for nothing.
_IDLE = {"num_beams": 1, "num_return_sequences": 1}
_KNOWN = (
    "output_logits",
    "output_scores",
    "repetition_penalty",
    "return_dict_in_generate",
    "stop_strings",
    "stopping_criteria",
)


@dataclass(slots=True)
class _HFSampling:
    """How transformers chooses a token: penalty, then, to sample, temperature, top k and top p."""

    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    scores: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("temperature", "top_k", "top_p", "repetition_penalty"):
            check_number(name, getattr(self, name))
        for name, value, fits, allowed in (
            ("temperature", self.temperature, self.temperature > 0, "greater than 0"),
            ("top_k", self.top_k, self.top_k >= 0, "non-negative (0: all tokens)"),
            ("top_p", self.top_p, 0.0 <= self.top_p <= 1.0, "in [0, 1]"),
            (
                "repetition_penalty",
                self.repetition_penalty,
                self.repetition_penalty > 0,
                "greater than 0 (1: none)",
            ),
        ):
            if not fits and (self.do_sample or name == "repetition_penalty"):
                raise SamplingError(
                    f"{name} has to be {allowed}, got {brief(value)}; do_sample=False takes the likeliest token"
                )

    def __call__(self, logits: Any, tokens: Any, mask: Any) -> Any:
        """Tokens [batch] chosen from logits [batch, d_vocab] behind `tokens` [batch, pos].

        What `mask` [batch, pos] (None: no padding) has as 0 counts for nothing.
        """
        if self.repetition_penalty != 1.0:
            logits = penalize_repetition(logits, tokens, self.repetition_penalty, mask)
        if self.do_sample:
            if self.temperature != 1.0:
                logits = cooled(logits, self.temperature)
            if self.top_k > 0:
                logits = keep_top_k(logits, self.top_k)
            if self.top_p < 1.0:
                logits = keep_top_p(logits, self.top_p)
        self.scores.append(logits)
        return draw(logits) if self.do_sample else logits.argmax(-1)


class HFGenerationMixin:
    """Needs `cfg` and `tokenizer`, and that the model can be called."""

    cfg: Any
    tokenizer: Any
    _need_tokenizer: Any

    def hf_generate(
        self,
        input: str | list[str] | Any = "",
        max_new_tokens: int = 10,
        stop_at_eos: bool = True,
        eos_token_id: int | Sequence[int] | None = None,
        do_sample: bool = True,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float = 1.0,
        use_past_kv_cache: bool = True,
        return_type: str | None = "input",
        pixel_values: Any | None = None,
        **generation_kwargs: Any,
    ) -> Any:
        """Continue a text, several or ids [batch, pos] as transformers' `generate` would.

        Against `generate`: texts are encoded as the tokenizer does by itself, `top_k` is 50 where it is not given
        and goes together with `top_p`, and EOS is the tokenizer's. Hooks on the model are called in each step.

        What a tokenizer gave may be passed whole, or as keywords (`**encoding`). Further keywords: `attention_mask`
        [batch, pos], `repetition_penalty`, `stop_strings`, `stopping_criteria`,
        and `output_logits`, `output_scores`, `return_dict_in_generate`, with which an object comes back that has
        `sequences`, `logits` and `scores`. Others of transformers' (beams among them) raise NotImplementedError.
        """
        mask = generation_kwargs.pop("attention_mask", None)
        input, mask = unpacked_prompt("hf_generate", input, mask, generation_kwargs)
        options = _options(generation_kwargs)
        if pixel_values is not None:
            raise ValueError(
                "pixel_values can only be passed to multimodal models; this one reads text"
            )
        if integer("max_new_tokens", max_new_tokens) < 1:
            raise ValueError(f"max_new_tokens={max_new_tokens}: expected at least 1")
        own = getattr(self.tokenizer, "eos_token_id", None)
        stop_tokens = None
        if stop_at_eos:
            given = own if eos_token_id is None else eos_token_id
            stop_tokens, _ = eos_tokens(given, self.cfg, self.tokenizer)
        pad = None if own in (stop_tokens or ()) else own
        tokens, mask = self._encoded(input, mask, pad)
        penalty = options.pop("repetition_penalty", 1.0)
        choose = _HFSampling(
            do_sample,
            temperature,
            _TOP_K if top_k is None else top_k,
            1.0 if top_p is None else top_p,
            1.0 if penalty is None else penalty,
        )
        criteria = criteria_of(
            options.pop("stop_strings", None),
            options.pop("stopping_criteria", None),
            self.tokenizer,
        )
        steps = Steps(
            model=self,
            prompt=tokens,
            choose=choose,
            max_new_tokens=max_new_tokens,
            mask=mask,
            stop_tokens=stop_tokens,
            pad=0 if own is None else own,
            criteria=criteria,
            cached=use_past_kv_cache,
        )
        pieces, logits = [tokens], []
        for chosen, behind, _ in steps:
            pieces.append(chosen[:, None])
            logits.append(behind)
        sequences = arrays.concat(pieces, 1)
        if return_type != "tokens" and isinstance(input, (str, list)):
            texts = [
                self.tokenizer.decode(row, skip_special_tokens=True)
                for row in to_numpy(sequences).tolist()
            ]
            return texts[0] if isinstance(input, str) else texts
        if not any(options.values()):
            return sequences
        return GenerateOutput(
            sequences=sequences,
            scores=tuple(choose.scores) if options.get("output_scores") else None,
            logits=tuple(logits) if options.get("output_logits") else None,
            past_key_values=steps.cache,
        )

    def _encoded(self, input: Any, mask: Any, pad: int | None) -> tuple[Any, Any]:
        """Ids [batch, pos] and their mask, None where there is no padding.

        Where nobody says what is padding among ids, transformers takes the padding token for it, which is EOS here,
        unless that ends sequences too (`pad` None). Of texts the tokenizer says it.
        """
        if isinstance(input, (str, list)):
            texts = [input] if isinstance(input, str) else input
            tokenizer = self._need_tokenizer("hf_generate")
            encoded = tokenizer(texts, return_tensors="np", padding=True, padding_side="left")
            tokens = token_ids(encoded["input_ids"])
            real = told_mask(encoded, to_numpy(tokens), tokenizer, texts, "left")
            warn_of_empty(real)
            mask = real if mask is None else mask
        else:
            tokens = token_ids(input)
        if mask is None:
            mask = tokens != (-1 if pad is None else pad)
        mask = arrays.asarray(mask)
        check_mask(mask)
        mask = in_rows(mask != 0, "int64")
        if mask.shape != tokens.shape:
            raise ValueError(
                f"attention_mask has the shape {tuple(mask.shape)}, expected that of the prompt, {tuple(tokens.shape)}"
            )
        return tokens, None if bool((mask != 0).all()) else mask


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The keywords that mean something; NotImplementedError for others of transformers'."""
    options = {name: given[name] for name in _KNOWN if given.get(name) is not None}
    others = given.keys() - {*_KNOWN, "tokenizer"}
    unknown = [name for name in others if given[name] not in (None, False, _IDLE.get(name))]
    if unknown:
        raise NotImplementedError(
            f"hf_generate has no {', '.join(sorted(unknown))}: it takes attention_mask, {', '.join(_KNOWN)} of "
            "transformers' keywords. "
            "Attentions and hidden states come from run_with_cache"
        )
    return options
