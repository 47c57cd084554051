"""Direct logit attribution by hand: what did each layer add to the answer's logit?

The final residual stream is the sum of what the embedding and every attention and MLP layer wrote.
The final norm, with its scale held at what it was, and the unembedding are linear, so the logit is
a sum too.
"""

import argparse

from transformer_lens_go import TransformerBridge

PROMPT = "The capital of France is"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .gguf file, a Hugging Face folder or a repository id")
    options = parser.parse_args()
    model = TransformerBridge.boot_transformers(options.model)
    logits, cache = model.run_with_cache(PROMPT)
    answer = int(logits[0, -1].argmax())

    # the direction of the answer before the final norm: its column of W_U, times the norm's weight
    direction = model.W_U[:, answer] * model.ln_final.w
    if model.cfg.normalization_type.startswith("LN"):
        direction = direction - direction.mean()  # LayerNorm takes the mean out
    scale = cache["scale"][0, -1, 0]

    parts, labels = cache.decompose_resid(return_labels=True, pos_slice=-1)
    shares = (parts[:, 0] @ direction) / scale
    bias = getattr(model.ln_final, "b", None)
    constant = 0.0 if bias is None else (bias @ model.W_U[:, answer]).item()

    print(f"logit of {model.to_single_str_token(answer)!r} after {PROMPT!r}")
    print(f"  of the model: {logits[0, -1, answer].item():8.3f}")
    print(f"  sum of parts: {shares.sum().item() + constant:8.3f}")
    for share, label in sorted(zip(shares.tolist(), labels, strict=True), reverse=True)[:10]:
        print(f"{label:>14} {share:8.3f} {'#' * round(max(share, 0) * 2)}")

    # the same, head by head
    heads, names = cache.stack_head_results(return_labels=True, pos_slice=-1)
    by_head = ((heads[:, 0] @ direction) / scale).tolist()
    best = sorted(zip(by_head, names, strict=True), reverse=True)[:5]
    print("best heads:", ", ".join(f"{name} {share:.2f}" for share, name in best))


if __name__ == "__main__":
    main()
