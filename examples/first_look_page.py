"""The pictures of first_look.py: one HTML page that needs nothing beside itself. Knows nothing of models.

Beside each picture stands the code that finds out what it shows. The style is in first_look.css, the attention
patterns are drawn by first_look.js, the colours of cells come from first_look_colours.py.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from first_look_colours import STEPS, level, scale_css

HERE = Path(__file__).resolve().parent

# What stands for characters that cannot be seen. Each is unlike what tokens have: a dot is a dot.
MARKS = {" ": "␣", "\u00a0": "⍽", "\n": "⏎", "\r": "␍", "\t": "⇥"}
NAMES = {"\u00a0": "nbsp"}  # where there may be no glyph


@dataclass(frozen=True)
class Findings:
    """What was found out about one prompt. In `layers`, the first is the embedding alone."""

    model: str
    prompt: str
    tokens: list[str]  # [pos]
    candidates: list[str]  # the likeliest next tokens, in order
    probabilities: np.ndarray  # [candidate]
    lens_tokens: list[list[str]]  # [layers][pos]: the likeliest next token as of each layer
    lens_probabilities: np.ndarray  # [layers, pos], of that token
    ranks: np.ndarray  # [layers, candidate]: their places at the last position, 1 is the likeliest
    patterns: np.ndarray  # [layer, head, query, key]
    ablations: np.ndarray  # [layer, head]: change of the answer's log-probability without the head


def visible(token: str) -> str:
    """A token with marks for spaces, line ends and other characters that cannot be seen."""
    return "".join(_marked(character) for character in token)


def _marked(character: str) -> str:
    if character in MARKS:
        return MARKS[character]
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def token_html(token: str) -> str:
    """`visible` for the page: marks are set off from characters that tokens have themselves."""
    shown = []
    for character in token:
        mark = NAMES.get(character, _marked(character))
        shown.append(html.escape(mark) if mark == character else f"<i>{html.escape(mark)}</i>")
    return "".join(shown)


def layer_names(count: int) -> list[str]:
    """The embedding, then layers."""
    return ["embedding", *(f"layer {index}" for index in range(count - 1))]


# pictures


def candidates_picture(found: Findings) -> str:
    """Bars of the likeliest next tokens."""
    most = float(found.probabilities.max())
    rows = (
        f"<b>{token_html(token)}</b>"
        f'<div class="bar" style="width:{share / most:.1%}"></div><span>{share:.1%}</span>'
        for token, share in zip(found.candidates, found.probabilities, strict=True)
    )
    return f'<div class="bars">{"".join(rows)}</div>'


def lens_picture(found: Findings) -> str:
    """What the model would say at each position after each layer, the last layer on top."""
    head = "".join(f"<th>{token_html(t)}<sub>{i}</sub></th>" for i, t in enumerate(found.tokens))
    rows = []
    for layer, name in reversed(list(enumerate(layer_names(len(found.lens_tokens))))):
        cells = []
        for token, share in zip(
            found.lens_tokens[layer], found.lens_probabilities[layer], strict=True
        ):
            hit = " hit" if token == found.candidates[0] else ""
            said = html.escape(f"{visible(token)}: {share:.1%}", quote=True)
            cells.append(
                f'<td class="b{level(share)}{hit}" title="{said}">{token_html(token)}</td>'
            )
        rows.append(f"<tr><th>{name}</th>{''.join(cells)}</tr>")
    body = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    table = f'<table class="lens" style="--n:{len(found.tokens)}">{body}</table>'
    return table + scale("b", "0 %", "100 % sure")


def rise_picture(found: Findings, count: int = 5) -> str:
    """How the likeliest answers rise from layer to layer: their places, on a scale of powers of ten."""
    width, height, left, right, top, bottom = 620, 300, 58, 96, 12, 40
    count = min(count, len(found.candidates))
    steps, deepest = len(found.ranks) - 1, max(1.0, float(np.log10(found.ranks[:, :count].max())))

    def x(layer: int) -> float:
        return left + (width - left - right) * layer / max(steps, 1)

    def y(rank: float) -> float:
        return top + (height - top - bottom) * np.log10(rank) / deepest

    parts = []
    for power in range(int(deepest) + 1):
        line = y(10**power)
        parts.append(
            f'<line class="axis" x1="{left}" x2="{width - right}" y1="{line:.1f}" y2="{line:.1f}"/>'
        )
        parts.append(
            f'<text x="{left - 8}" y="{line + 4:.1f}" text-anchor="end">{10**power:,}</text>'
        )
    for layer in range(0, steps + 1, max(1, steps // 10)):
        name = "emb." if layer == 0 else str(layer - 1)
        parts.append(
            f'<text x="{x(layer):.1f}" y="{height - 18}" text-anchor="middle">{name}</text>'
        )
    parts.append(f'<text x="{left}" y="{height - 2}">after layer</text>')
    ends = spread([y(found.ranks[-1, index]) for index in range(count)], 17)
    for index in range(count):
        points = " ".join(
            f"{x(i):.1f},{y(rank):.1f}" for i, rank in enumerate(found.ranks[:, index])
        )
        kind = ' class="first"' if index == 0 else ""
        parts.append(f'<polyline{kind} points="{points}" style="stroke:var(--s{index})"/>')
        parts.append(
            f'<text x="{width - right + 10}" y="{ends[index] + 4:.1f}" style="fill:var(--s{index})">'
            f"{html.escape(visible(found.candidates[index]))}</text>"
        )
    return f'<div class="rise"><svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg></div>'


def spread(heights: list[float], least: float) -> list[float]:
    """The heights, moved down where one would lie on another."""
    moved = dict.fromkeys(range(len(heights)), 0.0)
    before = -least
    for index in sorted(moved, key=lambda i: heights[i]):
        before = moved[index] = max(heights[index], before + least)
    return list(moved.values())


def attention_picture(found: Findings) -> str:
    """The attention patterns of one layer at a time: a slider, a switch for the first token, and a square a head."""
    upper = len(found.patterns) // 2
    start = upper + int(np.abs(found.ablations[upper:]).max(axis=1).argmax())
    data = {
        "steps": STEPS,
        "tokens": [f"{token_html(token)}<sub>{i}</sub>" for i, token in enumerate(found.tokens)],
        "plain": [html.escape(visible(token), quote=True) for token in found.tokens],
        "patterns": [
            [
                [[round(float(share), 3) for share in row[: i + 1]] for i, row in enumerate(head)]
                for head in layer
            ]
            for layer in found.patterns
        ],
    }
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    share = float(found.patterns[:, :, 1:, 0].mean()) if len(found.tokens) > 1 else 1.0
    return (
        '<div class="controls"><label>layer <input type="range" id="layer" min="0" '
        f'max="{len(found.patterns) - 1}" value="{start}"><output id="layer-number">{start}</output></label>'
        f'<label><input type="checkbox" id="hide-first" checked> hide {token_html(found.tokens[0])}, which gets '
        f'{share:.0%} of all attention, and show shares of the rest</label></div><div class="heads" id="heads"></div>'
        + scale("b", "0 %", "100 % of the attention")
        + f'<script type="application/json" id="attention-data">{told}</script>'
    )


def ablations_picture(found: Findings) -> str:
    """The change of the answer's log-probability without each head: red where it falls, blue where it rises."""
    effects = found.ablations
    limit = float(np.abs(effects).max()) or 1.0
    strongest = {int(flat) for flat in np.argsort(-np.abs(effects), axis=None)[:5]}
    n_layers, n_heads = effects.shape
    head = "".join(f"<th>{layer}</th>" for layer in range(n_layers))
    rows = []
    for index in range(n_heads):
        cells = []
        for layer in range(n_layers):
            change = float(effects[layer, index])
            kind = "r" if change < 0 else "b"
            left = found.probabilities[0] * np.exp(change)
            said = f"layer {layer}, head {index}: {change:+.2f}, probability {left:.1%}"
            text = f"{abs(change):.1f}" if layer * n_heads + index in strongest else ""
            cells.append(
                f'<td class="{kind}{level(abs(change) / limit)}" title="{said}">{text}</td>'
            )
        rows.append(f"<tr><th>head {index}</th>{''.join(cells)}</tr>")
    body = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    table = f'<table class="effects">{body}</table>'
    return (
        table + scale("r", "no change", f"{-limit:.1f}") + scale("b", "no change", f"{limit:+.1f}")
    )


