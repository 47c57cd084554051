"""Activation patching: at which layer and position is the answer decided?

Runs a clean prompt and a corrupted one, then the corrupted one again for every layer, with the
residual stream of the clean run put back at one position in each row of a batch. 1 means that this
restores the clean answer wholly, 0 that it does nothing.
"""

import argparse

from transformer_lens_go import TransformerBridge

CLEAN = "When Mary and John went to the store, John gave a drink to"
CORRUPTED = "When Mary and John went to the store, Mary gave a drink to"
RIGHT, WRONG = " Mary", " John"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .gguf file, a Hugging Face folder or a repository id")
    options = parser.parse_args()
    model = TransformerBridge.boot_transformers(options.model)
    right, wrong = model.to_single_token(RIGHT), model.to_single_token(WRONG)
    clean_tokens, corrupted_tokens = model.to_tokens(CLEAN), model.to_tokens(CORRUPTED)

    def difference(logits):
        return logits[:, -1, right] - logits[:, -1, wrong]

    clean_logits, clean_cache = model.run_with_cache(clean_tokens)
    clean, corrupted = difference(clean_logits).item(), difference(model(corrupted_tokens)).item()
    print(f"logit of{RIGHT} minus logit of{WRONG}: clean {clean:.2f}, corrupted {corrupted:.2f}")

    labels = model.to_str_tokens(corrupted_tokens)
    rows = corrupted_tokens[[0] * len(labels)]

    def patch_one_position_a_row(resid, hook):
        for position in range(len(labels)):
            resid[position, position] = clean_cache[hook.name][0, position]

    print("layer " + "".join(f"{label.strip()[:7]:>8}" for label in labels))
    for layer in range(0, model.cfg.n_layers, 3):
        hook = (f"blocks.{layer}.hook_resid_pre", patch_one_position_a_row)
        patched = difference(model.run_with_hooks(rows, fwd_hooks=[hook]))
        restored = ((patched - corrupted) / (clean - corrupted)).tolist()
        print(f"{layer:5} " + "".join(f"{share:8.2f}" for share in restored))


if __name__ == "__main__":
    main()
