"""Numbers of bytes as people read them."""

from __future__ import annotations

import math


def readable_bytes(size: float) -> str:
    """Such as "512 B" or "4.0 MiB"."""
    if size < 1024:
        return f"{size:.0f} B"
    unit = min(int(math.log2(size)) // 10, 4)
    return f"{size / 1024**unit:,.1f} {('KiB', 'MiB', 'GiB', 'TiB')[unit - 1]}"
