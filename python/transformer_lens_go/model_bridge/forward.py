"""`forward`: what a call of the model asks the engine, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._engine import arrays
from .._engine.inputs import attention_mask as mask_input
from .._engine.inputs import float_input, token_ids, wanted_positions
from .._engine.run import Answer, Question, run
from .._engine.whole import whole
from ..array_types import Array, ModelInput
from ..cache.key_value_cache import TransformerLensKeyValueCache
from ..given import cut, integer
from ..utilities.tokenize_utils import get_attention_mask
from . import loss
from .caches import Caching, can_cache, open_cache
from .encodings import unpacked
from .padding import positions_of, warn_of_empty, warn_of_gaps
from .past_key_values import PastKeyValues
from .text import TextMixin
from .watching import watching

__all__ = ["ForwardMixin", "Kept"]

Kept = list[tuple[int, Any]]

_RETURN_TYPES = ("logits", "loss", "both", "predictions", "logits_and_cache", None)
# What Hugging Face models return beside the logits; it changes nothing of what is returned here.
_CACHING = ("past_key_values", "past_kv_cache", "use_cache", "use_past_kv_cache")
_WITHOUT_EFFECT = ("output_attentions", "output_hidden_states", "return_dict")


@dataclass(slots=True)
class _Wanted:
    """What to make of the engine's answer."""

    return_type: str | None
    per_token: bool
    labels: Any
    tokens: Any
    mask: Any
    cache: Any

    def check(self) -> None:
        """Raise ValueError for a loss that has no targets."""
        if self.return_type in ("loss", "both") and self.labels is None and self.tokens is None:
            raise ValueError(
                "Cannot compute loss with inputs_embeds — token IDs required for labels. Pass labels="
            )


