"""How the package is built: the PEP 517 backend, the Go toolchain, and the pipeline around gopy."""
