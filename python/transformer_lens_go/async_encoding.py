"""The methods of `Tokenizer` that wait without holding up an event loop. A base of `core_tokenizer.Tokenizer`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .encoding import Encoding


class AsyncEncoding:
    """Encoding and decoding in another thread; the engine lets go of the interpreter meanwhile."""

    async def async_encode(
        self,
        sequence: Any,
        pair: Any = None,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """As `encode`."""
        return await self._elsewhere("encode", sequence, pair, is_pretokenized, add_special_tokens)

    async def async_encode_batch(
        self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """As `encode_batch`."""
        return await self._elsewhere("encode_batch", input, is_pretokenized, add_special_tokens)

    async def async_encode_batch_fast(
        self, input: Sequence[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """As `encode_batch_fast`."""
        return await self._elsewhere(
            "encode_batch_fast", input, is_pretokenized, add_special_tokens
        )

    async def async_decode_batch(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = True
    ) -> list[str]:
        """As `decode_batch`."""
        return await self._elsewhere("decode_batch", sequences, skip_special_tokens)

    async def _elsewhere(self, method: str, *args: Any) -> Any:
        return await asyncio.to_thread(getattr(self, method), *args)
