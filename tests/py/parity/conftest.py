"""Options and fixtures of the live comparison: which checkpoints, which seed, how much of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# nothing here may reach for the network
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from . import libs, tiny
from .table import Table

SEED = int(os.environ.get("PARITY_SEED") or secrets.randbelow(1_000_000))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="every checkpoint and every hook, not a sample"
    )
    parser.addoption("--table", metavar="FILE", help="write what was compared as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--table", default=None):
        config.pluginmanager.register(Table(Path(config.getoption("--table")), SEED))
    config.addinivalue_line(
        "markers", "parity: live comparison with transformer_lens (needs it installed)"
    )


def pytest_report_header() -> str:
    return f"parity: {libs.SUBJECT} against {libs.REFERENCE}, PARITY_SEED={SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.parity)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.failed:
        report.sections.append(("parity", f"repeat with PARITY_SEED={SEED}"))


@pytest.fixture(scope="session")
def everything(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--all", default=False) or os.environ.get("PARITY_ALL"))


@pytest.fixture(scope="session")
def seed() -> int:
    return SEED


@pytest.fixture(scope="session")
def reference() -> libs.Lib:
    return libs.load(libs.REFERENCE)


@pytest.fixture(scope="session")
def subject() -> libs.Lib:
    return libs.load(libs.SUBJECT)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from threads, and on a busy machine waiting threads cost minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """checkpoint(kind, seed=SEED): the folder of a tiny checkpoint, made once a session."""
    made: dict[tuple[str, int], Path] = {}

    def make(kind: str, seed: int = SEED) -> Path:
        if (kind, seed) not in made:
            folder = tmp_path_factory.mktemp(f"{kind}-{seed}-")
            made[kind, seed] = tiny.save(kind, seed, folder)
        return made[kind, seed]

    return make


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """both(kind): Hugging Face's tokenizer and ours, kept for the session: leave them as you found them."""
    pytest.importorskip("sentencepiece")
    from .tokenizer_pairs import Pairs

    return Pairs(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="session")
def pair(
    checkpoint: Callable[..., Path], reference: libs.Lib, subject: libs.Lib
) -> Callable[..., libs.Pair]:
    """pair(kind): both libraries' models of one checkpoint, kept for the session: leave them as you found them."""
    kept: dict[str, libs.Pair] = {}

    def make(kind: str) -> libs.Pair:
        if kind not in kept:
            folder = checkpoint(kind)
            kept[kind] = libs.Pair(reference.boot(folder), subject.boot(folder))
        return kept[kind]

    return make


@pytest.fixture
def fresh_pair(
    checkpoint: Callable[..., Path], reference: libs.Lib, subject: libs.Lib
) -> Callable[..., libs.Pair]:
    """As `pair`, but newly loaded: for tests that change the model."""

    def make(kind: str, **options: Any) -> libs.Pair:
        folder = checkpoint(kind)
        return libs.Pair(reference.boot(folder, **options), subject.boot(folder, **options))

    return make
