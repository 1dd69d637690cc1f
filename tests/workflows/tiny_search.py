"""A real search of a tiny network on its own ntuples, trained in this process or by Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from tauopt.workflows.search import search
from tests import ntuples_factory
from tests.search.without_ray import without_ray
from tests.undrawn import without_figures

EXPERIMENT = {
    "name": "toy",
    "data": "data.yaml",
    "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
    "model": {"type": "dense", "layers": 1, "units": {"choice": [2, 8]}},
    "training": {"batch_size": 64, "epochs": 2},
    "objective": {"maximize": "auc"},
    "search": {
        "trials": 2,
        "pruner": {"type": "none"},
        "resources": {"cpus": 1, "concurrent": 2},
    },
}


@contextmanager
def searched(
    home: Path, *, candidates: int, experiment: dict[str, Any], with_ray: bool = False
) -> Iterator[Path]:
    """Yield a folder with a finished search in `out`, without services, and its own cache."""
    ntuples_factory.write(home / "ntuples" / "a.root", ntuples_factory.columns(candidates))
    settings = ntuples_factory.dataset_settings("ntuples")
    (home / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (home / "toy.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        patch.setenv("TAUOPT_CACHE", str(home / "cache"))
        with nullcontext() if with_ray else without_ray(), without_figures():
            search(home / "toy.yaml", output=home / "out")
            yield home
