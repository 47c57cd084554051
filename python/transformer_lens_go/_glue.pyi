"""Types of the C extension (python/glue)."""

from collections.abc import Callable
from typing import Any, Literal, Self, final

def init(api: int, /) -> None:
    """Connect to the engine whose API table is at this address."""

def capsule(handle: int | Owned, /) -> Any:
    """A DLPack capsule over the tensor; the handle stays."""

def take(handle: int, /) -> Any:
    """A DLPack capsule over the tensor; the handle is closed."""

def borrow(
    owner: object,
    address: int,
    dtype_code: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    /,
) -> int:
    """A handle over memory that lasts as long as `owner`, which the engine holds while it uses it.

    Strides count elements.
    """

def call(function: Callable[..., Any], /, *arguments: Any) -> Any:
    """function(*arguments) of the engine; its "KIND: message" errors come out as exceptions of that kind."""

def lend(
    owner: object,
    address: int,
    dtype_code: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    function: Callable[..., Any],
    /,
    *arguments: Any,
) -> Any:
    """function(*arguments, handle) of the engine, with a handle over memory that ends with the call."""

def whole(do: Callable[..., Any], undo: Callable[..., Any], /, *arguments: Any) -> Any:
    """do(*arguments); where it raises, undo(*arguments), until that has run to its end once."""

def complete(function: Callable[..., Any], /, *arguments: Any) -> None:
    """function(*arguments), until it has run to its end once; then what was raised on the way."""

def close_runs() -> int:
    """Let no call that lasts begin any more; those that are running end soon. How many they are."""

threads: set[int]
"""The threads that have begun a call that lasts."""

class Owned:
    """What make(*arguments) of the engine gave, which close ends with the block or the last reference."""

    def __new__(
        cls, close: Callable[..., Any] | None, make: Callable[..., Any], /, *arguments: Any
    ) -> Self: ...
    @property
    def id(self) -> int: ...
    @property
    def told(self) -> str | None:
        """What the engine said of it, behind the number that the text of make began with."""

    def close(self) -> None:
        """End it now; nothing happens when it has ended."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> Literal[False]: ...

class Lent:
    """Handles over memory that the engine is lent until close()."""

    def lend(
        self,
        owner: object,
        address: int,
        dtype_code: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        /,
    ) -> int:
        """As `borrow`: a handle, good until close()."""

    def close(self) -> None:
        """End every handle."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> Literal[False]: ...

class Change:
    """What begins and ends with a with block, whatever signals come; _end and _undo are idempotent."""

    def _begin(self) -> Any: ...
    def _end(self) -> None: ...
    def _undo(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, *_: object) -> Literal[False]: ...

@final
class Tensor:
    """The engine's tensor behind a handle, by DLPack and by the buffer protocol."""

    def __new__(
        cls, handle: int | Owned, *, readonly: bool = False, close: bool = False
    ) -> Tensor: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def readonly(self) -> bool: ...
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Dispatcher:
    """Calls a function for the engine and never raises: see exc."""

    exc: BaseException | None
    def __new__(cls, function: Callable[..., int | None] | None) -> Dispatcher: ...
    def __call__(self, *args: Any, **kwargs: Any) -> int: ...
