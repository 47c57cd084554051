"""Tokenizers of words and of SentencePiece, and what Hugging Face makes of texts with any tokenizer.

Needs the packages tokenizers and sentencepiece. The tokenizers are trained here on generated texts;
nothing is read but what a caller names. The trainers break ties differently from run to run.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

try:
    from .tokenizer_texts import training_texts
except ImportError:  # run as a script
    from tokenizer_texts import training_texts

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
UNIGRAM_VOCAB = 900


def bert(lowercase: bool) -> Tokenizer:
    core = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    core.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece(cleanup=lowercase)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=800, special_tokens=special, limit_alphabet=300, show_progress=False
    )
    core.train_from_iterator(training_texts(), trainer)
    if lowercase:
        core.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    else:
        core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    core.enable_truncation(40, stride=3, strategy="longest_first")
    core.enable_padding(pad_id=0, pad_token="[PAD]", pad_to_multiple_of=8)
    return core


def words(kind: str) -> Tokenizer:
    """WordLevel with the small normalizers and pre-tokenizers, each in one of the kinds."""
    core = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = {
        "words": (
            normalizers.Sequence(
                [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
            ),
            pre_tokenizers.Whitespace(),
        ),
        "words_punctuation": (
            normalizers.Sequence([normalizers.Nmt(), normalizers.Strip(left=True, right=True)]),
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.WhitespaceSplit(),
                    pre_tokenizers.Punctuation("merged_with_previous"),
                ]
            ),
        ),
        "words_scripts": (
            normalizers.Strip(left=False, right=True),
            pre_tokenizers.Sequence(
                [pre_tokenizers.UnicodeScripts(), pre_tokenizers.CharDelimiterSplit("e")]
            ),
        ),
        "words_fixed": (normalizers.ByteLevel(), pre_tokenizers.FixedLength(3)),
    }[kind]
    trainer = trainers.WordLevelTrainer(
        vocab_size=700, special_tokens=["[UNK]", "<s>", "</s>"], show_progress=False
    )
    core.train_from_iterator(training_texts(), trainer)
    core.add_tokens([AddedToken("The", normalized=True, single_word=True)])
    core.decoder = decoders.CTC(pad_token="e", word_delimiter_token="|", cleanup=True)
    if kind == "words_fixed":
        core.decoder = decoders.BPEDecoder(suffix="e")
    return core


def roberta() -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(training_texts(), trainer)
    core.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    core.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    core.enable_truncation(24, strategy="only_first", direction="left")
    core.enable_padding(direction="left", pad_id=1, pad_token="<pad>", length=30)
    return core


def gemma() -> Tokenizer:
    """Byte-fallback BPE without a prefix space, cut nowhere but at the marks of spaces."""
    core = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", *BYTES],
        limit_alphabet=90,
        max_token_length=12,
        show_progress=False,
    )
    core.train_from_iterator(training_texts(count=800), trainer)
    described = json.loads(core.to_str())
    described["added_tokens"] = described["added_tokens"][:4]
    core = Tokenizer.from_str(json.dumps(described))
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    core.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)]
    )
    return core


def unigram(kind: str) -> Tokenizer:
    core = Tokenizer(models.Unigram())
    space = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    special = ["<pad>", "</s>", "<unk>", *(BYTES if kind == "unigram_bytes" else [])]
    if kind == "t5_nfkc":
        core.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
        core.pre_tokenizer = space
    elif kind == "unigram_bytes":
        core.normalizer = normalizers.NFC()
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    elif kind == "unigram_plain":
        core.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    trainer = trainers.UnigramTrainer(
        vocab_size=UNIGRAM_VOCAB + len(special),
        special_tokens=special,
        unk_token="<unk>",
        show_progress=False,
    )
    # the trainer keeps every character that it sees: leave some for the unknown token
    latin = [text for text in training_texts() if max(map(ord, text), default=0) < 0x250]
    core.train_from_iterator(latin, trainer)
    described = json.loads(core.to_str())
    if kind == "unigram_bytes":
        described["model"]["byte_fallback"] = True
        described["added_tokens"] = described["added_tokens"][:3]
    core = Tokenizer.from_str(json.dumps(described))
    core.decoder = decoders.Metaspace()
    if kind == "unigram_bytes":
        core.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    core.enable_truncation(25, stride=2, direction="left", strategy="only_second")
    return core


def train_sentencepiece(**options: Any) -> bytes:
    """A SentencePiece .model, trained on the same texts."""
    out = io.BytesIO()
    lines = [text.replace("\n", " ").replace("\0", "") for text in training_texts(count=2500)]
    settings = {
        "vocab_size": 1700,
        "hard_vocab_limit": False,
        "character_coverage": 0.98,
        "num_threads": 1,
        "minloglevel": 2,
        "max_sentencepiece_length": 10,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, **{**settings, **options}
    )
    return out.getvalue()


def from_sentencepiece(kind: str) -> Tokenizer:
    """T5's and XLM-R's forms of a trained SentencePiece Unigram model with its real character map."""
    from sentencepiece import sentencepiece_model_pb2 as pb

    rules = {"t5": "nmt_nfkc", "xlmr": "nmt_nfkc_cf"}[kind]
    proto = pb.ModelProto.FromString(
        train_sentencepiece(model_type="unigram", normalization_rule_name=rules)
    )
    vocab = [(piece.piece, piece.score) for piece in proto.pieces]
    collapse = normalizers.Replace(Regex(" {2,}"), "▁")
    steps = [normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), collapse]
    if kind == "t5":
        vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *vocab[3:]]
        core = Tokenizer(models.Unigram(vocab, 2, False))
        core.add_special_tokens(["<pad>", "</s>", "<unk>", "<extra_id_0>"])
        core.post_processor = processors.TemplateProcessing(
            single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
        )
    else:
        steps.insert(1, normalizers.Strip(left=False, right=True))
        vocab = [
            ("<s>", 0.0),
            ("<pad>", 0.0),
            ("</s>", 0.0),
            ("<unk>", 0.0),
            *vocab[3:],
            ("<mask>", 0.0),
        ]
        core = Tokenizer(models.Unigram(vocab, 3, False))
        core.add_special_tokens(
            ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
        )
        core.post_processor = processors.TemplateProcessing(
            single=["<s>", "$A", "</s>"],
            pair=["<s>", "$A", "</s>", "</s>", "$B", "</s>"],
            special_tokens=[("<s>", 0), ("</s>", 2)],
        )
    core.normalizer = normalizers.Sequence(steps)
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    if kind == "xlmr":
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), core.pre_tokenizer]
        )
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return core


BUILDERS: dict[str, Any] = {
    "bert": lambda: bert(lowercase=True),
    "bert_cased": lambda: bert(lowercase=False),
    "words": lambda: words("words"),
    "words_punctuation": lambda: words("words_punctuation"),
    "words_scripts": lambda: words("words_scripts"),
    "words_fixed": lambda: words("words_fixed"),
    "roberta": roberta,
    "gemma": gemma,
    "t5": lambda: from_sentencepiece("t5"),
    "xlmr": lambda: from_sentencepiece("xlmr"),
    "t5_nfkc": lambda: unigram("t5_nfkc"),
    "unigram_bytes": lambda: unigram("unigram_bytes"),
    "unigram_plain": lambda: unigram("unigram_plain"),
}


def flat(offsets: list[tuple[int, int]]) -> list[int]:
    return [at for pair in offsets for at in pair]


def full(encoded: Any, overflow: bool = True) -> dict[str, Any]:
    """An encoding with everything in it."""
    row: dict[str, Any] = {
        "ids": encoded.ids,
        "type_ids": encoded.type_ids,
        "tokens": encoded.tokens,
        "offsets": flat(encoded.offsets),
        "words": [-1 if word is None else word for word in encoded.word_ids],
        "attention": encoded.attention_mask,
        "special": encoded.special_tokens_mask,
    }
    if overflow:
        row["overflowing"] = [full(part, overflow=False) for part in encoded.overflowing]
    return row


def plain_copy(core: Tokenizer) -> Tokenizer:
    """The tokenizer without truncation and padding."""
    core = Tokenizer.from_str(core.to_str())
    core.no_truncation()
    core.no_padding()
    return core


def answers(core: Tokenizer, samples: list[str], detailed: bool = False) -> list[dict[str, Any]]:
    """What a tokenizer without truncation and padding makes of texts; `detailed` with everything in encodings.

    Nothing is copied here: a copy reads the scores of a Unigram model from JSON anew, and rounds them.
    """
    rows = []
    for text in samples:
        encoded = core.encode(text)
        rows.append(
            {
                "ids": encoded.ids,
                "plain": core.encode(text, add_special_tokens=False).ids,
                "offsets": flat(encoded.offsets),
                "decoded": core.decode(encoded.ids, skip_special_tokens=False),
                "skipped": core.decode(encoded.ids, skip_special_tokens=True),
                # Every other token: characters fall apart, as they do while a model writes.
                "broken": core.decode(encoded.ids[::2], skip_special_tokens=True),
            }
        )
        if detailed:
            rows[-1]["full"] = full(encoded, overflow=False)
    return rows


def limits(rng: random.Random) -> dict[str, Any]:
    """Options of truncation and padding, in the words of the Go side, or none of either."""
    out: dict[str, Any] = {"truncation": None, "padding": None}
    if rng.random() < 0.8:
        out["truncation"] = {
            "MaxLength": rng.choice([4, 5, 6, 7, 9, 12, 20, 40]),
            "Stride": rng.choice([0, 0, 0, 1, 2]),
            "Strategy": rng.choice(["longest_first", "longest_first", "only_first", "only_second"]),
            "Side": rng.choice(["right", "right", "left"]),
            "KeepOverflow": True,
        }
    if rng.random() < 0.6:
        out["padding"] = {
            "Length": rng.choice([0, 0, 16, 25]),
            "MultipleOf": rng.choice([0, 0, 8, 3]),
            "Side": rng.choice(["right", "left"]),
            "ID": 1,
            "TypeID": rng.choice([0, 3]),
            "Token": "<pad>",
        }
    return out


def apply_limits(core: Tokenizer, said: dict[str, Any]) -> None:
    cut, fill = said["truncation"], said["padding"]
    core.no_truncation()
    core.no_padding()
    if cut:
        core.enable_truncation(
            cut["MaxLength"], stride=cut["Stride"], strategy=cut["Strategy"], direction=cut["Side"]
        )
    if fill:
        core.enable_padding(
            direction=fill["Side"],
            pad_id=fill["ID"],
            pad_type_id=fill["TypeID"],
            pad_token=fill["Token"],
            length=fill["Length"] or None,
            pad_to_multiple_of=fill["MultipleOf"] or None,
        )


def batches(core: Tokenizer, samples: list[str], seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Batches of texts and pairs with options, and the encodings (none where Hugging Face refuses)."""
    core = plain_copy(core)
    rng = random.Random(f"batches/{seed}")
    short = [text for text in samples if len(text) < 200]
    added = max(core.num_special_tokens_to_add(is_pair) for is_pair in (False, True))
    for _ in range(count):
        said = limits(rng)
        if said["truncation"] and said["truncation"]["MaxLength"] < added:
            continue
        inputs: list[Any] = []
        pairs = rng.random() < 0.6
        for _ in range(rng.randint(1, 4)):
            text = rng.choice(short)
            inputs.append((text, rng.choice(short)) if pairs else text)
        special = rng.random() < 0.8
        row = {**said, "inputs": inputs, "special": special}
        try:
            apply_limits(core, said)
            row["encodings"] = [
                full(encoded) for encoded in core.encode_batch(inputs, add_special_tokens=special)
            ]
        except BaseException as refused:  # a Rust panic is not an Exception
            if isinstance(refused, KeyboardInterrupt):
                raise
            row["encodings"] = None
        yield row


def write_reference(
    folder: Path, name: str, core: Tokenizer, samples: list[str], seed: int, batch_count: int
) -> None:
    """What the Go side is compared with: the tokenizer, the answers and the batches."""
    (folder / f"{name}.json").write_text(core.to_str(), encoding="utf-8")
    with gzip.open(folder / f"{name}.cases.gz", "wt", encoding="utf-8", compresslevel=1) as out:
        for text, row in zip(samples, answers(plain_copy(core), samples, True), strict=True):
            out.write(json.dumps({"text": text, **row}) + "\n")
        for row in batches(core, samples, seed, batch_count):
            out.write(json.dumps({"batch": row}) + "\n")
