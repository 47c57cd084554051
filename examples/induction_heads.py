"""Induction heads: which heads look at what came after the same token last time?

On random tokens repeated once, an induction head at position t attends to t + 1 - period. The score
of a head is its mean attention there; heads above one half are marked with a star.
"""

import argparse

import numpy as np
from transformer_lens_go import TransformerBridge

PERIOD, BATCH = 25, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .gguf file, a Hugging Face folder or a repository id")
    options = parser.parse_args()
    model = TransformerBridge.boot_transformers(options.model)
    cfg = model.cfg

    half = np.random.default_rng(0).integers(1000, cfg.d_vocab, size=(BATCH, PERIOD))
    start = np.full((BATCH, 1), model.tokenizer.bos_token_id)
    tokens = np.concatenate([start, half, half], axis=1)

    scores = np.zeros((cfg.n_layers, cfg.n_heads))

    def score_heads(pattern, hook):
        # pattern is [batch, head, query, key]; the stripe lies one above the period
        stripe = pattern.diagonal(1 - PERIOD, 2, 3)[..., -PERIOD + 1 :]
        scores[hook.layer()] = stripe.mean(-1).mean(0).tolist()

    losses = model.run_with_hooks(
        tokens,
        return_type="loss",
        loss_per_token=True,
        fwd_hooks=[(lambda name: name.endswith("hook_pattern"), score_heads)],
    )
    first, second = losses[:, :PERIOD].mean().item(), losses[:, PERIOD:].mean().item()
    print(f"loss on random tokens: {first:.2f} the first time, {second:.2f} when they are repeated")

    print("induction score of every head (attention in percent)")
    print("layer " + "".join(f"{'head ' + str(head):>8}" for head in range(cfg.n_heads)))
    for layer, row in enumerate(scores):
        marked = (f"{100 * score:7.0f}" + ("*" if score > 0.5 else " ") for score in row)
        print(f"{layer:5} " + "".join(marked))


if __name__ == "__main__":
    main()
