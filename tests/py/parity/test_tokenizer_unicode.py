"""The tables of Unicode that golens/tokenizer has, against what the package tokenizers answers for every code point."""

from __future__ import annotations

import pytest

from . import make_unicode_tables as tables


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_stored_table_is_that_of_tokenizers(name: str) -> None:
    assert tables.stored(name) == tables.TABLES[name]()
