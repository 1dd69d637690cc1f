"""Scores of another network, joined by event number and spectators."""

import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.evaluation.score_table import join, read_scores
from tauopt.metrics.predictions import Predictions


def predictions(events, pt):
    count = len(events)
    return Predictions(
        np.full((count, 2), 0.5), np.arange(count) % 2, np.ones(count),
        classes=("jet", "tau"), signal=("tau",),
        columns={"event_numbers": np.array(events), "pt": np.array(pt, np.float32)},
    )  # fmt: skip


def written(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_are_found_by_event_and_spectator_whatever_their_order(tmp_path):
    rng = np.random.default_rng(2)
    events, pt = rng.integers(0, 300, 1000) + 2**60, rng.uniform(20, 100, 1000)
    score = rng.random(1000)
    order = rng.permutation(1000)[:900]
    lines = [f"{events[i]},{score[i]:.17g},{pt[i]:.6g}" for i in order]
    path = written(tmp_path / "s.csv", "event_number,score,pt", *lines)
    mask, joined = join(read_scores(path), predictions(events, pt), path=path)
    assert sorted(np.flatnonzero(mask)) == sorted(order)
    assert joined == pytest.approx(score[mask])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["event,score", "1,0.5"], "no 'event_number'.*did you mean|event"),
        (["event_number,scores", "1,0.5"], "did you mean 'scores'"),
        (["event_number,score", "1,0.5,3"], r":2: expected 2 values, got 3"),
        (["event_number,score", "1,0.5", "2.5,0.5"], r":3: "),
        (["event_number,score", "1,nan"], r":2: the score is not finite"),
        (["event_number,score"], "holds no score"),
        (["event_number,score", "99,0.5"], "none of its 1 rows"),
        (["event_number,score", "1,0.5"], "several candidates belong to one row.*event 1"),
        (["event_number,score", "2,0.5", "2,0.6"], "several rows belong to one candidate"),
        (["event_number,score,ptt", "2,0.5,30"], "no spectator.*did you mean 'pt'"),
        (["event_number,score,score", "2,0.5,30"], "stands twice"),
    ],
)
def test_a_bad_file_of_scores_is_refused_with_its_line(tmp_path, lines, words):
    path = written(tmp_path / "s.csv", *lines)
    with pytest.raises(DataError, match=words):
        join(read_scores(path), predictions([1, 1, 2], [20, 30, 40]), path=path)
