"""Switches that must be set before anything is imported; fixtures live beside the tests that use them."""

import importlib.util
import os
import signal

import pytest

# Tests never reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"

# The live comparison needs the library that it compares with: `make parity`.
collect_ignore = [] if importlib.util.find_spec("transformer_lens") else ["parity"]

# A shell that starts this in the background ignores SIGINT, and then Python raises no KeyboardInterrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat",
        type=int,
        default=1,
        help="how often tests named test_fault_M… run (threads, memory)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of threads and memory, which fail now and then where something is wrong, run as often as --repeat says."""
    times: int = metafunc.config.getoption("--repeat", 1) or 1
    if times > 1 and metafunc.function.__name__.startswith("test_fault_M"):
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(times))
