from tauopt.config.load import read_experiment
from tauopt.study.starting_points import first_trials, starting_points
from tauopt.study.warm_start_record import EarlierPoint, EarlierSearch, WarmStart
from tests.search.searches import write_experiment


def read(folder, *overrides):
    return read_experiment(write_experiment(folder, trials=9), overrides=overrides)


def test_the_literature_s_values_of_every_architecture_come_before_all_else(tmp_path):
    file = read_experiment("search_spaces/any.yaml")
    best = {**file.starts()[2], "training.batch_size": 1024}
    warm = WarmStart((EarlierSearch("old"),), (EarlierPoint(best, "old", 4, 88.0),))
    points = [*first_trials(file, count=2, warm=warm)]
    assert [point.params["model.type"] for point in points[:3]] == [*file.types]
    assert [point.origin for point in points] == [
        "literature", "literature", "literature", "earlier search", "sampled", "sampled",
    ]  # fmt: skip
    assert str(points[3]) == "from old t004: 88"


def test_a_search_has_no_more_first_trials_than_trials(tmp_path):
    file = read_experiment("search_spaces/any.yaml", overrides=["search.trials=2"])
    assert [point.params["model.type"] for point in first_trials(file, count=3)] == [
        *file.types[:2]
    ]


def test_literature_s_values_outside_the_ranges_are_moved_and_named(tmp_path):
    (point,) = starting_points(read(tmp_path, "training.batch_size=64"), None, None)
    assert point.params["model.units"] == 16
    assert point.moved == ("model.units 64 -> 16",)
    assert "training.batch_size" not in point.params  # fixed by the file


def test_a_point_of_an_earlier_search_that_is_the_literature_s_is_tried_once(tmp_path):
    file = read(tmp_path)
    same = WarmStart((EarlierSearch("old"),), (EarlierPoint(file.defaults(), "old", 1, 0.5),))
    assert [point.origin for point in starting_points(file, None, same)] == ["literature"]
