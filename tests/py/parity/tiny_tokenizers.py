"""Small byte-level BPE tokenizers, one for each way BOS, EOS and padding can be set up.

Touches nothing but the folder it is told to write to. The merges are learned from a fixed text, so the
same call always gives the same tokenizer.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

VOCAB = 300

_CORPUS = [
    "hello world the cat sat on the mat and the dog sat on the log",
    "The capital of France is Paris. Numbers 12 123 1234; (brackets), 'quotes' and don't",
    "When Mary and John went to the store, John gave a drink to Mary",
] * 10

# special tokens, and which of them plays which part; None leaves the part unset
STYLES: dict[str, dict[str, str | None]] = {
    "gpt2": {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>", "pad": None},
    "distinct": {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"},
    "instruct": {
        "bos": "<|im_start|>",
        "eos": "<|im_end|>",
        "unk": "<|endoftext|>",
        "pad": "<|im_end|>",
    },
    "qwen2": {"bos": None, "eos": "<|endoftext|>", "unk": None, "pad": "<|endoftext|>"},
    "no_bos": {"bos": None, "eos": "<|endoftext|>", "unk": None, "pad": "<|pad|>"},
}


_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def save_tokenizer(folder: Path, style: str, *, template: bool = False) -> None:
    """Write tokenizer.json and tokenizer_config.json; `template` makes the tokenizer add BOS itself."""
    parts = STYLES[style]
    special = list(dict.fromkeys(token for token in parts.values() if token))
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if style == "qwen2":
        # what transformers makes of any Qwen2 tokenizer when it opens it
        core.normalizer = normalizers.NFC()
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_QWEN2_WORDS), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bos = parts["bos"]
    if template and bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A {bos} $B",
            special_tokens=[(bos, core.token_to_id(bos))],
        )
    names = {f"{part}_token": token for part, token in parts.items() if token}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(str(folder))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The saved tokenizer as Hugging Face loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))
