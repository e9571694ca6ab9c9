"""Types that annotations share; nothing of it exists at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class SupportsArrayInterface(Protocol):
    """NumPy arrays and their like, which say that they are buffers only from Python 3.12 on."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


if TYPE_CHECKING:
    AnyBuffer = Buffer | SupportsArrayInterface
