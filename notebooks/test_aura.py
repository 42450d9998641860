"""Tests of the helper module, on the sample: `python -m unittest discover notebooks`."""

import tempfile
import unittest
from pathlib import Path

import polars as pl

import aura


class Loading(unittest.TestCase):
    def test_every_trial_has_each_metric_of_a_phase_once(self):
        metrics = aura.load(aura.SAMPLE)
        ratios = metrics.filter(pl.col("metric") == "cache.hit_ratio", pl.col("phase") == "run")
        # Two variants at three sizes under four seeds.
        self.assertEqual(ratios.height, 24)
        self.assertEqual(ratios.select("variant", "point", "seed").unique().height, 24)

    def test_a_summary_is_the_mean_of_the_metrics(self):
        key = "engine.cache.size"
        where = (pl.col("metric") == "cache.hit_ratio") & (pl.col("phase") == "run")
        row = aura.summary(aura.SAMPLE).filter(
            where, pl.col("variant") == "sieve", pl.col(key) == "1MiB"
        )
        values = aura.load(aura.SAMPLE).filter(
            where, pl.col("variant") == "sieve", pl.col(key) == "1MiB"
        )["value"]
        self.assertEqual(row.height, 1)
        self.assertAlmostEqual(row[0, "mean"], values.mean())
        self.assertEqual(row[0, "n"], 4)

    def test_a_comparison_has_one_row_per_primary_metric_and_point(self):
        rows = aura.comparison(aura.SAMPLE).filter(pl.col("primary"))
        self.assertEqual(rows["point"].n_unique(), rows.height)
        self.assertTrue((rows["low"] <= rows["effect"]).all())
        self.assertTrue((rows["effect"] <= rows["high"]).all())

    def test_series_are_of_finished_trials_and_in_order(self):
        slices = aura.series(aura.SAMPLE)
        self.assertEqual(slices.select("variant", "point").unique().height, 6)
        for _, part in slices.group_by("variant", "point", "phase"):
            self.assertTrue(part["at_nanos"].is_sorted())

    def test_what_is_not_there_is_named(self):
        with tempfile.TemporaryDirectory() as empty:
            with self.assertRaisesRegex(FileNotFoundError, Path(empty).name):
                aura.load(empty)

    def test_sizes_are_bytes(self):
        sizes = [aura.size(text) for text in ("64KiB", "1.5MiB", "512", "7B")]
        self.assertEqual(sizes, [65_536, 1_572_864, 512, 7])


if __name__ == "__main__":
    unittest.main()
