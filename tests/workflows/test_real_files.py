"""Every real file is inspected, proposed and prepared: no traceback, no hang, no wrong value.

Values of our readers are compared with those that uproot, h5py and pyarrow read here. As a
script, `python -m tests.workflows.test_real_files FOLDER...` prints the counts over other files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.ntuples.file_formats import open_source
from tauopt.physics.jagged import Jagged
from tauopt.workflows.inspect import inspect_file
from tauopt.workflows.prepare import prepare
from tauopt.workflows.propose_dataset import FILL_IN, choose, propose

REAL = os.environ.get("TAUOPT_REAL_DATA", "")
LIMIT_S = 10
"""Processor time allowed for a file, without the checks of its values."""
SUFFIXES = (".root", ".h5", ".hdf5", ".parquet", ".feather")
ENTRIES = 5000
"""Number of first entries whose values are compared."""


def files_below(*folders):
    paths = (path for folder in folders for path in Path(folder).rglob("*"))
    ntuples = (path for path in paths if path.suffix in SUFFIXES)
    return sorted(ntuples, key=lambda path: (path.stat().st_size, path.name))


class Independent:
    """Reader of the same values by the library of the format alone."""

    def __init__(self, path, table):
        self.path, self.table = path, table

    def __enter__(self):
        if self.path.suffix == ".root":
            import uproot

            self.file = uproot.open(self.path)
            tree = self.file[self.table]
            self.read = lambda name, stop: tree[name].array(entry_stop=stop, library="ak")
        elif self.path.suffix in (".h5", ".hdf5"):
            import h5py

            self.file = h5py.File(self.path)
            self.read = self._from_hdf5
        else:
            import pyarrow.feather
            import pyarrow.parquet

            module = pyarrow.parquet if self.path.suffix == ".parquet" else pyarrow.feather
            table, self.file = module.read_table(self.path), None
            self.read = lambda name, stop: ak.from_arrow(table[name][:stop])
        return self

    def _from_hdf5(self, name, stop):
        head, _, field = name.rpartition(".")
        if name.replace(".", "/") in self.file:
            return self.file[name.replace(".", "/")][:stop]
        return self.file[head.replace(".", "/")][:stop][field]

    def __exit__(self, *error):
        if self.file is not None:
            self.file.close()


def differs(ours, theirs):
    """Return how our values differ from an independent reading; empty if they are equal."""
    if isinstance(theirs, np.ndarray) and theirs.dtype.kind in "biuf" and theirs.ndim == 1:
        theirs = ak.Array(theirs.astype(theirs.dtype.newbyteorder("=")))
    counts, content = None, theirs
    if isinstance(ours, Jagged):
        counts, content, ours = ak.num(theirs), ak.flatten(theirs), (ours.counts, ours.content)
        if not np.array_equal(ours[0], ak.to_numpy(counts)):
            return "other numbers of objects"
        ours = ours[1]
    content = ak.to_numpy(content, allow_missing=True)
    if np.ma.isMaskedArray(content):
        content = content.astype(np.float64).filled(np.nan)
    same = np.array_equal(ours, content, equal_nan=content.dtype.kind == "f")
    return "" if same else f"other values: {ours[:3]} and {content[:3]}"


def check_values(path, table, outcome):
    """Compare the values of all branches that `inspect` can read, and their extremes."""
    names = [branch.name for branch in table.branches if branch.values]
    if not names:
        return
    stop = min(ENTRIES, table.entries)
    ours = next(open_source(path, tree=table.name).iterate(names, step=stop))
    with Independent(path, table.name) as other:
        for name in names:
            problem = differs(ours[name], other.read(name, stop))
            assert not problem, f"{path.name}: {table.name}: {name}: {problem}"
    for branch in table.branches:
        if branch.values and table.sampled == stop and branch.minimum is not None:
            values = ours[branch.name]
            values = values.content if isinstance(values, Jagged) else values
            finite = values[np.isfinite(values)]
            assert (branch.minimum, branch.maximum) == (finite.min(), finite.max())
    outcome["branches compared"] += len(names)


def filled_in(text, table):
    """Complete a proposal: classes by the median of the most varying branch, splits by folds."""
    scalars = [b for b in table.branches if b.values and not b.jagged and not b.constant]
    source = open_source(table.path, tree=table.name)
    values = next(source.iterate([b.name for b in scalars], step=min(ENTRIES, table.entries)))
    most = max(scalars, key=lambda branch: len(np.unique(values[branch.name])))
    median = float(np.nanmedian(values[most.name].astype(np.float64)))
    is_large = f"{most.expression} > {median!r}"
    digits = f"{1e5 / (max(abs(most.minimum), abs(most.maximum)) or 1):.3g}"
    lines = []
    for line in text.splitlines():
        if line.startswith("  background: "):
            line = f"  background: '!({is_large})'"
        elif line.startswith("  signal: "):
            line = f"  signal: '{is_large}'"
        elif line.startswith(f"event_number: {FILL_IN}"):
            line = f"event_number: 'floor({digits} * abs({most.expression}))'"
        elif line.startswith("split:"):
            line = "split: {folds: 3}\nmissing: drop"
        elif line.startswith(("  train: ", "  validation: ", "  test: ")):
            continue
        lines.append(line)
    return "\n".join(lines)


def check_prepared(path, table, folder, outcome):
    """Compare the features of all candidates, as a multiset, with an independent reading."""
    data = open_dataset(folder)
    manifest = data.manifest
    splits = (data.train, data.validation, data.sealed_test(opened_by="a test"))
    if any(manifest.dropped.values()) or table.entries > ENTRIES:
        return
    settings = manifest.settings["candidate"]
    chunks = [chunk for split in splits for chunk in split.chunks]
    by_expression = {branch.expression: branch.name for branch in table.branches}
    with Independent(path, table.name) as other:
        for column, feature in enumerate(manifest.candidate.features):
            expression = settings[feature.name]["expression"] or feature.name
            expected = ak.to_numpy(other.read(by_expression[expression], table.entries))
            prepared = np.concatenate([np.asarray(c.candidate[:, column]) for c in chunks])
            np.testing.assert_array_equal(np.sort(prepared), np.sort(expected.astype(np.float32)))
            outcome["features compared after prepare"] += 1


def examine(path, cache):
    """Inspect, propose and prepare a file as a new user does; return counts, and the error."""
    outcome = Counter()
    try:
        with stopwatch(outcome):
            tables = inspect_file(path)
    except DataError as error:
        return outcome + Counter({"not inspected": 1}), str(error)
    outcome["inspected"] += 1
    outcome["branches shown"] += sum(len(table.branches) for table in tables)
    for table in tables:
        check_values(path, table, outcome)
    try:
        with stopwatch(outcome):
            chosen = choose(tables)
            text = propose(chosen, others=[table for table in tables if table not in chosen])
    except DataError as error:
        return outcome + Counter({"not proposed": 1}), str(error)
    outcome["proposed"] += 1
    file = cache / "dataset.yaml"
    file.write_text(filled_in(text, chosen[0]), encoding="utf-8")
    try:
        with stopwatch(outcome):
            folder = prepare(file, workers=1).folder
    except DataError as error:
        return outcome + Counter({"not prepared": 1}), str(error)
    outcome["prepared"] += 1
    check_prepared(path, chosen[0], folder, outcome)
    return outcome, ""


@contextlib.contextmanager
def stopwatch(outcome):
    start = time.process_time()
    try:
        yield
    finally:
        outcome["seconds"] += time.process_time() - start


def too_long(*_):
    raise TimeoutError(f"over {4 * LIMIT_S} s")


def timed(path, cache):
    """Examine a file, and stop after four times the limit of processor time."""
    os.environ["TAUOPT_CACHE"] = str(cache / "cache")
    os.environ["TAUOPT_OUTPUT"] = str(cache / "out")
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, 4 * LIMIT_S)
    try:
        return examine(path, cache)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
@pytest.mark.parametrize("path", files_below(REAL) if REAL else [], ids=lambda path: path.name)
def test_a_real_file_is_read_correctly_or_refused_with_the_reason(path, tmp_path, monkeypatch):
    for name in ("TAUOPT_CACHE", "TAUOPT_OUTPUT"):
        monkeypatch.setenv(name, "")  # put back afterwards
    outcome, reason = timed(path, tmp_path)
    assert "Traceback" not in reason
    assert outcome["seconds"] < LIMIT_S


def main(folders):
    total, slow = Counter(), []
    for path in files_below(*folders):
        with tempfile.TemporaryDirectory() as cache:
            try:
                outcome, reason = timed(path, Path(cache))
            except Exception as error:  # noqa: BLE001 - the sweep looks for these
                outcome, reason = Counter({"FAILED": 1}), f"{type(error)}: {error}"
        total += outcome + Counter({"files": 1})
        slow += [path.name] * (outcome["seconds"] > LIMIT_S)
        steps = ", ".join(f"{name} {n:.3g}" for name, n in outcome.items())
        print(f"{path.name}: {steps}; {reason[:600]}", flush=True)
    print(dict(total), f"over {LIMIT_S} s: {slow}")


if __name__ == "__main__":
    main(sys.argv[1:])
