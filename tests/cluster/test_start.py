"""Ray keeps to itself: stdout is for results."""

from tauopt.cluster import start


def test_what_becomes_of_a_node_is_not_printed_between_results(capsys, monkeypatch):
    from ray._private.worker import print_to_stdstream

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    told = {"ip": "127.0.0.3", "pid": "raylet", "lines": ["The node has been marked dead"]}
    with start.environment({}), start.running(cpus=1, variables={}):
        print_to_stdstream({**told, "is_err": False, "job": None}, ignore_prefix=False)
        print_to_stdstream({**told, "is_err": True, "job": None}, ignore_prefix=False)
    assert capsys.readouterr() == ("", "")
