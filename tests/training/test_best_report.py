import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.training.best_report import best_report, monitored

OBJECTIVE = parse_objective("rejection@0.75")
BAND = "rejection@[0.6, 0.9]"


def reports(*rows):
    return [{"rejection@0.75": v, "val_loss": loss, BAND: band} for v, loss, band in rows]


COURSE = reports((40.0, 0.30, 30.0), (44.0, 0.20, 41.0), (58.0, 0.25, 40.0), (45.0, 0.21, 42.0))


@pytest.mark.parametrize(("monitor", "index"), [("loss", 1), ("band", 3), ("objective", 2)])
def test_the_monitored_quantity_chooses_the_report(monitor, index):
    assert best_report(COURSE, monitor, OBJECTIVE) == index


@pytest.mark.parametrize("monitor", ["loss", "band", "objective"])
def test_of_equal_reports_the_lowest_loss_then_the_first_is_best(monitor):
    equal = reports((40.0, 0.3, 30.0), (40.0, 0.2, 30.0), (40.0, 0.2, 30.0))
    assert best_report(equal, monitor, OBJECTIVE) == 1


@pytest.mark.parametrize("monitor", ["loss", "band", "objective"])
def test_a_report_that_breaks_a_constraint_is_behind_all_that_break_none(monitor):
    course = [dict(report) for report in COURSE]
    for index in (1, 2, 3):
        course[index]["broken_constraints"] = 1
    assert best_report(course, monitor, OBJECTIVE) == 0
    course[0]["broken_constraints"] = 2
    assert best_report(course, monitor, OBJECTIVE) == best_report(COURSE, monitor, OBJECTIVE)


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ("auc", "rejection@[0.6, 0.9]"),
        ("rejection@0.9/3p", "rejection@[0.6, 0.9]/3p"),
        ("rejection@[0.5, 0.7]/1p", "rejection@[0.5, 0.7]/1p"),
    ],
)
def test_the_band_is_that_of_the_objective_or_of_its_prongs(objective, name):
    assert monitored("band", parse_objective(objective)) == name