def scale(name: str, low: str, high: str) -> str:
    """What the colours of cells mean."""
    cells = "".join(f'<span class="{name}{level(step / 20)}"></span>' for step in range(21))
    return f'<div class="scale">{low}<div>{cells}</div>{high}</div>'


# the page


@dataclass(frozen=True)
class Section:
    """One picture: its title, one sentence that says how to read it, and the code that finds out what it shows."""

    title: str
    sentence: str
    picture: str
    code: str


RUN = """from transformer_lens_go import TransformerBridge

model = TransformerBridge.boot_transformers(
    {model!r}
)
prompt = {prompt!r}
logits, cache = model.run_with_cache(prompt)
probs = logits[0, -1].softmax(-1)  # the next token
best = probs.topk(8).indices
[model.to_single_str_token(int(i)) for i in best]"""

LENS = """streams = cache.accumulated_resid(apply_ln=True)
lens = [model.unembed(s)[0] for s in streams]
[model.to_str_tokens(l.argmax(-1)) for l in lens]"""

RISE = """answer = int(best[0])
[int((l[-1] > l[-1, answer]).sum()) + 1
 for l in lens]"""

ATTENTION = """# layer 1: [batch, head, query, key]
pattern = cache["pattern", 1]
pattern[0, 4, -1]  # of head 4, at the last token"""

