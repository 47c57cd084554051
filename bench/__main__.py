"""Entry of `python -m bench`."""

from .run import main

main()
