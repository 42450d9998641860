"""Loads what `aura run` wrote, as polars frames."""

import json
from pathlib import Path

import polars as pl

RESULTS = Path(__file__).resolve().parent.parent / "results"


def folder(run: str | Path) -> Path:
    """The folder of a run: a path, or the name of a folder in results/."""
    path = Path(run)
    return path if path.is_dir() else RESULTS / run


def load(run: str | Path) -> pl.DataFrame:
    """The tidy metrics: one row a variant, seed, phase and metric."""
    return pl.read_parquet(folder(run) / "metrics.parquet")


def summary(run: str | Path) -> pl.DataFrame:
    """Mean and 95 % interval over the seeds."""
    rows = json.loads((folder(run) / "summary.json").read_text())
    return pl.DataFrame(rows if isinstance(rows, list) else rows["rows"])


def series(run: str | Path) -> pl.DataFrame:
    """The slices of time of every trial, with its variant and seed."""
    frames = []
    for trial in sorted((folder(run) / "trials").iterdir()):
        if (trial / "DONE").exists():
            manifest = json.loads((trial / "manifest.json").read_text())
            frame = pl.read_parquet(trial / "series.parquet")
            frames.append(frame.with_columns(variant=pl.lit(manifest["variant"]), seed=pl.lit(manifest["seed"])))
    return pl.concat(frames)