ABLATION = """def silence(z, hook):  # [batch, pos, head, d_head]
    z[:, :, 4] = 0

hooks = [("blocks.1.attn.hook_z", silence)]
without = model.run_with_hooks(
    prompt, fwd_hooks=hooks
)
without[0, -1].softmax(-1)[answer] / probs[answer]"""


def sections(found: Findings) -> list[Section]:
    """The pictures in their order."""
    answer = visible(found.candidates[0])
    return [
        Section(
            "What comes next",
            "The tokens that the model finds most likely after the prompt; ␣ stands for the space that many tokens "
            "begin with.",
            candidates_picture(found),
            RUN.format(model=found.model, prompt=found.prompt),
        ),
        Section(
            "When it makes up its mind: the logit lens",
            "Each cell is the token the model would predict at that position if it stopped after that layer, "
            f"stronger where it would be surer, and framed where it is {answer}; read it from bottom to top.",
            lens_picture(found),
            LENS,
        ),
        Section(
            f"The rise of {answer}",
            "The last position only: the places of the five final favourites among all tokens of the vocabulary, "
            "layer by layer, with the likeliest token at the top.",
            rise_picture(found),
            RISE,
        ),
        Section(
            "What the heads look at",
            "Each row of a square is a token, and shows how much attention it pays to itself and to those before it; "
            "the slider starts at the layer whose heads matter most in the upper half.",
            attention_picture(found),
            ATTENTION,
        ),
        Section(
            f"Which heads say {answer}",
            f"Each cell is the change in the log-probability of {answer} when that one head is silenced: red heads "
            "helped the answer, blue heads held it back.",
            ablations_picture(found),
            ABLATION,
        ),
    ]


def write_page(found: Findings, path: Path) -> Path:
    """Write the page, and give its path back."""
    parts = (
        f"<section><h2>{html.escape(part.title)}</h2><p>{html.escape(part.sentence)}</p>"
        f'<div class="pair"><div class="picture">{part.picture}</div>'
        f"<pre><code>{html.escape(part.code)}</code></pre></div></section>"
        for part in sections(found)
    )
    style, script = (
        (HERE / name).read_text("utf-8") for name in ("first_look.css", "first_look.js")
    )
    tokens = "<wbr>".join(f'<span class="token">{token_html(t)}</span>' for t in found.tokens)
    answer = f'<span class="token answer">{token_html(found.candidates[0])}</span>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>A first look into {html.escape(found.model)}</title><style>{style}{scale_css()}</style></head>"
        f"<body><main><h1>A first look into {html.escape(found.model)}</h1>"
        "<p>One prompt, every activation in between. Made by transformer_lens_go.</p>"
        f'<p class="prompt">{tokens} <wbr>{answer}</p>{"".join(parts)}</main><script>{script}</script></body></html>',
        encoding="utf-8",
    )
    return path
