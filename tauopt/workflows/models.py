"""List the networks, and the settings of one."""

from __future__ import annotations

from tauopt.config.settings.network_catalogue import CatalogueEntry, Knob, catalogue, knobs


def list_models() -> list[CatalogueEntry]:
    """Return all built-in networks, each with its description, inputs and paper."""
    return catalogue()


def list_settings(name: str) -> list[Knob]:
    """Return all settings of a network.

    Raises:
        UsageError: there is no network of this name.
    """
    return knobs(name)
