"""The seam to the compiled engine: the only code of the package that touches `_gopy` and `_glue`."""
