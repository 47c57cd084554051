"""Compares what the package offers with what transformer_lens 4.3.0 does, name by name, and writes docs/api_parity.md.

`surface.py` compares names and signatures, `called.py` finds which names a test uses, `report.py` writes it down, with
the reasons of `reasons.toml` for every gap. `make api-parity` runs it.
"""
