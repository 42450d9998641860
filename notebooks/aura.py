"""Loads the results of `aura run` as polars frames."""

import json
from pathlib import Path

import polars as pl

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"

#: The run that is kept beside the notebooks.
SAMPLE = HERE / "sample"


def folder(run: str | Path) -> Path:
    """Returns the folder of a run, given its path or its name in results/."""
    path = Path(run)
    found = path if path.is_dir() else RESULTS / run
    if not (found / "metrics.parquet").exists():
        raise FileNotFoundError(f"no results in {found}: `aura ls` lists the runs there are")
    return found


def load(run: str | Path) -> pl.DataFrame:
    """Returns the tidy metrics: one row per variant, point, seed, phase and metric."""
    return pl.read_parquet(folder(run) / "metrics.parquet")


def summary(run: str | Path) -> pl.DataFrame:
    """Returns mean and 95 % interval over the seeds; the keys of a sweep are columns."""
    rows = json.loads((folder(run) / "summary.json").read_text())
    return pl.DataFrame([row | row.pop("point") for row in rows], infer_schema_length=None)


def comparison(run: str | Path) -> pl.DataFrame:
    """Returns effects, intervals and verdicts, as `aura compare RUN --format csv` wrote them to
    comparison.csv in the run's folder."""
    path = folder(run) / "comparison.csv"
    if not path.exists():
        raise FileNotFoundError(f"first: aura compare {run} --format csv > {path}")
    return pl.read_csv(path, infer_schema_length=None)


def series(run: str | Path) -> pl.DataFrame:
    """Returns the slices of time of every trial, with its variant, point and seed."""
    frames = []
    for trial in sorted((folder(run) / "trials").iterdir()):
        if (trial / "DONE").exists():
            manifest = json.loads((trial / "manifest.json").read_text())
            point = ", ".join(f"{key}={value}" for key, value in manifest["point"].items())
            names = {"variant": manifest["variant"], "point": point, "seed": manifest["seed"]}
            frame = pl.read_parquet(trial / "series.parquet")
            frames.append(frame.with_columns(**{key: pl.lit(it) for key, it in names.items()}))
    return pl.concat(frames)


def size(text: str) -> int:
    """Returns the bytes of a size as configs write it, such as `64KiB`."""
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
    for unit, factor in units.items():
        if text.endswith(unit):
            return round(float(text.removesuffix(unit)) * factor)
    return int(text.removesuffix("B"))
