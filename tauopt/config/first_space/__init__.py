"""A first search space for a network and a dataset: commented text of an experiment file."""

from tauopt.config.first_space.space_text import first_space

__all__ = ["first_space"]
