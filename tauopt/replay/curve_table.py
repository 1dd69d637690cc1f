"""Learning curves of many trainings, measured on several validation samples, with the truth.

A table may hold several validation samples of several sizes: then rules are judged on many draws of
the same size, not on one. Metrics are on their natural scale (`influence.natural_scale`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.ranges import Range, range_from_json
from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import write_with
from tauopt.errors import CorruptError
from tauopt.metrics.influence import PairedValue

Floats = NDArray[np.floating[Any]]

_STEPS = 127
"""Influences are kept as whole numbers up to this, relative to the largest."""


class Curve(NamedTuple):
    """What a training reports on one validation sample, and what is true of it.

    Attributes:
        candidates: (report,) candidates seen.
        loss: (report,) validation loss.
        values: (metric, report).
        influences: (metric, report, group).
        truth: (metric, report).
    """

    candidates: Floats
    loss: Floats
    values: Floats
    influences: Floats
    truth: Floats

    def paired_value(self, metric: int, report: int) -> PairedValue:
        """Return a metric at a report with what a paired comparison needs."""
        return PairedValue(
            float(self.values[metric, report]), self.influences[metric, report].astype(np.float32)
        )


@dataclass(frozen=True)
class CurveTable:
    """Learning curves of the trainings of a search space, all with the same number of reports.

    Attributes:
        name: of the search or space.
        space: the search space.
        metrics: their names.
        samples: names of the validation samples.
        points: each point of the space that was trained.
        point, seed: (training,) index of the point, and how often it was trained before.
        candidates: (training, report) candidates seen.
        loss: (sample, training, report) validation loss.
        values: (sample, metric, training, report).
        influences: (sample, metric, training, report, group) grouped influences.
        truth: (metric, training, report) on an independent sample; where there was none, the values
            of the only validation sample.
        has_truth: whether it is from an independent sample.
    """

    name: str
    space: Mapping[str, Range]
    metrics: tuple[str, ...]
    samples: tuple[str, ...]
    points: tuple[Mapping[str, Scalar], ...]
    point: NDArray[np.int64]
    seed: NDArray[np.int64]
    candidates: Floats = field(repr=False)
    loss: Floats = field(repr=False)
    values: Floats = field(repr=False)
    influences: Floats = field(repr=False)
    truth: Floats = field(repr=False)
    has_truth: bool = True

    @property
    def best(self) -> Floats:
        """The largest true value of each metric at any report of any training, (metric,)."""
        return np.asarray(self.truth.max(axis=(1, 2)))

    def repeated(self) -> CurveTable:
        """Return the table of the points that were trained several times."""
        counts = np.bincount(self.point, minlength=len(self.points))
        points = np.flatnonzero(counts > 1)
        chosen = np.flatnonzero(counts[self.point] > 1)
        return replace(
            self,
            points=tuple(self.points[point] for point in points),
            point=np.searchsorted(points, self.point[chosen]),
            seed=self.seed[chosen],
            candidates=self.candidates[chosen],
            loss=self.loss[:, chosen],
            values=self.values[:, :, chosen],
            influences=self.influences[:, :, chosen],
            truth=self.truth[:, chosen],
        )

    def reordered(self, rng: np.random.Generator) -> CurveTable:
        """Return the table with the trainings of each point in another order.

        Which of them is the first one, and which confirm it, is chance: so few trainings give many
        draws of a search.
        """
        seed = self.seed.copy()
        for point in range(len(self.points)):
            chosen = self.point == point
            seed[chosen] = rng.permutation(seed[chosen])
        return replace(self, seed=seed)

    def trainings_of(self, point: int) -> list[int]:
        """Return the trainings of a point, the first one first."""
        chosen = np.flatnonzero(self.point == point)
        return [int(index) for index in chosen[np.argsort(self.seed[chosen])]]

    def curve(self, training: int, *, sample: int) -> Curve:
        """Return the curve of a training on a validation sample."""
        return Curve(
            self.candidates[training],
            self.loss[sample, training],
            self.values[sample, :, training],
            self.influences[sample, :, training],
            self.truth[:, training],
        )

    def save(self, path: Path) -> None:
        """Write the table to an .npz file, compressed, atomically."""
        largest = np.abs(self.influences).max(axis=-1, keepdims=True)
        scale = np.where(largest > 0, largest, 1.0)
        about = {
            "name": self.name,
            "space": {name: asdict(range_) for name, range_ in self.space.items()},
            "metrics": self.metrics,
            "samples": self.samples,
            "points": self.points,
            "has_truth": self.has_truth,
        }
        arrays = {
            "about": np.array(json.dumps(about)),
            "point": self.point.astype(np.int16),
            "seed": self.seed.astype(np.int16),
            "candidates": self.candidates.astype(np.float64),
            "loss": self.loss.astype(np.float32),
            "values": self.values.astype(np.float32),
            "influences": np.round(self.influences / scale * _STEPS).astype(np.int8),
            "influence_scale": scale.astype(np.float32),
            "truth": self.truth.astype(np.float32),
        }
        write_with(
            path,
            lambda temporary: np.savez_compressed(temporary, allow_pickle=False, **arrays),
        )

    @classmethod
    def load(cls, path: Path) -> CurveTable:
        """Read a table that `save` wrote.

        Raises:
            CorruptError: the file is missing, cut short or of another format.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            about = json.loads(str(arrays["about"]))
            influences = arrays["influences"].astype(np.float32) / _STEPS
            return cls(
                name=about["name"],
                space={p: range_from_json(plain) for p, plain in about["space"].items()},
                metrics=tuple(about["metrics"]),
                samples=tuple(about["samples"]),
                points=tuple(about["points"]),
                point=arrays["point"].astype(np.int64),
                seed=arrays["seed"].astype(np.int64),
                candidates=arrays["candidates"],
                loss=arrays["loss"],
                values=arrays["values"],
                influences=influences * arrays["influence_scale"],
                truth=arrays["truth"],
                has_truth=about["has_truth"],
            )
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptError(f"{path} does not hold recorded curves: {error}") from error
