"""Loads the results of `aura run` as polars frames."""

import json
from pathlib import Path

import polars as pl

RESULTS = Path(__file__).resolve().parent.parent / "results"


def folder(run: str | Path) -> Path:
    """Returns the folder of a run, given its path or its name in results/."""
    path = Path(run)
    return path if path.is_dir() else RESULTS / run


def load(run: str | Path) -> pl.DataFrame:
    """Returns the tidy metrics: one row per variant, seed, phase and metric."""
    return pl.read_parquet(folder(run) / "metrics.parquet")


def summary(run: str | Path) -> pl.DataFrame:
    """Returns mean and 95 % interval over the seeds."""
    rows = json.loads((folder(run) / "summary.json").read_text())
    return pl.DataFrame(rows if isinstance(rows, list) else rows["rows"])


def series(run: str | Path) -> pl.DataFrame:
    """Returns the slices of time of every trial, with its variant and seed."""
    frames = []
    for trial in sorted((folder(run) / "trials").iterdir()):
        if (trial / "DONE").exists():
            manifest = json.loads((trial / "manifest.json").read_text())
            frame = pl.read_parquet(trial / "series.parquet")
            variant, seed = pl.lit(manifest["variant"]), pl.lit(manifest["seed"])
            frames.append(frame.with_columns(variant=variant, seed=seed))
    return pl.concat(frames)
