"""generate and its kin: cached and uncached the same, bit for bit; stopping; draws; hooks; nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_models import D_VOCAB, N_CTX, Arrays, alive
from transformer_lens_go._engine.compiled import go
from transformer_lens_go._engine.model import counts
from transformer_lens_go.model_bridge.stopping import eos_tokens
from transformer_lens_go.utilities.logits_utils import draw, sample_logits

from .reference import model as stored_model

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad", "one_thread")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from threads, and on a busy machine waiting ones cost minutes."""
    before = go.Threads()
    go.SetThreads(1)
    yield
    go.SetThreads(before)


Body = Callable[[], Any]


def generated(model: Any, given: Any, **options: Any) -> Any:
    options = dict(max_new_tokens=10, stop_at_eos=False, verbose=False) | options
    return model.generate(given, **options)


def seeded(xp: Arrays, seed: int) -> None:
    """Seed what draws come from here."""
    if xp.torch is None:
        np.random.seed(seed)
    else:
        xp.torch.manual_seed(seed)


def left_padding(xp: Arrays, pads: int, pos: int) -> Any:
    mask = np.ones((2, pos), dtype=np.int64)
    mask[0, :pads] = 0
    return xp.array(mask, "int64")


# cached and uncached


@pytest.mark.parametrize(("batch", "padded"), [(1, False), (2, False), (2, True)])
def test_two_hundred_steps(llama: Any, xp: Arrays, batch: int, padded: bool) -> None:
    """The same tokens, and the same logits bit for bit."""
    ids = xp.ids()[2 - batch :]
    mask = left_padding(xp, 3, 6)[:batch] if padded else None
    options = dict(max_new_tokens=200, do_sample=False, output_logits=True, attention_mask=mask)
    cached = generated(llama, ids, **options)
    plain = generated(llama, ids, use_past_kv_cache=False, **options)
    assert xp.same(cached.sequences, plain.sequences)
    assert tuple(cached.sequences.shape) == (batch, 206)
    assert len(cached.logits) == 200
    for one, other in zip(cached.logits, plain.logits, strict=True):
        assert xp.same(one, other)
    assert len(set(xp.numpy(cached.sequences)[0, 6:].tolist())) > 3


def test_to_the_end_of_the_context(gpt2: Any, xp: Arrays) -> None:
    ids = xp.ids()
    options = dict(max_new_tokens=N_CTX - 6, do_sample=False)
    cached = generated(gpt2, ids, **options)
    assert xp.same(cached, generated(gpt2, ids, use_past_kv_cache=False, **options))
    with pytest.raises(IndexError):
        generated(gpt2, ids, max_new_tokens=N_CTX)


def test_greedy_is_the_likeliest_each_time(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    out = xp.numpy(generated(model, ids, do_sample=False, max_new_tokens=5))
    for at in range(6, 11):
        behind = xp.array(out[:, :at], "int64")
        np.testing.assert_array_equal(xp.numpy(model(behind))[:, -1].argmax(-1), out[:, at])


def test_a_padded_row_goes_on_as_it_does_alone(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    out = generated(model, ids, do_sample=False, attention_mask=left_padding(xp, 4, 6))
    alone = generated(model, ids[:1, 4:], do_sample=False)
    np.testing.assert_array_equal(xp.numpy(out)[0, 4:], xp.numpy(alone)[0])
    np.testing.assert_array_equal(
        xp.numpy(out)[1:], xp.numpy(generated(model, ids[1:], do_sample=False))
    )


def test_texts_of_different_lengths(xp: Arrays) -> None:
    model = stored_model("llama")
    texts = ["hello world", "the", "the dog sat on the log and the mat"]
    together = generated(model, texts, do_sample=False)
    assert together == [generated(model, text, do_sample=False) for text in texts]


# choosing


@pytest.mark.parametrize(
    "options", [{}, {"top_k": 7}, {"top_p": 0.7}, {"temperature": 0.5, "freq_penalty": 1.0}]
)
def test_seeds_reproduce(model: Any, xp: Arrays, options: dict[str, Any]) -> None:
    ids = xp.ids()
    outs = []
    for seed in (1, 1, 2):
        seeded(xp, seed)
        outs.append(xp.numpy(generated(model, ids, max_new_tokens=20, **options)))
    np.testing.assert_array_equal(outs[0], outs[1])
    assert not np.array_equal(outs[0], outs[2])


def test_draws_follow_the_probabilities(xp: Arrays) -> None:
    seeded(xp, 0)
    logits = np.log(np.array([0.5, 0.3, 0.2, 1e-30], dtype=np.float32))
    drawn = xp.numpy(draw(xp.array(np.tile(logits, (20000, 1)), "float32")))
    shares = np.bincount(drawn, minlength=4) / 20000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2, 0], atol=0.02)
    assert drawn.dtype == np.int64


