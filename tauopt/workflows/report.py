"""The report of a search: figures and one page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.status import lock_holder

if TYPE_CHECKING:
    from tauopt.report.write_report import SearchReport


def report(
    search: str | None = None, *, output: Path | None = None, to: Path | None = None
) -> SearchReport:
    """Write the report of a search, which may run or have ended, however that was.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        to: folder for page, figures and points; None means `report` in the search's folder.
    Raises:
        UsageError: no such search, or the folder can't be written.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.report.search_record import gather
    from tauopt.report.write_report import write_report
    from tauopt.study.search_setup import LOCK, search_folder
    from tauopt.study.trial_runs import REPORT

    place = output_folder(output).absolute()
    study = find_study(search, output=place)
    folder = search_folder(place, study.study_name)
    is_alive = bool(lock_holder(folder / LOCK))
    facts = gather(study, folder, now=time.time(), driver="runs" if is_alive else "none")
    return write_report(facts, make_folder(to or folder / REPORT, option="--to"))
