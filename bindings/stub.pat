# What the generated stub imports for the signatures that are written by hand.
_core.__prefix__:
    from toroni._backpressure import Backpressure
    from typing_extensions import Buffer, Self
    from collections.abc import Iterable
    from typing import Any
