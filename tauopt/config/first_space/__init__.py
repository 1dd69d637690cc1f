"""First search space for a network and a dataset, as commented text: `tauopt init`.

space_text       composes the file
section_lines    lines of each section, with a comment per line
commented_lines  layout of lines and comments
guess_task       task classes and signal, guessed from the names of the classes
usable_groups    the dataset's groups that a network can use, and their coordinates
"""

from tauopt.config.first_space.space_text import first_space

__all__ = ["first_space"]
