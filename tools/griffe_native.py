"""What the API reference has to be told of the native part: its stub, and docstrings that are taken over."""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Extension, Function


class Native(Extension):
    """Methods that the stub has as overloads only, classes whose docstring is another one's, and 0o600."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Called with each class when all of its members are known."""
        for name, overloads in cls.overloads.items():
            if name not in cls.members and overloads:  # in a stub no implementation follows them
                cls.set_member(name, overloads[-1])
                overloads[-1].overloads = overloads
        own = cls.members.get("__doc__")
        if own is not None and (other := str(getattr(own, "value", ""))).endswith(".__doc__"):
            cls.docstring = cls.parent[other.removesuffix(".__doc__")].docstring if cls.parent else None

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Called with each function. A number in another base stays as it is written."""
        for parameter in func.parameters:
            written = re.search(rf"\b{parameter.name}: \w+ = (0[ox]\w+)", func.source)
            if written is not None:
                parameter.default = written[1]
