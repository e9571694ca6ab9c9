"""Sizes as people write them."""

from __future__ import annotations

import re

from toroni._errors import InvalidArgument

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


def parse_size(size: int | str) -> int:
    """Bytes in a size such as 65536, "64 KiB" or "4 MiB".

    Raises:
        InvalidArgument: it is no such size.
        TypeError: it is neither an int nor a str.
    """
    if isinstance(size, bool) or not isinstance(size, (int, str)):
        raise TypeError(f"a size is an int or a str such as '4 MiB'; got {type(size).__name__}")
    if isinstance(size, int):
        value = size
    else:
        match = re.fullmatch(r"\s*(\d+)\s*([KMG]?i?B?)\s*", size, re.IGNORECASE)
        unit = match[2].lower() if match else None
        if match is None or unit not in _UNITS:
            raise InvalidArgument(f"a size is a number with KiB, MiB, GiB or nothing behind it; got {size!r}")
        value = int(match[1]) * _UNITS[unit]
    if not 0 < value <= 1 << 62:
        raise InvalidArgument(f"a size must be from 1 to 2^62 bytes; got {size!r}")
    return value
