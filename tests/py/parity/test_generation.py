"""generate, generate_stream, hf_generate and cached runs: tokens, return types, errors, and what hooks see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import check_same

Body = Callable[[Any], Any]
TEXT = "hello world the cat"
TEXTS = ["hello world", "the", "the dog sat on the log and the mat"]
IDS = tiny.random_tokens(11, (2, 6))
MASK = torch.ones_like(IDS)
MASK[0, :3] = 0
GAP = torch.ones_like(IDS)
GAP[1, 2:4] = 0


def grown(model: Any, given: Any, how: str = "generate", **options: Any) -> Any:
    """Seeded, silent, and to the end unless told otherwise."""
    torch.manual_seed(5)
    defaults = dict(max_new_tokens=8, stop_at_eos=False)
    if how != "hf_generate":
        defaults["verbose"] = False
    return getattr(model, how)(given, **(defaults | options))


def greedy(model: Any, given: Any, **options: Any) -> Any:
    return grown(model, given, do_sample=False, **options)


def ones(model: Any) -> torch.Tensor:
    """The mask of a text without padding."""
    return torch.ones_like(model.to_tokens(TEXT))


def stops_at(token: int) -> Any:
    """A criterion of transformers'."""
    from transformers import StoppingCriteria

    class Stop(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return input_ids[:, -1] == token

    return Stop()


def pieces(model: Any, given: Any, **options: Any) -> list[Any]:
    return list(grown(model, given, "generate_stream", **options))


def eos_of(model: Any, at: int) -> int:
    """A token that greedy generation really comes to."""
    return int(greedy(model, IDS)[0, IDS.shape[1] + at])


def with_logits(result: Any) -> list[Any]:
    return [result.sequences, result["logits"], list(result.keys()), len(result.to_tuple())]


GENERATE: dict[str, Body] = {
    "greedy": lambda m: greedy(m, IDS),
    "greedy, no cache": lambda m: greedy(m, IDS, use_past_kv_cache=False),
    "greedy, one row": lambda m: greedy(m, IDS[:1]),
    "sampled": lambda m: grown(m, IDS),
    "sampled, no cache": lambda m: grown(m, IDS, use_past_kv_cache=False),
    "temperature": lambda m: grown(m, IDS, temperature=0.7),
    "temperature 0": lambda m: grown(m, IDS, temperature=0.0),
    "top k": lambda m: grown(m, IDS, top_k=5),
    "top k beyond": lambda m: grown(m, IDS, top_k=5000),
    "top k 0": lambda m: grown(m, IDS, top_k=0),
    "top k 1": lambda m: grown(m, IDS, top_k=1),
    "top p": lambda m: grown(m, IDS, top_p=0.6),
    "top p 1": lambda m: grown(m, IDS, top_p=1.0),
    "top p 0": lambda m: grown(m, IDS, top_p=0.0),
    "top p above": lambda m: grown(m, IDS, top_p=1.5),
    "top k and top p": lambda m: grown(m, IDS, top_k=9, top_p=0.2),
    "frequency": lambda m: grown(m, IDS, freq_penalty=2.0),
    "frequency, greedy": lambda m: greedy(m, IDS, freq_penalty=2.0),
    "negative frequency": lambda m: greedy(m, IDS, freq_penalty=-1.0),
    "repetition": lambda m: grown(m, IDS, repetition_penalty=1.7),
    "repetition, greedy": lambda m: greedy(m, IDS, repetition_penalty=1.7, max_new_tokens=12),
    "everything": lambda m: grown(
        m, IDS, temperature=0.8, top_p=0.9, freq_penalty=0.5, repetition_penalty=1.2
    ),
    "NaN": lambda m: grown(m, IDS, repetition_penalty=0.0, temperature=0.1),
    "eos": lambda m: greedy(m, IDS, stop_at_eos=True, eos_token_id=eos_of(m, 2)),
    "eos, one row": lambda m: greedy(m, IDS[:1], stop_at_eos=True, eos_token_id=eos_of(m, 2)),
    "several eos": lambda m: greedy(
        m, IDS, stop_at_eos=True, eos_token_id=[eos_of(m, 1), eos_of(m, 4)]
    ),
    "the tokenizer's eos": lambda m: greedy(m, IDS, stop_at_eos=True, max_new_tokens=20),
    "text": lambda m: greedy(m, TEXT),
    "text, tokens": lambda m: greedy(m, TEXT, return_type="tokens"),
    "text, str": lambda m: greedy(m, TEXT, return_type="str"),
    "text, other": lambda m: greedy(m, TEXT, return_type="other"),
    "text, none": lambda m: greedy(m, TEXT, return_type=None),
    "ids, str": lambda m: greedy(m, IDS, return_type="str"),
    "id, str": lambda m: greedy(m, IDS[:1], return_type="str"),
    "empty text": lambda m: greedy(m, ""),
    "no bos": lambda m: greedy(m, TEXT, prepend_bos=False, return_type="tokens"),
    "bos": lambda m: greedy(m, TEXT, prepend_bos=True, return_type="tokens"),
    "texts": lambda m: greedy(m, TEXTS),
    "texts, tokens": lambda m: greedy(m, TEXTS, return_type="tokens"),
    "texts, no cache": lambda m: greedy(m, TEXTS, return_type="tokens", use_past_kv_cache=False),
    "texts, no bos": lambda m: greedy(m, TEXTS, return_type="tokens", prepend_bos=False),
    "texts, sampled": lambda m: grown(m, TEXTS, return_type="tokens"),
    "texts, right": lambda m: greedy(m, TEXTS, return_type="tokens", padding_side="right"),
    "texts, eos": lambda m: greedy(
        m, TEXTS, return_type="tokens", stop_at_eos=True, eos_token_id=7
    ),
    "one text in a list": lambda m: greedy(m, [TEXT]),
    "no texts": lambda m: greedy(m, []),
    "mask": lambda m: greedy(m, IDS, attention_mask=MASK),
    "mask, no cache": lambda m: greedy(m, IDS, attention_mask=MASK, use_past_kv_cache=False),
    "mask with a gap": lambda m: greedy(m, IDS, attention_mask=GAP),
    "mask of ones": lambda m: greedy(m, IDS, attention_mask=torch.ones_like(IDS)),
    "mask of another shape": lambda m: greedy(m, IDS, attention_mask=MASK[:, :3]),
    "padding read off": lambda m: greedy(
        m, torch.where(MASK.bool(), IDS, m.tokenizer.pad_token_id), padding_side="left"
    ),
    "logits": lambda m: with_logits(greedy(m, IDS, output_logits=True)),
    "logits, text": lambda m: with_logits(greedy(m, TEXT, output_logits=True)),
    "input tokens": lambda m: greedy(m, TEXT, return_input_tokens=True),
    "cache": lambda m: greedy(m, IDS[:1], return_cache=True, names_filter="hook_embed"),
    "cache of a mask": lambda m: greedy(
        m, IDS[:1], return_cache=True, attention_mask=MASK[:1], names_filter=["blocks.1.hook_out"]
    ),
    "cache and tokens": lambda m: greedy(
        m, TEXT, return_cache=True, return_input_tokens=True, names_filter=lambda n: "pattern" in n
    ),
    "cache of a batch": lambda m: greedy(m, IDS, return_cache=True),
    "criterion": lambda m: greedy(m, IDS, stopping_criteria=stops_at(eos_of(m, 3))),
    "criteria": lambda m: greedy(
        m, IDS, stopping_criteria=[stops_at(eos_of(m, 3)), stops_at(eos_of(m, 1))]
    ),
    "criterion and eos": lambda m: greedy(
        m, IDS, stopping_criteria=stops_at(3), stop_at_eos=True, eos_token_id=eos_of(m, 2)
    ),
    "no criterion": lambda m: greedy(m, IDS, stopping_criteria=3),
    "stop string": lambda m: greedy(m, TEXT, stop_strings="e", max_new_tokens=30),
    "stop strings": lambda m: greedy(m, TEXTS, stop_strings=["on", "at "], max_new_tokens=30),
    "empty stop strings": lambda m: greedy(m, TEXT, stop_strings=["", ""]),
    "embeddings": lambda m: greedy(m, m(IDS, stop_at_layer=0) * 0.5),
    "embeddings, no cache": lambda m: greedy(
        m, m(IDS, stop_at_layer=0) * 0.5, use_past_kv_cache=False
    ),
    "embeddings, penalty": lambda m: greedy(
        m, m(IDS, stop_at_layer=0) * 0.5, repetition_penalty=1.7
    ),
    "embeddings, cache": lambda m: greedy(m, m(IDS[:1], stop_at_layer=0), return_cache=True),
    "embeddings, stop string": lambda m: greedy(m, m(IDS, stop_at_layer=0), stop_strings="e"),
    "no tokens": lambda m: greedy(m, IDS, max_new_tokens=0),
    "forced bos": lambda m: greedy(m, IDS, forced_bos_token_id=3),
    "pixels": lambda m: greedy(m, IDS, pixel_values=torch.zeros(1, 3, 4, 4)),
    "diffusion": lambda m: m.diffusion_generate(IDS),
    "stream": lambda m: pieces(m, IDS, max_tokens_per_yield=3),
    "stream, long pieces": lambda m: pieces(m, IDS[:1], max_tokens_per_yield=100),
    "stream, text": lambda m: pieces(m, TEXT, max_tokens_per_yield=2),
    "stream, texts": lambda m: pieces(m, TEXTS, max_tokens_per_yield=2),
    "stream, tokens": lambda m: pieces(m, TEXT, max_tokens_per_yield=1, return_type="tokens"),
    "stream, eos": lambda m: pieces(
        m, IDS, max_tokens_per_yield=3, do_sample=False, stop_at_eos=True, eos_token_id=eos_of(m, 2)
    ),
    "stream, mask": lambda m: pieces(m, IDS, max_tokens_per_yield=3, attention_mask=MASK),
    "stream, embeddings": lambda m: pieces(m, m(IDS, stop_at_layer=0)),
    "stream, forced bos": lambda m: pieces(m, IDS, forced_bos_token_id=3),
    "hf": lambda m: grown(m, IDS, "hf_generate", do_sample=False),
    "hf, sampled": lambda m: grown(m, IDS, "hf_generate"),
    "hf, top k and top p": lambda m: grown(
        m, IDS, "hf_generate", top_k=9, top_p=0.8, temperature=0.7, repetition_penalty=1.4
    ),
    "hf, eos": lambda m: grown(
        m, IDS, "hf_generate", do_sample=False, stop_at_eos=True, eos_token_id=eos_of(m, 2)
    ),
    # with the mask told, as transformers takes BOS for padding where they are one token
    "hf, text": lambda m: grown(m, TEXT, "hf_generate", do_sample=False, attention_mask=ones(m)),
    "hf, texts": lambda m: grown(m, TEXTS, "hf_generate", do_sample=False),
    "hf, text, tokens": lambda m: grown(
        m, TEXT, "hf_generate", do_sample=False, return_type="tokens", attention_mask=ones(m)
    ),
    "hf, logits": lambda m: with_logits(
        grown(m, IDS, "hf_generate", do_sample=False, output_logits=True)
    ),
    "hf, scores": lambda m: grown(m, IDS, "hf_generate", output_scores=True).scores,
}


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
@pytest.mark.parametrize("body", GENERATE)
def test_generation(
    pair: Callable[[str], libs.Pair], kind: str, body: str, everything: bool
) -> None:
    if kind == "gpt2" and not everything and list(GENERATE).index(body) % 3:
        pytest.skip("a third of the table for the second family; --all for all")
    pair(kind).same(GENERATE[body])


@pytest.mark.parametrize("kind", ["gpt2_gelu", "llama_mqa", "mistral", "qwen2"])
def test_families(pair: Callable[[str], libs.Pair], kind: str) -> None:
    pair(kind).same(lambda m: greedy(m, TEXTS, return_type="tokens", max_new_tokens=20))
    pair(kind).same(lambda m: grown(m, IDS, max_new_tokens=20))


CACHED: dict[str, Body] = {
    "chunks": lambda m: in_chunks(m, IDS),
    "chunks, masked": lambda m: in_chunks(m, IDS, MASK),
    "loss behind a cache": lambda m: m(
        IDS[:, 3:], past_key_values=cache_of(m, IDS[:, :3]), return_type="loss"
    ),
    "both behind a cache": lambda m: m(
        IDS[:, 3:], past_key_values=cache_of(m, IDS[:, :3]), return_type="both"
    ),
    "keys and values": lambda m: [
        [layer.keys, layer.values] for layer in cache_of(m, IDS, MASK).layers
    ],
    "sizes": lambda m: [
        len(cache_of(m, IDS)),
        cache_of(m, IDS).get_seq_length(),
        cache_of(m, IDS).get_seq_length(1),
        cache_of(m, IDS).get_max_length(),
    ],
    "no cache": lambda m: m(IDS, return_type="logits_and_cache", use_cache=False)[1],
    "the same object": lambda m: goes_on(m) is not None,
    "cropped": lambda m: changed(m, lambda c: c.crop(-2)),
    "cropped by a positive number": lambda m: changed(m, lambda c: c.crop(2)),
    "reordered": lambda m: changed(m, lambda c: c.reorder_cache(torch.tensor([1, 0]))),
    "selected": lambda m: changed(
        m, lambda c: c.batch_select_indices(torch.tensor([1])), IDS[:1, :2]
    ),
    "repeated": lambda m: changed(
        m, lambda c: c.batch_repeat_interleave(2), torch.cat([IDS, IDS])[:, :2]
    ),
    "reset": lambda m: changed(m, lambda c: c.reset()),
    "edited": lambda m: changed(m, lambda c: c.layers[0].values.mul_(2)),
    "replaced": lambda m: changed(
        m, lambda c: setattr(c.layers[1], "keys", c.layers[1].keys * 0.5)
    ),
    "updated": lambda m: changed(
        m,
        lambda c: [
            c.update(*(torch.ones_like(x[:, :, :1]) for x in both(c, i)), i) for i in (0, 1)
        ],
    ),
    "another batch": lambda m: m(IDS[:1], past_key_values=cache_of(m, IDS)),
    "what hooks see": lambda m: seen(m, lambda: changed(m, lambda c: None)),
    "what hooks see in generation": lambda m: seen(m, lambda: greedy(m, IDS, max_new_tokens=3)),
    "padded, in generation": lambda m: seen(m, lambda: greedy(m, TEXTS, max_new_tokens=3)),
    "edits in generation": lambda m: edited(m),
    "stopped early": lambda m: m(
        IDS[:, 3:], past_key_values=cache_of(m, IDS[:, :3]), stop_at_layer=1
    ),
    "embeddings behind a cache": lambda m: m(
        m(IDS, stop_at_layer=0)[:, 3:], past_key_values=cache_of(m, IDS[:, :3])
    ),
}


def cache_of(model: Any, ids: Any, mask: Any = None) -> Any:
    return model(ids, return_type="logits_and_cache", attention_mask=mask)[1]


def both(cache: Any, layer: int) -> tuple[Any, Any]:
    return cache.layers[layer].keys, cache.layers[layer].values


def in_chunks(model: Any, ids: Any, mask: Any = None) -> Any:
    cache, logits = None, []
    for first, last in ((0, 2), (2, 3), (3, 6)):
        given = None if mask is None else mask[:, :last]
        some, cache = model(
            ids[:, first:last],
            return_type="logits_and_cache",
            past_key_values=cache,
            attention_mask=given,
        )
        logits.append(some)
    whole = torch.cat(logits, 1)
    return whole if mask is None else whole[mask.bool()]


def goes_on(model: Any) -> Any:
    cache = cache_of(model, IDS)
    again = model(IDS[:, :1], past_key_values=cache, return_type="logits_and_cache")[1]
    return cache if again is cache else None


def changed(model: Any, change: Callable[[Any], Any], ids: Any = IDS[:, :2]) -> Any:
    cache = cache_of(model, IDS)
    change(cache)
    return model(ids, past_key_values=cache)


def seen(model: Any, run: Callable[[], Any]) -> list[Any]:
    """Name and shape of everything that hooks get."""
    found: list[Any] = []
    names = [n for n, p in model.hook_dict.items() if p.name == n and "embed" not in n]
    with model.hooks(
        fwd_hooks=[(n, lambda v, hook: found.append((hook.name, tuple(v.shape)))) for n in names]
    ):
        run()
    return found


def edited(model: Any) -> Any:
    """Values zeroed while the prompt is read stay zeroed; later tokens keep theirs."""

    def zero(value: Any, hook: Any) -> Any:
        return value * 0 if value.shape[1] > 1 else None

    with model.hooks(fwd_hooks=[("blocks.1.attn.hook_v", zero), ("blocks.0.attn.hook_k", zero)]):
        return greedy(model, IDS)


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
@pytest.mark.parametrize("body", CACHED)
def test_cached_runs(pair: Callable[[str], libs.Pair], kind: str, body: str) -> None:
    pair(kind).same(CACHED[body])


def test_a_dynamic_cache_of_transformers(pair: Callable[[str], libs.Pair]) -> None:
    """transformers' own cache goes in, empty or filled by either library, and is extended."""
    from transformers import DynamicCache

    both_models = pair("llama_gqa")
    for filler in (both_models.reference, None):
        results = []
        for model in (both_models.subject, both_models.reference):
            cache = DynamicCache() if filler is None else cache_of(filler, IDS)
            logits = [
                model(IDS[:, :2], past_key_values=cache),
                model(IDS[:, 2:], past_key_values=cache),
            ]
            results.append((logits, [[layer.keys, layer.values] for layer in cache.layers]))
        check_same(*results, "a DynamicCache")


def test_two_hundred_steps(pair: Callable[[str], libs.Pair], fresh_pair: Any) -> None:
    """The same tokens as the reference, step by step, cached and not, over the whole context."""
    model = pair("llama_gqa")
    steps = 128 - IDS.shape[1]
    model.same(lambda m: greedy(m, IDS, max_new_tokens=steps))
