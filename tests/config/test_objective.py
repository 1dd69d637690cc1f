import pytest

from tauopt.config.objective import ObjectiveName, parse_objective


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rejection@0.75", ObjectiveName("rejection", 0.75)),
        ("rejection@0.6/1p", ObjectiveName("rejection", 0.6, 1)),
        ("auc", ObjectiveName("auc")),
        ("auc/3p", ObjectiveName("auc", None, 3)),
        ("accuracy", ObjectiveName("accuracy")),
    ],
)
def test_a_name_is_parsed_and_written_back(text, name):
    assert parse_objective(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rejecton@0.75", "did you mean 'rejection'"),
        ("rejection", "needs a signal efficiency"),
        ("auc@0.5", "takes no signal efficiency"),
        ("rejection@75", "between 0 and 1"),
        ("rejection@0", "between 0 and 1"),
        ("rejection@1.0", "between 0 and 1"),
        ("rejection@nan", "between 0 and 1"),
        ("auc/p", "no number of prongs"),
        ("auc/0p", "no number of prongs"),
        ("", "unknown metric"),
        ("auc\n", "unknown metric|prongs"),
    ],
)
def test_what_is_no_objective_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_objective(text)
