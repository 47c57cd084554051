"""Side by side with transformer_lens: `python -m bench SmolLM2.gguf`."""
