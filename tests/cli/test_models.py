"""The verb `models`: a list of networks, or the settings of one, as tables and as JSON."""

import json

from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.settings.network_catalogue import catalogue, knobs


def run(*words):
    result = CliRunner().invoke(build_app(), ["models", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_networks_are_listed_with_sizes_and_sources():
    table = run()
    for entry in catalogue():
        assert entry.type in table
        assert f"{entry.parameters:,}" in table
    plain = json.loads(run("--json"))
    assert [network["type"] for network in plain] == [entry.type for entry in catalogue()]


def test_settings_of_a_network_are_listed_with_their_allowed_values():
    table, plain = run("rnn"), json.loads(run("rnn", "--json"))
    assert "model.groups.<group>.length" in table
    assert "lstm, gru" in table
    assert [setting["path"] for setting in plain] == [knob.path for knob in knobs("rnn")]
