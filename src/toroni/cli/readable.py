"""Sizes and times as people read them."""

from __future__ import annotations

import math


def readable_bytes(size: float) -> str:
    """Such as "512 B" or "4.0 MiB"."""
    if size < 1024:
        return f"{size:.0f} B"
    unit = min(int(math.log2(size)) // 10, 4)
    return f"{size / 1024**unit:,.1f} {('KiB', 'MiB', 'GiB', 'TiB')[unit - 1]}"


def readable_age(seconds: float) -> str:
    """Such as "12 s" or "3.5 h"."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"{seconds:.0f} s"
