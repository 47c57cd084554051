"""What the generator of texts (`tokenizer_texts.py`) puts together: words, signs, spaces, code."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split(" ")


WORDS = _words(
    "the of and to in a is that it was for on are as with his they at be this from have "
    "or by one had not but what all were when we there can an your which their said if "
    "do will each about how up out them then she many some so these would other into has "
    "more her two like him see time could no make than first been its who now people my "
    "made over did down only way find use may water long little very after words called "
    "just where most know Paris France capital London don't we'll IT'S I'm I'M you've "
    "they're he'd SHE'D let's 'tis o'clock rock'n'roll tokenization interpretability "
    "attention residual stream transformer activation patching logit hook"
)

FOREIGN = _words(
    "naïve café Ångström Straße ÀÉÎ ßẞ İstanbul ıI œuvre çédille żółć příliš žluťoučký "
    "kůň Đặng ngữ Привет мир Ελλάδα ὀδύσσεια ς שלום עולם مرحبا العربية हिन्दी नमस्ते ไทย "
    "ภาษา தமிழ் ქართული አማርኛ 中文 汉字漢字 日本語 ひらがな カタカナ ｶﾞ 한국어 각 ㄱㅏ བོད་ မြန်မာ ខ្មែរ ᚠᚢᚦ 𐍈 "
    "𝒜𝓫𝔠 𠀀𠮷 Ａｂｃ１２３ ①②Ⅷ½² ﬁﬂ ŉ ǆ K Å Ω"
)

EMOJI = [
    "😀",
    "👍🏿",
    "👩‍👩‍👧‍👦",
    "👨🏽‍💻",
    "🏳️‍🌈",
    "❤️",
    "🇫🇷",
    "🇩🇪🇯🇵",
    "1️⃣",
    "🧑‍🚀",
    "☕",
    "✂️",
    "🤷‍♀️",
    "\U0001fae0",
    "🏴\U000e0067\U000e0062\U000e007f",
]

SYMBOLS = _words(
    ". , ; : ! ? ... !!! ?! -- — – - ( ) [ ] { } < > << >> <= != == => -> // /* */ # ## "
    "@x %d & && | || * ** + ++ = ~ ` ``` ' '' \" \"\" \\ \\n / ^ $ $5 €10 £ ¥ § © ® ™ ° « » “ "
    "” ‘ ’ … • · ¿ ¡ _ __init__ 's 'S 'LL 'ſ 'ret ʼn http://a.b/c?d=e&f=1#g x@y.org 3.14 "
    "1,000.50 1e-9 0xFF 2024-01-31 10:45:07 ½ ² ٣ १२३ 12345678901234567890"
)

SPACES = [
    " ",
    "  ",
    "   ",
    "    ",
    " " * 8,
    " " * 17,
    " " * 33,
    "\t",
    "\t\t",
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    "\r",
    "\r\n\r\n",
    " \n",
    "\n ",
    "\u00a0",
    "\u3000",
    "\u2003",
    "\u2009\u200a",
    "\x0b",
    "\x0c",
    "\u2028",
    "\u2029",
    "\u0085",
    "\u200b",
    "\ufeff",
    "\u1680",
    "\x1c",
]

MARKS = [
    "\u0300",
    "\u0301",
    "\u0302",
    "\u0308",
    "\u030a",
    "\u0323",
    "\u0327",
    "\u0328",
    "\u0338",
    "\u0345",
    "\u035c",
    "\u05b7",
    "\u05bc",
    "\u064e",
    "\u0651",
    "\u093c",
    "\u094d",
    "\u0e48",
    "\u0f71",
    "\u0f72",
    "\u1161",
    "\u11a8",
    "\u3099",
    "\u309a",
    "\u20d7",
    "\u200c",
    "\u200d",
    "\ufe0f",
    "\ufe0e",
    "\u08ca",
    "\u1abf",
    "\U0001e2ec",
    "\u0898",
    "\U00011930",
]

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<mask>",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "<repo_name>",
    "<file_sep>",
    "<|endoftext",
    "|endoftext|>",
    "<|im_start|",
    "<0x0A>",
    "<0xE4>",
    "▁",
    "▁▁",
    "Ġ",
    "ĠĠ",
    "Ċ",
    "ĉ",
    "##ing",
    "</w>",
    "<extra_id_0>",
    "<lstrip>",
    "<rstrip>",
    "<both>",
    "<word>",
    "<normed>",
]

CODE = [
    "def forward(self, x: torch.Tensor) -> torch.Tensor:\n    return self.ln(x + self.attn(x))\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];\r\n}\n",
    'if err := json.Unmarshal(raw, &cfg); err != nil {\n\t\treturn nil, fmt.Errorf("%w", err)\n\t}\n',
    "SELECT COUNT(*) FROM users WHERE name LIKE '%o''k%' AND age >= 18;\n",
    "<div class=\"a b\" id='x'>&nbsp;<br/></div>\n",
    'let mut v: Vec<u8> = vec![0x1F, 0b1010, 1_000];\n    println!("{:?}", v);\n',
    '{"key": [1, 2.5, -3e10, null, true], "nested": {"a": "\\u00e9"}}',
    "$ pip install --upgrade foo==1.2.3  # comment\n",
    'class A(B):\n\n    """Doc."""\n\n    x = 1\n        \n',
    "a_b.c->d::e[f]?.g!==h<<1>>>2|3&~4^5%6\n",
    "# -*- coding: utf-8 -*-\nimport os, sys\nfrom .x import (y,\n              z)\n",
]
