"""What a check of `toroni doctor` found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Result = Literal["OK", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One result, in words.

    Attributes:
        result: "warning" is what does no harm yet, or not to everybody.
        text: what was found, a phrase.
        remedy: what to do about it; empty where there is nothing to do.
    """

    result: Result
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    """As it should be."""
    return Finding("OK", text)


def warning(text: str, remedy: str) -> Finding:
    """Works, but not always or not for everybody."""
    return Finding("warning", text, remedy)


def problem(text: str, remedy: str) -> Finding:
    """Does not work."""
    return Finding("problem", text, remedy)


def problem_of(error: Exception) -> Finding:
    """An error of the library, which says what is wrong and, behind a semicolon, what to do."""
    text, _, remedy = str(error).partition("; ")
    return problem(text, remedy or "look at the other warnings and problems, of which this may come")