def allowed(
    xp: Arrays, logits: list[float], tokens: list[int] | None = None, **options: Any
) -> set[int]:
    """Every token that comes up in many draws."""
    seeded(xp, 0)
    rows = xp.array([logits] * 3000, "float32")
    given = None if tokens is None else xp.array([tokens] * 3000, "int64")
    return set(xp.numpy(sample_logits(rows, tokens=given, **options)).tolist())


def test_what_may_be_drawn(xp: Arrays) -> None:
    logits = [2.0, 1.0, 1.0, 0.0, -1.0]
    assert allowed(xp, logits) == {0, 1, 2, 3, 4}
    assert allowed(xp, logits, top_k=1) == {0}
    assert allowed(xp, logits, top_k=2) == {0, 1, 2}  # ties stay
    assert allowed(xp, logits, top_k=99) == {0, 1, 2, 3, 4}
    # probabilities are 0.48, 0.18, 0.18, 0.065, 0.024 of the whole
    assert allowed(xp, logits, top_p=0.3) == {0}
    assert len(allowed(xp, logits, top_p=0.6)) == 2
    assert allowed(xp, logits, top_p=0.75) == {0, 1, 2}
    assert allowed(xp, logits, top_p=1.0) == {0, 1, 2, 3, 4}
    assert allowed(xp, logits, top_k=3, top_p=0.1) == {0, 1, 2}  # top_k goes first
    assert allowed(xp, logits, [0, 0, 3], freq_penalty=60.0) == {1, 2, 4}
    assert allowed(xp, logits, [0, 4], temperature=0.0, repetition_penalty=3.0) == {1}
    assert allowed(xp, logits, [0, 1, 2], temperature=0.0, repetition_penalty=3.0) == {0}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"freq_penalty": -1.0}, ValueError),
        ({"freq_penalty": 1.0}, AssertionError),
        ({"top_k": 0}, AssertionError),
        ({"top_p": 0.0}, AssertionError),
        ({"top_p": 1.1}, AssertionError),
    ],
)
def test_what_sample_logits_refuses(xp: Arrays, options: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        sample_logits(xp.array([[1.0, 2.0]], "float32"), **options)


def test_nothing_to_draw_from(xp: Arrays) -> None:
    for row in ([np.nan, 1.0], [-np.inf, -np.inf]):
        with pytest.raises(ValueError, match="NaN"), np.errstate(invalid="ignore"):
            draw(xp.array([row], "float32"))


# ends


def test_eos(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    free = xp.numpy(generated(model, ids, do_sample=False, max_new_tokens=12))
    stop = int(free[0, 8])
    out = xp.numpy(
        generated(
            model, ids, do_sample=False, max_new_tokens=12, stop_at_eos=True, eos_token_id=stop
        )
    )
    first = [np.flatnonzero(row[6:] == stop) for row in free]
    ends = [int(hits[0]) if len(hits) else 11 for hits in first]
    assert out.shape[1] == 6 + max(ends) + 1
    for row, end in enumerate(ends):
        np.testing.assert_array_equal(out[row, : 6 + end + 1], free[row, : 6 + end + 1])
        assert (out[row, 6 + end + 1 :] == stop).all()


def test_which_tokens_end_a_sequence() -> None:
    def named(eos: Any) -> Any:
        return SimpleNamespace(eos_token_id=eos)

    assert eos_tokens(3, named(4), named(5)) == ([3], 3)
    assert eos_tokens(None, named(4), named(5)) == ([4], 4)
    assert eos_tokens(None, named([4, 6]), named(5)) == ([4, 6], 5)
    assert eos_tokens(None, named(None), named(5)) == ([5], 5)
    assert eos_tokens([7, 8], named(4), None) == ([7, 8], 7)
    assert eos_tokens(0, named(4), named(5)) == ([0], 0)
    with pytest.raises(AssertionError, match="eos_token_id"):
        eos_tokens(None, named(None), None)


def test_criteria(model: Any, xp: Arrays) -> None:
    ids, calls = xp.ids()[:1], []

    def after_three(tokens: Any, logits: Any) -> bool:
        calls.append((tuple(tokens.shape), tuple(logits.shape)))
        return tokens.shape[1] == 9

    out = generated(model, ids, stopping_criteria=[after_three])
    assert tuple(out.shape) == (1, 9)
    assert calls == [((1, n), (1, D_VOCAB)) for n in (7, 8, 9)]
    with pytest.raises(ValueError, match="one for each row"):
        generated(model, ids, stopping_criteria=lambda tokens, logits: np.ones(3))
    with pytest.raises(TypeError, match="int"):
        generated(model, ids, stopping_criteria=3)
    with pytest.raises(ValueError, match="tokenizer"):
        generated(model, ids, stop_strings="a")
    with pytest.raises(ValueError, match="finished rows"):
        generated(model, xp.ids(), stopping_criteria=after_three)


def test_stop_strings_end_in_the_last_token(xp: Arrays) -> None:
    model = stored_model("llama")
    text = generated(model, "hello", do_sample=False, max_new_tokens=20)
    for at in (7, 10, 14):
        wanted = text[at : at + 2]
        if "\ufffd" in wanted:
            continue
        out = generated(
            model, "hello", do_sample=False, max_new_tokens=20, stop_strings=["??", wanted]
        )
        assert wanted in out
        assert text.startswith(out.rstrip("\ufffd"))
        before = model.to_string(model.to_tokens(out, prepend_bos=False)[0][:-1])
        assert wanted not in before


# return types and errors


def test_streams_add_up(xp: Arrays) -> None:
    model = stored_model("gpt2")
    whole = generated(model, "hello world", do_sample=False)
    for size in (1, 2, 7, 100):
        pieces = list(
            model.generate_stream(
                "hello world", 10, size, stop_at_eos=False, do_sample=False, verbose=False
            )
        )
        assert "".join(pieces) == whole
    ids = model.to_tokens("hello world")
    pieces = list(
        model.generate_stream(ids, 10, 4, stop_at_eos=False, do_sample=False, verbose=False)
    )
    want = generated(model, ids, do_sample=False)
    np.testing.assert_array_equal(np.concatenate([xp.numpy(p) for p in pieces], 1), xp.numpy(want))


def test_a_stream_that_is_dropped(model: Any, xp: Arrays) -> None:
    stream = model.generate_stream(xp.ids(), 10, 1, stop_at_eos=False, verbose=False)
    next(stream)
    stream.close()
    assert tuple(model(xp.ids()).shape) == (2, 6, D_VOCAB)


def test_embeddings(model: Any, xp: Arrays) -> None:
    stream = xp.stream()
    cached = generated(model, stream, do_sample=False)
    assert tuple(cached.shape) == (2, 10)
    assert xp.same(cached, generated(model, stream, do_sample=False, use_past_kv_cache=False))
    with pytest.raises(RuntimeError, match="not embeddings"):
        next(model.generate_stream(stream))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"max_new_tokens": 0}, ValueError, "at least 1"),
        ({"forced_bos_token_id": 3}, ValueError, "encoder-decoder"),
        ({"pixel_values": 1}, ValueError, "pixel_values"),
        ({"image_sizes": 1}, TypeError, "image_sizes"),
        ({"return_cache": True}, NotImplementedError, "one sequence"),
        ({"padding_side": "left"}, ValueError, "tokenizer"),
        ({"return_type": "str"}, AssertionError, "tokenizer"),
        ({"attention_mask": np.ones((2, 5))}, ValueError, "match the prompt shape"),
    ],
)
def test_what_generate_refuses(
    model: Any, xp: Arrays, options: dict[str, Any], error: type, match: str
) -> None:
    with pytest.raises(error, match=match):
        generated(model, xp.ids(), **options)
    assert tuple(generated(model, xp.ids()).shape) == (2, 16)


