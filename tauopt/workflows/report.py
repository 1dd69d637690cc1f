"""Write the report of a search: figures and an HTML page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import lock_holder
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import make_folder, output_folder

if TYPE_CHECKING:
    from tauopt.report.search_record import DriverState
    from tauopt.report.write_report import SearchReport


def report(
    search: str | None = None, *, output: Path | None = None, to: Path | None = None
) -> SearchReport:
    """Write the report of a search, whether it runs, has ended or was interrupted.

    Args:
        search: its name; None means the latest one.
        output: output folder; None means `tauopt-output`.
        to: folder of page, figures and points; None means `report` in the search's folder.
    Raises:
        UsageError: no such search, or the folder can't be written.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.report.search_record import gather
    from tauopt.report.write_report import write_report
    from tauopt.study.search_setup import LOCK, search_folder
    from tauopt.study.trial_runs import REPORT

    output_path = output_folder(output).absolute()
    study = find_study(search, output=output_path)
    folder = search_folder(output_path, study.study_name)
    driver: DriverState = "runs" if lock_holder(folder / LOCK) else "none"
    record = gather(study, folder, now=time.time(), driver=driver)
    return write_report(record, make_folder(to or folder / REPORT, option="--to"))
