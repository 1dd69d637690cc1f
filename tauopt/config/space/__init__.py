"""From a tree with ranges to settings without ranges and a search space.

overrides         values from the command line: `--set path=value`
any_architecture  several architectures (`any`), split into one experiment each
range_extraction  takes the ranges out of the tree and validates their values
conditions        resolves the ranges' conditions and orders the ranges
"""
