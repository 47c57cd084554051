"""The pictures of first_look.py: one HTML page that needs nothing beside itself. Knows nothing of
models.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

INK, MUTED, GRID = "#1f2430", "#667085", "#e6e8ee"
BLUE, ORANGE = "#2457c5", "#d97706"
SERIES = [BLUE, ORANGE, "#0f8a6c", "#9333b5", "#c2334d"]
PALE_TO_BLUE = [[0.0, "#f7f9fe"], [0.15, "#d3e0fa"], [0.45, "#86abec"], [1.0, "#173f94"]]
RED_TO_BLUE = [
    [0.0, "#9f1d38"],
    [0.25, "#e58a97"],
    [0.5, "#fafafa"],
    [0.75, "#8db0ec"],
    [1.0, "#173f94"],
]

STYLE = f"""
body {{ margin: 0; background: #f4f5f8; color: {INK}; line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 40px 20px 80px; }}
h1 {{ font-size: 30px; margin: 0 0 6px; }}
h2 {{ font-size: 19px; margin: 0 0 4px; }}
p {{ margin: 0; color: {MUTED}; }}
.prompt {{ margin: 18px 0 0; font-size: 16px; color: {INK}; }}
.token {{ background: #e3ebfb; border-radius: 4px; padding: 1px 4px; margin: 0 1px;
  font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 14px; white-space: pre; }}
.answer {{ background: #173f94; color: white; }}
section {{ background: white; border: 1px solid {GRID}; border-radius: 10px; margin-top: 24px;
  padding: 22px 24px 12px; }}
section p {{ margin-bottom: 10px; max-width: 78ch; }}
.scroll {{ overflow-x: auto; }}
.scroll > div {{ min-width: 760px; }}
"""


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
    """A token with its leading space and line ends made visible."""
    token = token.replace("\n", "⏎").replace("\t", "⇥")
    return "·" + token[1:] if token.startswith(" ") else token


def places(found: Findings) -> list[str]:
    """Labels of positions, each different from the others."""
    return [f"{visible(token)} <sub>{index}</sub>" for index, token in enumerate(found.tokens)]


def layer_names(count: int) -> list[str]:
    """The embedding, then layers."""
    return ["embedding", *(f"layer {index}" for index in range(count - 1))]


def styled(figure: go.Figure, height: int, **layout: object) -> go.Figure:
    """The look that all pictures share."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        **layout,
    )
    figure.update_xaxes(automargin=True, gridcolor=GRID, zeroline=False)
    figure.update_yaxes(automargin=True, gridcolor=GRID, zeroline=False)
    return figure


def candidates_figure(found: Findings) -> go.Figure:
    """Bars of the likeliest next tokens."""
    share = found.probabilities
    bars = go.Bar(
        x=share,
        y=[f"<b>{html.escape(visible(token))}</b>" for token in found.candidates],
        orientation="h",
        marker_color=[BLUE, *["#a9c1ef"] * (len(share) - 1)],
        text=[f"{value:.1%}" for value in share],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    figure = styled(go.Figure(bars), 34 * len(share) + 50, bargap=0.25)
    figure.update_xaxes(tickformat=".0%", range=[0, min(1.0, float(share.max()) * 1.15)])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def lens_figure(found: Findings) -> go.Figure:
    """What the model would say at each position after each layer."""
    share = found.lens_probabilities
    words = [[visible(token) for token in row] for row in found.lens_tokens]
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=places(found),
            y=layer_names(len(share)),
            text=[[html.escape(word[:9]) for word in row] for row in words],
            texttemplate="%{text}",
            textfont={"size": 11},
            customdata=words,
            colorscale=PALE_TO_BLUE,
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            colorbar={"title": "probability", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{y}, after %{x}<br><b>%{customdata}</b> %{z:.1%}<extra></extra>",
        )
    )
    for layer, row in enumerate(found.lens_tokens):
        for position, token in enumerate(row):
            if token == found.candidates[0]:
                figure.add_shape(
                    type="rect",
                    x0=position - 0.5,
                    x1=position + 0.5,
                    y0=layer - 0.5,
                    y1=layer + 0.5,
                    line={"color": ORANGE, "width": 2.5},
                )
    styled(figure, 22 * len(share) + 90)
    figure.update_xaxes(side="top", showgrid=False, tickangle=-35)
    figure.update_yaxes(showgrid=False)
    return figure


def rise_figure(found: Findings) -> go.Figure:
    """How the likeliest answers grow from layer to layer."""
    figure = go.Figure()
    names = ["emb", *map(str, range(len(found.ranks) - 1))]
    for index, colour in enumerate(SERIES[: len(found.candidates)]):
        figure.add_scatter(
            x=names,
            y=found.ranks[:, index],
            name=visible(found.candidates[index]),
            mode="lines+markers",
            line={"color": colour, "width": 3 if index == 0 else 1.8},
            marker={"size": 6 if index == 0 else 4},
            hovertemplate="place %{y:,}",
        )
    styled(figure, 360, hovermode="x unified", legend={"orientation": "h", "y": 1.12, "x": 0})
    figure.update_yaxes(
        title="place", type="log", autorange="reversed", tickvals=[10**n for n in range(6)]
    )
    figure.update_xaxes(title="after layer", type="category", tickangle=0)
    return figure


def attention_figure(found: Findings) -> go.Figure:
    """The attention patterns of one layer at a time, chosen by a slider."""
    n_layers, n_heads = found.patterns.shape[:2]
    upper = n_layers // 2
    shown = upper + int(np.abs(found.ablations[upper:]).max(axis=1).argmax())
    columns = min(3, n_heads)
    rows = -(-n_heads // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[f"head {head}" for head in range(n_heads)],
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.05,
    )
    labels = places(found)
    for layer in range(n_layers):
        for head in range(n_heads):
            pattern = found.patterns[layer, head].astype(float)
            future = np.triu(np.ones_like(pattern, dtype=bool), 1)
            figure.add_heatmap(
                z=np.where(future, np.nan, np.round(pattern, 4)),
                x=labels,
                y=labels,
                visible=layer == shown,
                coloraxis="coloraxis",
                xgap=1,
                ygap=1,
                hovertemplate="%{y}<br>looks at %{x}<br><b>%{z:.1%}</b><extra></extra>",
                row=head // columns + 1,
                col=head % columns + 1,
            )
    steps = [
        {
            "label": str(layer),
            "method": "restyle",
            "args": ["visible", [index // n_heads == layer for index in range(n_layers * n_heads)]],
        }
        for layer in range(n_layers)
    ]
    styled(
        figure,
        300 * rows + 190,
        coloraxis={
            "colorscale": PALE_TO_BLUE,
            "cmin": 0,
            "cmax": 1,
            "colorbar": {**_thin("attention"), "tickformat": ".0%"},
        },
        sliders=[
            {
                "active": shown,
                "steps": steps,
                "currentvalue": {"prefix": "layer ", "font": {"size": 16, "color": INK}},
                "pad": {"t": 60},
            }
        ],
    )
    figure.update_layout(margin={"t": 30})
    figure.update_xaxes(showgrid=False, tickangle=-60, tickfont={"size": 10})
    figure.update_yaxes(showgrid=False, autorange="reversed", tickfont={"size": 10})
    return figure


def ablations_figure(found: Findings) -> go.Figure:
    """The change of the answer's log-probability without each head."""
    effects = found.ablations
    limit = float(np.abs(effects).max()) or 1.0
    n_layers, n_heads = effects.shape
    figure = go.Figure(
        go.Heatmap(
            z=effects.T,
            x=list(range(n_layers)),
            y=[f"head {head}" for head in range(n_heads)],
            customdata=found.probabilities[0] * np.exp(effects.T),
            colorscale=RED_TO_BLUE,
            zmin=-limit,
            zmax=limit,
            xgap=1,
            ygap=1,
            colorbar=_thin("change of<br>log-probability"),
            hovertemplate="layer %{x}, %{y}<br>%{z:+.2f}, probability %{customdata:.1%}<extra></extra>",
        )
    )
    styled(figure, 30 * n_heads + 110)
    figure.update_xaxes(title="layer", dtick=1, showgrid=False)
    figure.update_yaxes(showgrid=False, autorange="reversed")
    for flat in np.argsort(-np.abs(effects), axis=None)[:5]:
        layer, head = divmod(int(flat), n_heads)
        figure.add_annotation(
            x=layer,
            y=head,
            text=f"{effects[layer, head]:+.1f}",
            showarrow=False,
            font={"size": 10, "color": "white"},
        )
    return figure


def _thin(title: str) -> dict[str, object]:
    return {"title": title, "thickness": 12}


def sections(found: Findings) -> list[tuple[str, str, go.Figure]]:
    """Each picture with its title and one sentence that says how to read it."""
    answer = visible(found.candidates[0])
    return [
        (
            "What comes next",
            "The tokens that the model finds most likely after the prompt; a dot stands for the "
            "space that many tokens begin with.",
            candidates_figure(found),
        ),
        (
            "When it makes up its mind: the logit lens",
            "Each cell is the token the model would predict at that position if it stopped after "
            "that layer, darker where it would be surer, and framed where it is "
            f"{answer}; read it from bottom to top.",
            lens_figure(found),
        ),
        (
            f"The rise of {answer}",
            "The last position only: the places of the five final favourites among all tokens of "
            "the vocabulary, layer by layer, with the likeliest token at the top.",
            rise_figure(found),
        ),
        (
            "What the heads look at",
            "Each row of a square is a token, and shows how much attention it pays to itself and to "
            "those before it; the slider chooses the layer, and starts at the one whose heads matter "
            "most in the upper half.",
            attention_figure(found),
        ),
        (
            f"Which heads say {answer}",
            f"Each cell is the change in the log-probability of {answer} when that one head is "
            "silenced: red heads helped the answer, blue heads held it back.",
            ablations_figure(found),
        ),
    ]


def write_page(found: Findings, path: Path) -> Path:
    """Write the page, and give its path back."""
    parts = []
    for index, (title, sentence, figure) in enumerate(sections(found)):
        picture = to_html(
            figure,
            include_plotlyjs=index == 0,
            full_html=False,
            config={"displayModeBar": False, "responsive": True},
        )
        parts.append(
            f"<section><h2>{html.escape(title)}</h2><p>{html.escape(sentence)}</p>"
            f'<div class="scroll">{picture}</div></section>'
        )
    tokens = "<wbr>".join(
        f'<span class="token">{html.escape(visible(t))}</span>' for t in found.tokens
    )
    answer = f'<span class="token answer">{html.escape(visible(found.candidates[0]))}</span>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>A first look into {html.escape(found.model)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>A first look into {html.escape(found.model)}</h1>"
        "<p>One prompt, every activation in between. Made by transformer_lens_go.</p>"
        f'<p class="prompt">{tokens} {answer}</p>{"".join(parts)}</main></body></html>',
        encoding="utf-8",
    )
    return path
