"""The README's figures: the best network of the comparison against the published baseline.

    python -m tests.comparison.figures FOLDER

FOLDER is that of `tests.comparison.table`, which trains and judges the networks first.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from tests.comparison.compare import best_trial
from tests.comparison.table import BASELINE, NETWORKS, tauopt

HERE = Path(__file__).with_name("figures")
SHOWN = ("roc_1p", "efficiency_pt_1p", "confusion_by_true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    trials = [best_trial(folder / "searches" / name) for name in NETWORKS]
    best = max(trials, key=lambda trial: json.loads((trial / "result.json").read_text())["value"])
    drawn = folder / "readme"
    tauopt(
        "evaluate", best, "--reference", folder / "runs" / BASELINE, "--output", folder,
        "--to", drawn, "--bins", "pt,mu", "--importance", 0,
    )  # fmt: skip
    HERE.mkdir(exist_ok=True)
    for name in SHOWN:
        shutil.copy(drawn / f"{name}.png", HERE)


if __name__ == "__main__":
    main()
