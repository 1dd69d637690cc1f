"""Classes that a file need not repeat: of samples, and of the task."""

from __future__ import annotations

from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node


def with_sample_classes(dataset: Node) -> Node:
    """Let samples hold all the dataset's classes where none of them says which it holds.

    Where others say theirs, one that does not stays as it is, and is refused: it may be meant to
    hold all, or have been forgotten.
    """
    samples, classes = dataset.entries.get("samples"), dataset.entries.get("classes")
    if samples is None or classes is None or not classes.entries:
        return dataset
    if any("classes" in sample.entries for sample in samples.entries.values()):
        return dataset
    for name, sample in samples.entries.items():
        if isinstance(sample.value, dict):
            dataset = tree.put(dataset, ("samples", name, "classes"), _names(classes))
    return dataset


def with_task_classes(root: Node) -> Node:
    """Let an experiment's task have the classes of its dataset where these are two.

    More of them may be meant to be told apart each, or in groups: then the task says.
    """
    task, classes = root.entries.get("task"), tree.get(root, ("data", "classes"))
    if task is None or not isinstance(task.value, dict) or "classes" in task.entries:
        return root
    if classes is None or len(classes.entries) != 2:
        return root
    return tree.put(root, ("task", "classes"), _names(classes))


def _names(classes: Node) -> Node:
    return Node(tuple(Node(name, classes.place) for name in classes.entries), classes.place)
