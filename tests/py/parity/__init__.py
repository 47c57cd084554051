"""Live comparison of transformer_lens_go with transformer_lens: see README.md here."""