class ForwardMixin(TextMixin):
    """Needs `cfg`, `_engine` and `blocks`."""

    blocks: Any
    _engine: Any

    def forward(
        self,
        input: ModelInput | None = None,
        return_type: str | None = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        padding_side: str | None = None,
        attention_mask: Array | None = None,
        labels: Array | None = None,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        pixel_values: Any | None = None,
        input_values: Any | None = None,
        past_key_values: Any | None = None,
        logits_to_keep: int | Array = 0,
        **kwargs: Any,
    ) -> Any:
        """Run the model on text, ids [pos] or [batch, pos], or embeddings [batch, pos, d_model].

        Args:
            input: a list of texts is padded on `padding_side` (None: the tokenizer's). What a tokenizer gave
                (a BatchEncoding, or a dict with "input_ids") may be passed whole, or as keywords (`**encoding`).
            prepend_bos: for texts: whether BOS stands before each; None means `cfg.default_prepend_bos`.
            padding_side: for lists of texts: "left" or "right".
            return_type: "logits" [batch, pos, d_vocab], "loss" (of the next tokens; a scalar), "both" (a
                tuple), "predictions" (the text of masked tokens), "logits_and_cache" (a tuple with what to
                pass as `past_key_values` next), or None.
            loss_per_token: losses [batch, pos - 1] in place of their mean.
            attention_mask: 0 for positions to leave out, 1 for the others: [batch, pos], or of cached and
                new positions, [batch, past + pos].
            labels: targets [batch, pos] for the loss in place of the ids; -100 does not count.
            start_at_layer: `input` is the residual stream [batch, pos, d_model] entering that block.
            stop_at_layer: return the residual stream entering that block; blocks from there on do not run.
                Negative ones count from the end; the number of layers runs on to the logits.
            past_key_values: the KV cache of earlier tokens, from "logits_and_cache" (or a DynamicCache of
                transformers): `input` is the new tokens only, and their keys and values are added to it.
            logits_to_keep: positions whose logits are wanted, as in Hugging Face's models: the last n of them (0:
                all), or a list or array of positions, [n] or [batch, n] for each row its own; negative ones count
                from the end. The logits are then [batch, n, d_vocab], the same numbers as among all of them, and
                the other positions are not unembedded unless a hook or cache looks at them. With `return_type`
                "logits" and "logits_and_cache". (This argument is ours; transformer_lens has none.)

        Keywords: `position_ids` [batch, pos]; `past_kv_cache`, a TransformerLensKeyValueCache, in place of
        `past_key_values`; `use_cache=False` for "logits_and_cache" without a cache. A model whose attention
        looks both ways has none: "logits_and_cache" then gives None for it, and passing one is an error.

        Returns:
            What `return_type` says; with `stop_at_layer` the residual stream [batch, pos, d_model].

        Raises:
            ValueError: an unknown `return_type`, a mask or stream of another shape, a loss without targets.
            IndexError: an id that the vocabulary has not, a position in `logits_to_keep` that the input has not.
            AssertionError: a text, and the model has no tokenizer.
            TypeError: a keyword that is not known.

        Example:
            >>> tuple(model("The capital of France is").shape)  # [batch, pos, d_vocab]
            (1, 6, 97)
            >>> model("The capital of France is", return_type="loss").shape == ()
            True
        """
        absent = {
            "pixel_values": pixel_values,
            "input_values": input_values,
            "past_key_values": past_key_values,
            "logits_to_keep": logits_to_keep,
        }
        watcher = watching(self)
        output, kept, batch = self._answer(
            () if watcher is None else watcher.keep,
            input,
            return_type=return_type,
            loss_per_token=loss_per_token,
            prepend_bos=prepend_bos,
            padding_side=padding_side,
            attention_mask=attention_mask,
            labels=labels,
            start_at_layer=start_at_layer,
            stop_at_layer=stop_at_layer,
            **absent,
            **kwargs,
        )
        if watcher is not None:
            watcher.kept += kept
            watcher.batch = batch
        return output

    def _answer(
        self, keep: Sequence[int] | str, input: Any, **kwargs: Any
    ) -> tuple[Any, Kept, int]:
        """What `forward` returns, (point, value) for each point in `keep`, and the batch size."""
        question, caching, wanted, batch = self._asked(keep, input, **kwargs)
        stops = question.output == "resid"
        with self._ask(question, caching) as answer:
            output = answer.output("the residual stream") if stops else self._finish(answer, wanted)
            return output, answer.kept(), batch

    def _asked(
        self,
        keep: Sequence[int] | str,
        input: Any,
        *,
        return_type: str | None = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        padding_side: str | None = None,
        attention_mask: Any | None = None,
        labels: Any | None = None,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        logits_to_keep: Any = 0,
        **kwargs: Any,
    ) -> tuple[Question, Caching | None, _Wanted, int]:
        """The question that `forward` asks, its KV cache, what to make of the answer, and the batch size."""
        if isinstance(input, Mapping) or input is None or "input_ids" in kwargs:
            input, attention_mask = unpacked("forward", input, attention_mask, kwargs)
            labels = kwargs.pop("labels", None) if labels is None else labels
        attention_mask, positions = _keywords(return_type, attention_mask, kwargs)
        cache = _cache_given(kwargs)
        given_cache = cache is not None
        question = Question(keep=keep)
        padding = None
        if start_at_layer is not None:
            self._start(question, input, start_at_layer)
        elif arrays.is_array(input) and arrays.is_floating(input):
            question.embeds = float_input(
                input, self.cfg.d_model, "embeddings", self._engine.dtype, 3
            )
        else:
            question.tokens, padding = self._ids(input, prepend_bos, padding_side)
        given = next(a for a in (question.tokens, question.embeds, question.resid) if a is not None)
        batch, pos = given.shape[:2]
        if cache is None and return_type == "logits_and_cache" and kwargs.get("use_cache", True):
            cache = PastKeyValues.for_model(self.cfg, batch) if can_cache(self.cfg) else None
        if attention_mask is None and padding is not None:
            attention_mask, derived = self._seen(padding, cache is not None)
            if positions is None and not given_cache:  # they depend on the cache too
                positions = derived
        caching = self._go_on(question, cache, batch, pos, attention_mask, positions)
        if labels is not None:
            labels = token_ids(labels)
        new_mask = question.attention_mask
        if new_mask is None:
            new_mask = padding
        elif caching is not None:
            new_mask = new_mask[:, caching.past.length :]
        wanted = _Wanted(return_type, loss_per_token, labels, question.tokens, new_mask, cache)
        stops = self._stop(question, stop_at_layer, start_at_layer)
        if not stops:
            wanted.check()
            question.output = "logits" if return_type is not None else "none"
        if return_type == "loss" and labels is None and not stops and not keep and pos > 1:
            # the logits behind the last token predict nothing that is known
            question.wanted = wanted_positions(list(range(pos - 1)), pos)
        if not isinstance(logits_to_keep, int) or logits_to_keep != 0:
            _check_wanted(return_type, stops)
            question.wanted = wanted_positions(logits_to_keep, pos)
        return question, caching, wanted, batch

    def _ask(self, question: Question, caching: Caching | None) -> Answer:
        if caching is None:
            return run(self._engine, question)

        def ask() -> Answer:
            answer = run(self._engine, question)
            caching.keep()
            return answer

        return whole(ask, caching.undo)

    def _go_on(
        self,
        question: Question,
        cache: Any,
        batch: int,
        pos: int,
        mask: Any,
        positions: Any,
    ) -> Caching | None:
        """Note the mask, the positions and the cache of a run over `pos` tokens."""
        caching = None
        if cache is not None:
            caching = open_cache(cache, self.cfg, batch, pos, mask)
            question.past, question.attention_mask = caching.past, caching.mask
        elif mask is not None:
            question.attention_mask = mask_input(mask, batch, pos)
        if question.attention_mask is not None and self._engine.windows:
            warn_of_gaps(question.attention_mask, self._engine.windows)
        if positions is not None:
            question.positions = token_ids(positions)
        return caching

    def _ids(self, input: Any, prepend_bos: bool | None, side: str | None) -> tuple[Any, Any]:
        """Ids [batch, pos] of what was passed, and of texts that were padded a mask of the same shape: 0 at padding."""
        if isinstance(input, (list, tuple)):
            if not input or not all(isinstance(text, str) for text in input):
                raise ValueError(
                    "a list is taken as texts, and its entries must be str; pass ids as a tensor or array"
                )
            input = list(input)
        elif not isinstance(input, str):
            return token_ids(input), None
        ids, real = self._tokenized(input, prepend_bos, side)
        tokens = token_ids(ids)
        if real.all():
            return tokens, None
        warn_of_empty(real)
        return tokens, arrays.from_numpy(real)

    def _seen(self, padding: Any, cached: bool) -> tuple[Any, Any]:
        """The mask and positions that go with padded texts; None for both where no token sees the padding.

        Padding behind a text is seen by nothing but itself, unless attention looks both ways, or more tokens follow.
        """
        behind = bool((padding[:, 1:] <= padding[:, :-1]).all())
        if behind and not cached and can_cache(self.cfg):
            return None, None
        return padding, positions_of(padding)

    def _start(self, question: Question, input: Any, layer: int) -> None:
        if not (arrays.is_array(input) and arrays.is_floating(input)):
            raise ValueError(
                "start_at_layer requires a residual-stream tensor [batch, pos, d_model]; got "
                f"{type(input).__name__}. Capture it from a prior run_with_cache (e.g. "
                "cache['blocks.k.hook_in'])."
            )
        layers = len(self.blocks)
        layer = integer("start_at_layer", layer)
        start = layer + layers if layer < 0 else layer
        if not 0 <= start < layers:
            raise ValueError(f"start_at_layer={start} out of range [0, {layers}).")
        stream = input if input.ndim == 3 else input[None]
        question.resid = float_input(
            stream, self.cfg.d_model, "the residual stream", self._engine.dtype, 3
        )
        question.start = start

    def _stop(self, question: Question, layer: int | None, start: int | None) -> bool:
        """Note where to stop; False where the run goes on to the end, as it does behind the last layer."""
        if layer is None:
            return False
        layers = len(self.blocks)
        layer = integer("stop_at_layer", layer)
        stop = layer + layers if layer < 0 else layer
        if not 0 <= stop <= layers:
            raise ValueError(
                f"stop_at_layer={layer}: this model has {layers} layers, expected {-layers} to {layers}, the number "
                f"of the block whose input to return ({layers} runs on to the logits)"
            )
        if stop == layers:
            return False
        if question.start is not None and stop < question.start:
            raise ValueError(f"stop_at_layer={layer} is before start_at_layer={start}")
        question.stop, question.output = stop, "resid"
        return True

    def _finish(self, answer: Answer, wanted: _Wanted) -> Any:
        if wanted.return_type is None:
            return None
        logits = answer.output("the logits")
        if wanted.return_type == "logits":
            return logits
        if wanted.return_type == "logits_and_cache":
            return logits, wanted.cache
        if wanted.return_type == "predictions":
            return self._predictions(logits, wanted.tokens)
        if wanted.labels is not None:
            value = loss.labels_loss(logits, wanted.labels, wanted.mask, wanted.per_token)
        else:
            value = loss.loss_fn(logits, wanted.tokens, wanted.mask, wanted.per_token)
        return (logits, value) if wanted.return_type == "both" else value

    def _predictions(self, logits: Any, tokens: Any) -> str | list[str]:
        """The likeliest text at each masked token; "Prediction i: …" where there are several."""
        if self.tokenizer is None:
            raise AssertionError("Tokenizer required for return_type='predictions'")
        if tokens is None:
            raise AssertionError("input_ids required for MLM predictions")
        mask = getattr(self.tokenizer, "mask_token_id", None)
        chosen = logits.argmax(-1)[tokens == (-1 if mask is None else mask)]
        text = self.tokenizer.decode(chosen.tolist())
        parts = text.split(" ")
        return text if len(parts) == 1 else [f"Prediction {i}: {p}" for i, p in enumerate(parts)]

    def loss_fn(
        self, logits: Any, tokens: Any, attention_mask: Any | None = None, per_token: bool = False
    ) -> Any:
        """The next-token loss of logits [batch, pos, d_vocab] at tokens [batch, pos]."""
        return loss.loss_fn(logits, tokens, attention_mask, per_token)

    def input_to_embed(
        self,
        input: Any,
        prepend_bos: bool | None = None,
        padding_side: str | None = None,
        attention_mask: Any | None = None,
    ) -> tuple[Any, Any, None, Any]:
        """(residual stream entering block 0, tokens, None, mask): what `start_at_layer=0` goes on from."""
        input, attention_mask = unpacked("input_to_embed", input, attention_mask, {})
        tokens, padding = self._ids(input, prepend_bos, padding_side)
        positions = None
        if attention_mask is None and padding is not None:
            attention_mask, positions = self._seen(padding, False)
        elif (
            attention_mask is None
            and not isinstance(input, (str, list, tuple))
            and getattr(self.tokenizer, "padding_side", None) == "left"
        ):
            prepend = self.cfg.default_prepend_bos if prepend_bos is None else prepend_bos
            attention_mask = get_attention_mask(self.tokenizer, tokens, prepend)
        residual = self.forward(
            tokens, stop_at_layer=0, attention_mask=attention_mask, position_ids=positions
        )
        return residual, tokens, None, attention_mask


