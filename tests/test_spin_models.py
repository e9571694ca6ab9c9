"""The protocol's models: as they are without an error in any state; each variant violates what it must."""

from __future__ import annotations

import re
import shutil

import pytest

import spin_models
from spin_models import SOUND, VARIANTS, Case, Found, check, parse

needs_spin = pytest.mark.skipif(shutil.which("spin") is None, reason="spin searches the models")


@needs_spin
@pytest.mark.parametrize("case", SOUND, ids=str)
def test_the_protocol_is_sound(case: Case) -> None:
    found = check(case)
    assert found.violation == ""
    assert found.complete
    assert found.states > 100_000  # not a model that ends at once


@needs_spin
@pytest.mark.parametrize("case", VARIANTS, ids=str)
def test_a_step_left_out_is_found(case: Case) -> None:
    assert check(case).violation == case.finds


def test_every_variant_of_the_models_is_searched() -> None:
    searched = {(case.model, case.variant.split("=")[0]) for case in VARIANTS}
    for path in spin_models.MODELS.glob("*.pml"):
        text = path.read_text()
        bounds = set(re.findall(r"#ifndef (\w+)\n#define", text))
        for macro in re.findall(r"#ifn?def (\w+)|defined\((\w+)\)", text):
            name = macro[0] or macro[1]
            assert name in bounds or (path.stem, name) in searched, f"{path.name}: {name}"
        assert len(text.splitlines()) <= 300, path


SEARCHED = "State-vector 84 byte, depth reached 122, errors: 0\n  5935 states, stored\npan: elapsed time 4.75 seconds\n"


def test_a_search_that_is_not_complete_is_no_proof() -> None:
    case = Case("stream")
    assert parse(SEARCHED) == Found(violation="", complete=True, states=5935, seconds=4.75)
    assert parse(SEARCHED).is_expected(case)
    for doubt in ("error: max search depth too small\n", "Warning: Search not completed\n", "pan: out of memory\n"):
        assert not parse(doubt + SEARCHED).is_expected(case)
    with pytest.raises(RuntimeError, match="did not end"):
        parse("pan: killed\n")
