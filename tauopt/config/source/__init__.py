"""From YAML text to one tree of nodes with places, and back.

yaml_source  safe reading of YAML, with the place of every key and value
tree         operations on trees: look up, replace, merge, remove
compose      `extends`, the dataset file in `data`, absolute paths, class defaults
yaml_text    writing of YAML
"""
