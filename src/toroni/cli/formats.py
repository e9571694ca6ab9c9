"""How a message is shown: as a line for people, as a JSON object, or as its bytes alone."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from toroni import Message, MessagesLost
from toroni.cli.options import CommandError
from toroni.cli.records import LENGTH

Format = Literal["text", "hex", "json", "raw", "length"]

_MOST_ON_A_TERMINAL = 2000  # bytes of a payload; a megabyte of it shows nothing that anybody would read
_LONGEST_FILE_NAME = 255


class Formatter:
    """Makes bytes for the output of messages and of gaps between them.

    Args:
        format: "text" is topic and payload, what cannot be printed escaped; "hex" the same with hexadecimal bytes;
            "json" an object a line; "raw" payloads, nothing between them; "length" payloads, each behind its length as
            a 32-bit little-endian number.
        timestamps: when the message was received, before it.
        directory: payloads are saved there, and the file shown instead.
        on_terminal: long payloads are cut.
    """

    def __init__(self, format: Format, timestamps: bool, directory: Path | None, on_terminal: bool) -> None:
        self._is_json = format == "json"
        self._timestamps = timestamps
        self._directory = directory
        self._most = _MOST_ON_A_TERMINAL if on_terminal else None
        makers: dict[Format, Callable[[Message], bytes]] = {
            "text": lambda message: self._line(message, self._text),
            "hex": lambda message: self._line(message, lambda data: data.hex(" ")),
            "json": self._json,
            "raw": lambda message: message.data,
            "length": lambda message: LENGTH.pack(len(message.data)) + message.data,
        }
        self.message = makers[format]

    def gap(self, loss: MessagesLost) -> bytes:
        """In place of what was missed; nothing in a format that has no place for it."""
        if not self._is_json:
            return b""
        what = {"bytes": loss.bytes, "messages": loss.messages, "from": loss.from_position, "to": loss.to_position}
        return json.dumps({"lost": what}).encode() + b"\n"

    def _line(self, message: Message, show: Callable[[bytes], str]) -> bytes:
        if self._directory is not None:
            shown = str(_save(message, self._directory))
        else:
            shown = show(message.data[: self._most])
            if self._most is not None and len(message.data) > self._most:
                shown += f" ... ({len(message.data)} bytes)"
        time = _now() + " " if self._timestamps else ""
        return f"{time}{printable(message.topic)} {shown}\n".encode("utf-8", "surrogateescape")

    @staticmethod
    def _text(data: bytes) -> str:
        return printable(data.decode("utf-8", "backslashreplace"))

    def _json(self, message: Message) -> bytes:
        shown: dict[str, object] = {"position": message.position, "topic": message.topic}
        if self._timestamps:
            shown["time"] = _now()
        if self._directory is not None:
            shown["file"] = str(_save(message, self._directory))
        else:
            try:
                shown["data"] = message.data.decode()
            except UnicodeDecodeError:
                shown["base64"] = base64.b64encode(message.data).decode()
        return json.dumps(shown).encode() + b"\n"


def printable(text: str) -> str:
    """With control characters and others that a terminal would not show, or would obey, escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _now() -> str:
    return datetime.datetime.now().isoformat(timespec="microseconds")


def _save(message: Message, directory: Path) -> Path:
    name = f"{message.position:020}-{quote(message.topic, safe='')}"[:_LONGEST_FILE_NAME]
    path = directory / name
    try:
        path.write_bytes(message.data)
    except OSError as error:
        raise CommandError(f"cannot save {path}: {error.strerror}") from None
    return path
