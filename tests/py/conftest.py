"""Switches that must be set before anything is imported; fixtures live beside the tests that use them."""

import importlib.util
import os
import signal

# Tests never reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"

# The live comparison needs the library that it compares with: `make parity`.
collect_ignore = [] if importlib.util.find_spec("transformer_lens") else ["parity"]

# A shell that starts this in the background ignores SIGINT, and then Python raises no KeyboardInterrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
