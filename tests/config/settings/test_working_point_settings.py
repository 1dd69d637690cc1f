from pathlib import Path

from tauopt.config.load import read_experiment
from tauopt.config.settings.experiment import Experiment
from tauopt.training.trial_identity import identity
from tauopt.training.trial_plan import TrialPlan

GOOD = Path(__file__).parents[2] / "data" / "good_experiment.yaml"
OTHER = ["working_points.points.tight.efficiency=0.45", "working_points.bins=4"]


def test_default_working_points_are_those_of_the_literature():
    points = read_experiment(GOOD).without_ranges.working_points.points
    assert {name: point.efficiency for name, point in points.items()} == {
        "tight": {"all": 0.6},
        "medium": {"all": 0.75},
        "loose": {"all": 0.85},
        "very_loose": {"all": 0.95},
    }


def test_working_points_change_neither_a_study_nor_the_identity_of_a_checkpoint():
    file, other = read_experiment(GOOD), read_experiment(GOOD, overrides=OTHER)
    assert other.without_ranges.working_points != file.without_ranges.working_points
    assert other.digest == file.digest
    plans = (
        TrialPlan(read.base, dataset=Path("d"), folder=Path("t"), name="t", seed=1)
        for read in (file, other)
    )
    assert len({str(identity(plan, dataset_digest="x")) for plan in plans}) == 1


def test_a_single_standard_working_point_can_be_changed():
    points = read_experiment(GOOD, overrides=OTHER).without_ranges.working_points.points
    assert points["tight"].efficiency == {"all": 0.45}
    assert points["medium"].efficiency == {"all": 0.75}


def test_a_record_of_an_experiment_reads_back(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        f"extends: {GOOD}\nworking_points: {{flat_in: [], points: {{loose: {{}}, "
        "mine: {rejection: 100, requires: [loose]}}}"
    )
    experiment = read_experiment(path).without_ranges
    assert Experiment.model_validate(experiment.model_dump(mode="json")) == experiment
    assert experiment.working_points.flat_in == ()
    assert experiment.working_points.points["mine"].rejection == {"all": 100.0}


def test_a_record_without_working_points_has_the_default_ones():
    plain = read_experiment(GOOD).without_ranges.model_dump(mode="json")
    del plain["working_points"]
    assert len(Experiment.model_validate(plain).working_points.points) == 4


def test_a_number_may_be_given_for_each_number_of_prongs(tmp_path):
    path = tmp_path / "x.yaml"
    data = GOOD.with_name("good_dataset.yaml")
    path.write_text(
        f"extends: {GOOD}\ndata: {{extends: {data}, spectators: {{prongs: prongs}}}}\n"
        "working_points: {points: {tight: {efficiency: {1p: 0.6, 3p: 0.45}}}}"
    )
    tight = read_experiment(path).without_ranges.working_points.points["tight"]
    assert tight.efficiency == {"1p": 0.6, "3p": 0.45}
