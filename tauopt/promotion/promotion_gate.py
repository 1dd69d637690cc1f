"""What a promotion gate asks of a model by itself: floors, limits, data; with number and error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tauopt.config.settings.gate import Gate
from tauopt.config.settings.objective import CostName, parse_cost, parse_objective
from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.promotion.gate_check import GateCheck

if TYPE_CHECKING:
    from tauopt.promotion.champion import Challenge

LETTERS = 8
"""Of a digest that name it, at least."""


def costs_of(gate: Gate) -> tuple[CostName, ...]:
    """Return the costs that a gate limits."""
    return tuple(parse_cost(name) for name in gate.limits)


def floors(gate: Gate, test: Predictions) -> Iterator[GateCheck]:
    """Check the least values: the lower end of each 68 % interval must reach its floor.

    Args:
        gate: of the experiment, or of a file of its own.
        test: of the model on the test split.
    """
    for name, floor in gate.floors.items():
        asked = f"lower end at least {floor:g}"
        try:
            found = measure(parse_objective(name), test)
        except DataError as error:
            yield GateCheck(f"floor of {name}", f"can't be measured: {error}", asked, passed=False)
            continue
        passed, triple = bool(found.low >= floor), tuple(found.triple)
        yield GateCheck(f"floor of {name}", str(found), asked, passed, value=triple, limit=floor)


def limits(gate: Gate, costs: Mapping[str, Estimate]) -> Iterator[GateCheck]:
    """Check the largest values of what running the model costs.

    Args:
        gate: likewise.
        costs: by name, of all that `costs_of` returns.
    """
    for name, limit in gate.limits.items():
        found = costs[name]
        asked, passed = f"at most {limit:,g}", bool(found.value <= limit)
        triple = tuple(found.triple)
        words = str(found) if found.low < found.high else f"{found.value:,.0f}"
        yield GateCheck(f"limit of {name}", words, asked, passed, value=triple, limit=limit)


def stated_data(gate: Gate, *, name: str, digest: str, found: Challenge) -> Iterator[GateCheck]:
    """Check that a model was judged on the dataset that the gate states, and on the champion's.

    Args:
        gate: likewise.
        name, digest: of the prepared dataset that the model was judged on.
        found: the comparison with the champion.
    """
    here = {"name": name, "digest": digest}
    if gate.dataset:
        passed = gate.dataset == name or _begins(digest, gate.dataset)
        yield GateCheck("dataset", _told(here), gate.dataset, passed)
    if gate.same_data != "any" and found.version:
        asked = f"the {gate.same_data} of the champion's, {_told(found.data)}"
        passed = here[gate.same_data] == found.data.get(gate.same_data)
        yield GateCheck("the champion's dataset", _told(here), asked, passed)


def _begins(digest: str, letters: str) -> bool:
    return len(letters) >= LETTERS and digest.startswith(letters)


def _told(data: Mapping[str, str]) -> str:
    return f"{data['name']} ({data['digest'][:16]})" if data else "which no record names"
