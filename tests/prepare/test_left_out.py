"""Candidates that were left out, as counts and as lines."""

import numpy as np

from tauopt.prepare.left_out import OTHER_CLASS, Causes, by_class, from_plain, lines, lost, plain


def test_causes_are_counted_by_class_and_come_back_from_plain():
    labels = np.array([0, 1, -1, 1, 1])
    cuts = {"pt": np.array([1, 1, 1, 0, 1], bool), "eta": np.array([0, 0, 0, 1, 0], bool)}
    found = by_class(cuts, labels, ("jet", "tau"))
    assert found == Causes({("pt", ""): 1, ("pt", "jet"): 1, ("pt", "tau"): 2, ("eta", "tau"): 1})
    assert from_plain(plain(found)) == found
    after = labels[labels >= 0][1:]
    assert lost("NaN", labels[labels >= 0], after, classes=("jet", "tau")) == {("NaN", "jet"): 1}


def test_a_line_names_the_largest_causes_of_a_sample_first():
    causes = {
        "in no split": {"a": 40, "b": 50, "c": 1, "d": 3, "e": 4},
        "cuts.pt: pt > 20000": {"": 2, "jet": 900},
        OTHER_CLASS: {"tau": 15},
        "cuts.long: " + 40 * "a + ": {"jet": 30},
        "missing feature": {"jet": 1},
        "negative weight": {"jet": 1, "tau": 1},
    }
    assert list(lines({"empty": {}, "dijet": causes})) == [
        "dijet, 1048 in all: 902 by cuts.pt: pt > 20000 (900 jet, 2 of no class); "
        "98 in no split (50 b, 40 a, 4 e, 4 of 2 more classes); "
        f"30 jet by cuts.long: {(40 * 'a + ')[:56]}...; "
        "15 tau not in samples.dijet.classes; 3 by 2 more"
    ]
