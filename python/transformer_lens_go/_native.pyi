"""Types of the C extension (python/native)."""

from collections.abc import Callable
from typing import Any, final

def init(api: int, /) -> None:
    """Connect to the engine whose native API table is at this address."""

def capsule(handle: int, /) -> Any:
    """A DLPack capsule over the tensor; the handle stays."""

def take(handle: int, /) -> Any:
    """A DLPack capsule over the tensor; the handle is closed."""

def borrow(
    address: int,
    dtype_code: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    /,
) -> int:
    """A handle over memory that the caller keeps alive; strides count elements."""

@final
class Tensor:
    """The engine's tensor behind a handle, by DLPack and by the buffer protocol."""

    def __new__(cls, handle: int, *, readonly: bool = False, close: bool = False) -> Tensor: ...
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
    def __new__(cls, function: Callable[..., int | None]) -> Dispatcher: ...
    def __call__(self, *args: Any, **kwargs: Any) -> int: ...
