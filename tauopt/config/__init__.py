"""Experiment and dataset files: reading, checks, settings and search space.

load                   reads an experiment or dataset file, or reports all its problems
experiment_file        an experiment file after reading, and points of its search space
any_architecture_file  the same with several architectures in one search space
point_file             reads points by hand for a search
gate_file              reads a promotion gate from a separate file
source                 YAML with places; `extends` and the dataset file merged into one tree
settings               settings classes (pydantic), ranges, JSON Schema
space                  overrides, several architectures, extraction of ranges, the search space
checks                 checks across parts of a file
first_space            text of a first search space for `tauopt init`
"""
