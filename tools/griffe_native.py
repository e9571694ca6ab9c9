"""What the API reference has to be told of the native part: its stub, and docstrings that are taken over."""

from __future__ import annotations

from typing import Any

from griffe import Class, Extension


class Native(Extension):
    """Methods that the stub has as overloads only, and classes whose docstring is another one's."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Called with each class when all of its members are known."""
        for name, overloads in cls.overloads.items():
            if name not in cls.members and overloads:  # in a stub no implementation follows them
                cls.set_member(name, overloads[-1])
                overloads[-1].overloads = overloads
        own = cls.members.get("__doc__")
        if own is not None and (other := str(getattr(own, "value", ""))).endswith(".__doc__"):
            cls.docstring = cls.parent[other.removesuffix(".__doc__")].docstring if cls.parent else None