def _keywords(return_type: Any, mask: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The mask and the positions among what was passed; raises for what the engine does not take."""
    if return_type not in _RETURN_TYPES:
        raise ValueError(
            f"Invalid return_type: {cut(str(return_type))}. Expected one of {_RETURN_TYPES}"
        )
    for name, models in (("pixel_values", "multimodal or vision"), ("input_values", "audio")):
        if kwargs.pop(name, None) is not None:
            raise ValueError(f"{name} can only be passed to {models} models; this one reads text")
    positions, other = kwargs.pop("position_ids", None), kwargs.pop("one_zero_attention_mask", None)
    unknown = sorted(set(kwargs) - {*_WITHOUT_EFFECT, *_CACHING})
    if unknown:
        raise TypeError(f"forward() got unexpected keyword arguments: {cut(', '.join(unknown))}")
    return (other if mask is None else mask), positions


def _check_wanted(return_type: str | None, stops: bool) -> None:
    """Raise ValueError where there are no logits of which some could be kept."""
    if stops or return_type not in ("logits", "logits_and_cache"):
        asked = "stop_at_layer" if stops else f"return_type={return_type!r}"
        raise ValueError(
            f"logits_to_keep says of which positions logits are returned, and {asked} returns none, or needs those of "
            'all; use it with return_type="logits" or "logits_and_cache"'
        )


def _cache_given(kwargs: dict[str, Any]) -> Any:
    """The KV cache that was passed, of either kind, or None."""
    past_key_values, past_kv_cache = kwargs.get("past_key_values"), kwargs.get("past_kv_cache")
    if past_kv_cache is None:
        if isinstance(past_key_values, TransformerLensKeyValueCache):
            raise TypeError(
                "a TransformerLensKeyValueCache is passed as past_kv_cache, not as past_key_values"
            )
        return past_key_values
    if past_key_values is not None:
        raise ValueError(
            "past_key_values and past_kv_cache are two caches for one run; pass one of them"
        )
    if not isinstance(past_kv_cache, TransformerLensKeyValueCache):
        raise TypeError(
            "past_kv_cache must be a TransformerLensKeyValueCache (see its init_cache), not "
            f"{type(past_kv_cache).__name__}"
        )
    return past_kv_cache
