"""The verb `models`: a list of networks, or the settings of one, as tables and as JSON."""

import json

from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.settings.network_catalogue import catalogue, knobs


def told(*words):
    ended = CliRunner().invoke(build_app(), ["models", *words])
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_networks_are_listed_with_sizes_and_sources():
    table = told()
    for entry in catalogue():
        assert entry.type in table
        assert f"{entry.parameters:,}" in table
    plain = json.loads(told("--json"))
    assert [one["type"] for one in plain] == [entry.type for entry in catalogue()]


def test_settings_of_one_are_listed_with_what_they_may_be():
    table, plain = told("rnn"), json.loads(told("rnn", "--json"))
    assert "model.groups.<group>.length" in table
    assert "lstm, gru" in table
    assert [one["path"] for one in plain] == [knob.path for knob in knobs("rnn")]