def test_what_hf_generate_refuses(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    with pytest.raises(NotImplementedError, match="num_beams"):
        model.hf_generate(ids, stop_at_eos=False, num_beams=4)
    with pytest.raises(NotImplementedError, match="output_attentions"):
        model.hf_generate(ids, stop_at_eos=False, output_attentions=True)
    plain = model.hf_generate(ids, 4, stop_at_eos=False, do_sample=False, num_beams=1)
    assert tuple(plain.shape) == (2, 10)
    told = model.hf_generate(ids, 4, stop_at_eos=False, do_sample=False, output_scores=True)
    assert told.keys() == ["sequences", "scores", "past_key_values"]
    assert told.past_key_values.get_seq_length() == 9


def test_there_is_no_diffusion(model: Any, xp: Arrays) -> None:
    with pytest.raises(NotImplementedError, match="no native sampler"):
        model.diffusion_generate(xp.ids())


def test_a_second_bos_is_warned_of(xp: Arrays) -> None:
    model = stored_model("llama")
    bos = model.tokenizer.bos_token
    with pytest.warns(UserWarning, match="prepend_bos=False"):
        generated(model, bos + "hello")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generated(model, bos + "hello", prepend_bos=False)
        generated(model, "hello")


# hooks


def test_what_hooks_see(model: Any, xp: Arrays) -> None:
    places = []
    model.add_hook(
        "blocks.1.attn.hook_pattern",
        lambda v, hook: places.append((tuple(v.shape)[2:], hook.positions)),
    )
    generated(model, xp.ids(), max_new_tokens=3)
    assert places == [((6, 6), range(6)), ((1, 7), range(6, 7)), ((1, 8), range(7, 8))]
    places.clear()
    generated(model, xp.ids(), max_new_tokens=2, use_past_kv_cache=False)
    assert places == [((6, 6), range(6)), ((7, 7), range(7))]


def test_a_hook_steers(model: Any, xp: Arrays) -> None:
    """An edit at every step changes what comes, cached and not alike."""
    ids, step = xp.ids(), xp.stream(3, batch=1, pos=1) * 3
    plain = generated(model, ids, do_sample=False)
    with model.hooks(fwd_hooks=[("blocks.1.hook_resid_post", lambda v, hook: v + step)]):
        steered = generated(model, ids, do_sample=False)
        again = generated(model, ids, do_sample=False, use_past_kv_cache=False)
    assert not xp.same(plain, steered)
    assert xp.same(steered, again)


def test_a_hook_that_raises(model: Any, xp: Arrays) -> None:
    def fail(value: Any, hook: Any) -> None:
        if hook.positions.start > 7:
            raise KeyError("stop")

    with pytest.raises(KeyError), model.hooks(fwd_hooks=[("blocks.1.hook_in", fail)]):
        generated(model, xp.ids())
    assert tuple(generated(model, xp.ids()).shape) == (2, 16)


def test_a_cache_of_the_output(model: Any, xp: Arrays) -> None:
    ids = xp.ids()[:1]
    out, cache, given = generated(model, ids, return_cache=True, return_input_tokens=True)
    assert xp.same(given, ids)
    _, want = model.run_with_cache(out)
    assert list(cache.keys()) == list(want.keys())
    assert xp.same(cache["blocks.1.hook_resid_post"], want["blocks.1.hook_resid_post"])


# cost


def test_a_thousand_generations_leave_nothing(llama: Any, xp: Arrays) -> None:
    ids = xp.ids()
    generated(llama, ids, max_new_tokens=2)
    before = alive()
    for _ in range(1000):
        generated(llama, ids, max_new_tokens=2, do_sample=False)
    assert alive() == before


def test_a_generation_holds_one_cache(llama: Any, xp: Arrays) -> None:
    """What is alive at a step does not grow with the steps, but for the doubling memory of the cache."""
    held = []
    llama.add_hook("blocks.0.hook_in", lambda v, hook: held.append(counts()["Storages"]))
    generated(llama, xp.ids(), max_new_tokens=60)
    assert max(held[2:]) == min(held[2:])


def test_the_progress_bar(tmp_path: Path, llama_folder: Path) -> None:
    code = (
        "import numpy as np, transformer_lens_go as tl, sys\n"
        "m = tl.TransformerBridge.boot_transformers(sys.argv[1])\n"
        "m.generate(np.array([[1, 2]]), max_new_tokens=3, stop_at_eos=False, verbose=sys.argv[2] == 'yes')\n"
    )

    def told(verbose: str) -> str:
        path = os.pathsep.join(sys.path)
        return subprocess.run(
            [sys.executable, "-c", code, str(llama_folder), verbose],
            env={**os.environ, "PYTHONPATH": path, "TRANSFORMER_LENS_GO_ARRAYS": "numpy"},
            capture_output=True,
            text=True,
            check=True,
        ).stderr

    assert "3/3" in told("yes")
    assert told("no") == ""
