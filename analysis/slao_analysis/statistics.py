"""Whether a difference is real: settings compared over the same (order, seed), with what the numbers can carry.

A *pair* is an order and a seed for which both settings have a result; all arithmetic is on the differences of pairs.

- Interval over runs: the bootstrap. Orders and seeds are drawn again, each by itself, and a pair weighs as often as
  both its order and its seed were drawn (two-way: runs that share an order or a seed are not independent). The
  percentiles are those of Hesterberg's expanded interval (The American Statistician 69, 2015), which widens the
  percentile interval, too short for few pairs, by as much as Student's t does.
- Interval over test examples: the examples of each task are drawn again, the same for both settings and in all
  pairs. It tells what another test set could have shown with these same trained models. For AA, whose final scores
  by example the file holds.
- Tests: sign flips of the differences (two-sided, mean), all 2^n up to 16 pairs, else 50,000 by chance, and Wilcoxon's
  signed ranks; Holm's correction over all comparisons of one benchmark and metric.
- Effect sizes: mean / standard deviation of the differences (Cohen's d_z), and the rank-biserial correlation.
- Smallest difference: what a paired t-test at 5 % with this many pairs of this spread would have found in 80 of 100
  repetitions.

Chance is seeded: the same file gives the same numbers. Everything here is in fractions; sentences are in percent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

from . import labels
from .results import Results, ResultsError

LEVEL = 0.95
ALPHA = 1 - LEVEL
POWER = 0.8
RESAMPLES = 10_000
EXACT_PAIRS = 16
FLIPS = 50_000
#: Fewer pairs than this cannot give p < 0.05 in a two-sided sign-flip test: 2 / 2^n.
FEWEST_PAIRS = 6
#: Pairs whose example scores are read; more would not change the interval, and take long.
MOST_EXAMPLE_PAIRS = 20

Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


# --- intervals ---


def tail_probability(n: int, level: float = LEVEL) -> float:
    """The percentile at which the expanded interval of n values is cut: alpha/2 made smaller, as t is wider than z."""
    return float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.5 + level / 2, n - 1)))


@lru_cache(maxsize=8)
def _draws(levels: int, resamples: int, seed: int, stream: int) -> np.ndarray:
    """How often each of so many levels is drawn: resamples x levels. Comparisons of as many runs share them."""
    random = np.random.default_rng([seed, stream])
    return random.multinomial(levels, np.full(levels, 1 / levels), size=resamples).astype(float)


def _means_by_order_and_seed(values: np.ndarray, order: np.ndarray, seed_of: np.ndarray, resamples: int,
                             seed: int) -> np.ndarray:
    """Means of resamples that draw orders and seeds, by their codes; fewer where a sweep lacks all cells drawn."""
    shape = int(order.max()) + 1, int(seed_of.max()) + 1
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (order, seed_of), values)
    np.add.at(counts, (order, seed_of), 1)
    orders, seeds = (_draws(levels, resamples, seed, stream) for stream, levels in enumerate(shape))
    weight = ((orders @ counts) * seeds).sum(axis=1)
    return ((orders @ sums) * seeds).sum(axis=1)[weight > 0] / weight[weight > 0]


def run_interval(
    values: np.ndarray, orders: Sequence[object], seeds: Sequence[object], level: float = LEVEL,
    resamples: int = RESAMPLES, seed: int = 0,
) -> Interval:
    """Bootstrap interval of the mean of values that stand at (order, seed); unknown below three values: two have no
    interval worth the name."""
    n = len(values)
    if n < 3:
        return UNKNOWN
    values = np.asarray(values, dtype=float)
    order_codes, seed_codes = pd.factorize(np.asarray(orders))[0], pd.factorize(np.asarray(seeds))[0]
    if order_codes.max() > 0 and seed_codes.max() > 0:
        means = _means_by_order_and_seed(values, order_codes, seed_codes, resamples, seed)
    else:
        means = _draws(n, resamples, seed, 0) @ values / n
    tail = tail_probability(n, level)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def example_interval(
    differences: Sequence[np.ndarray], level: float = LEVEL, resamples: int = 2000, seed: int = 0,
) -> Interval:
    """Bootstrap interval of the mean over tasks of the mean over examples; one array of differences per task."""
    known = [np.asarray(task, dtype=float) for task in differences if len(task)]
    if not known or len(known) < len(differences):
        return UNKNOWN
    random = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for task in known:
        # Drawing examples is drawing how often each distinct difference occurs: the same, and fast.
        distinct, counts = np.unique(np.round(task, 12), return_counts=True)
        drawn = random.multinomial(len(task), counts / len(task), size=resamples)
        total += drawn @ distinct / len(task)
    tail = (1 - level) / 2
    low, high = np.quantile(total / len(known), [tail, 1 - tail])
    return float(low), float(high)


# --- tests ---


@lru_cache(maxsize=4)
def _signs(n: int, seed: int) -> np.ndarray:
    """Signs that n differences may have, a row each: up to EXACT_PAIRS all of them but for mirror images (the last is
    +1), else FLIPS drawn by chance. Comparisons of as many pairs share them."""
    if n <= EXACT_PAIRS:
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
        return (1 - 2 * bits).astype(np.int8)
    drawn = np.frombuffer(np.random.default_rng(seed).bytes(FLIPS * -(-n // 8)), dtype=np.uint8)
    return (1 - 2 * np.unpackbits(drawn.reshape(FLIPS, -1), axis=1, count=n).astype(np.int8)).astype(np.int8)


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float:
    """Two-sided p of the paired permutation test on the mean: exact up to EXACT_PAIRS pairs, else from FLIPS random
    flips, with a standard error of sqrt(p (1 - p) / FLIPS): 0.001 at p = 0.05."""
    d = np.asarray(differences, dtype=float)
    n = len(d)
    if n == 0:
        return math.nan
    close = 1e-12 * max(1.0, float(np.abs(d).sum()))
    signs, block = _signs(n, seed), max(1, 2**17 // n)
    hits = sum(int(np.sum(np.abs(signs[start:start + block].astype(float) @ d) >= abs(d.sum()) - close))
               for start in range(0, len(signs), block))
    return hits / len(signs) if n <= EXACT_PAIRS else (hits + 1) / (FLIPS + 1)


def _nonzero(differences: np.ndarray) -> np.ndarray:
    """Those that are not 0 but for rounding, which ranks are made of."""
    d = np.round(np.asarray(differences, dtype=float), 12)
    return d[d != 0]


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, which leaves out differences of 0; 1 where no more than one is left."""
    if len(differences) == 0:
        return math.nan
    d = _nonzero(differences)
    return float(stats.wilcoxon(d).pvalue) if len(d) > 1 else 1.0


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected by Holm's step-down rule; NaN stays and does not count."""
    values = np.asarray(p, dtype=float)
    corrected = np.full(len(values), math.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1) if len(order) else scaled
    return corrected


# --- sizes ---


def cohens_dz(differences: np.ndarray) -> float:
    """Mean difference in units of the differences' standard deviation."""
    d = np.asarray(differences, dtype=float)
    deviation = d.std(ddof=1) if len(d) > 1 else math.nan
    return float(d.mean() / deviation) if deviation > 1e-12 else math.nan


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation: 1 where every pair favours the first, -1 the second."""
    d = _nonzero(differences)
    if len(d) == 0:
        return math.nan
    ranks = stats.rankdata(np.abs(d))
    return float((ranks[d > 0].sum() - ranks[d < 0].sum()) / ranks.sum())


def smallest_difference(differences: np.ndarray, alpha: float = ALPHA, power: float = POWER) -> float:
    """The mean difference that a paired t-test would have found with this power, given the pairs' spread."""
    d = np.asarray(differences, dtype=float)
    n = len(d)
    if n < 2:
        return math.nan
    return _noncentrality(n - 1, alpha, power) * float(d.std(ddof=1)) / math.sqrt(n)


@lru_cache(maxsize=256)
def _noncentrality(freedom: int, alpha: float, power: float) -> float:
    """Where a two-sided t-test reaches the power: the noncentral t as a mean of normals over quantiles of chi^2, which
    stays accurate at one degree of freedom, where scipy.stats.nct does not."""
    critical = stats.t.ppf(1 - alpha / 2, freedom)
    scales = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, freedom) / freedom) * critical

    def missing(shift: float) -> float:
        return float(np.mean(stats.norm.cdf(shift - scales) + stats.norm.cdf(-shift - scales))) - power

    return float(optimize.brentq(missing, 0, 10 * critical + 10, xtol=1e-8))


# --- comparisons ---


@dataclass(frozen=True)
class Comparison:
    """First minus second on one metric of one benchmark. `p_holm` is set for a family of comparisons together."""

    benchmark: str
    metric: str
    first: str
    second: str
    differences: np.ndarray
    interval: Interval
    example_interval: Interval
    p: float
    p_wilcoxon: float
    d_z: float
    rank_biserial: float
    smallest: float
    p_holm: float = math.nan

    @property
    def pairs(self) -> int:
        return len(self.differences)

    @property
    def mean(self) -> float:
        return float(self.differences.mean()) if self.pairs else math.nan

    @property
    def verdict(self) -> str:
        """In a few words: what can be said."""
        if self.pairs == 0:
            return "no pair: cannot tell"
        if self.pairs == 1:
            return "one pair: cannot tell"
        if self.pairs < FEWEST_PAIRS:
            return "too few pairs to tell"
        if self.p_holm < ALPHA and (self.interval[0] > 0 or self.interval[1] < 0):
            return "a difference"
        return "no difference shown"

    def sentence(self) -> str:
        """One plain sentence, in percentage points."""
        head = f"{self.first} − {self.second} on {self.metric}: "
        if self.pairs == 0:
            return head + "no order and seed for which both have a result; cannot tell."
        text = f"{head}{signed(self.mean)}"
        count = labels.count(self.pairs, "pair")
        examples = f" Over test examples alone: {_range(self.example_interval)}." if _known(self.example_interval) \
            else ""
        if self.pairs == 1:
            return f"{text}, {count}: one run of each cannot tell whether another order or seed would agree.{examples}"
        if self.pairs == 2:
            both = " and ".join(map(signed, self.differences))
            return f"{text} ({both}), {count}: too few to tell.{examples}"
        text += f", 95 % interval {_range(self.interval)}, {count}"
        if self.pairs < FEWEST_PAIRS:
            least = f"{2 / 2**self.pairs:.2g}"
            return (f"{text}: too few to tell (no test on {self.pairs} pairs can give p below {least}, and the "
                    f"interval is rough).{examples}")
        text += f", p = {p_text(self.p_holm)} (sign flips, Holm)"
        if self.verdict == "a difference":
            return f"{text}: a difference, d_z = {labels.minus(f'{self.d_z:.1f}')}.{examples}"
        smallest = f" (this many runs would have shown one of about {100 * self.smallest:.1f})" \
            if self.smallest > 0 else ""
        return f"{text}: no difference shown{smallest}.{examples}"


def signed(fraction: float) -> str:
    """`+2.1` in points."""
    return labels.minus(f"{labels.rounded(fraction):+.1f}")


def p_text(p: float) -> str:
    """A p-value with what precision it deserves."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _known(interval: Interval) -> bool:
    return not math.isnan(interval[0])


def _range(interval: Interval) -> str:
    low, high = (labels.minus(f"{labels.rounded(end):.1f}") for end in interval)
    return f"{low} to {high}"


def pairs_of(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The (order, seed) for which both have the metric: order, seed, first, second, id_first, id_second."""
    columns = ["order", "seed", "id", metric]
    both = first[columns].merge(second[columns], on=["order", "seed"], suffixes=("_first", "_second"))
    both = both.rename(columns={f"{metric}_first": "first", f"{metric}_second": "second"})
    return both.dropna(subset=["first", "second"]).sort_values(["order", "seed"]).reset_index(drop=True)


class ExampleScores:
    """Scores by example of trials' final evaluations, kept while comparisons ask for the same ones again."""

    MOST = 1000

    def __init__(self, results: Results) -> None:
        self._results = results
        self._kept: dict[str, dict[str, np.ndarray]] = {}

    def of(self, trial: str) -> dict[str, np.ndarray]:
        """task -> scores; empty where the file has none."""
        return self._kept.get(trial, {})

    def _read(self, trials: list[str]) -> None:
        """Makes sure that these are kept, the file being opened once for all of them."""
        wanted = [trial for trial in trials if trial not in self._kept]
        while self._kept and len(self._kept) + len(wanted) > self.MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept |= {trial: {} for trial in wanted}
        for trial, rows in self._results.arrays(wanted, "example_scores"):
            tasks = self._results.tasks(trial)
            if len(rows) == len(tasks):
                self._kept[trial] = {task: np.asarray(row, dtype=float) for task, row in zip(tasks, rows)}

    def differences(self, pairs: pd.DataFrame) -> list[np.ndarray]:
        """Differences by example, a mean over pairs, one array per task; empty where any pair lacks them."""
        sums: dict[str, np.ndarray] = {}
        chosen = pairs.iloc[:: max(1, math.ceil(len(pairs) / MOST_EXAMPLE_PAIRS))]
        trials = [*chosen["id_first"], *chosen["id_second"]]
        self._kept |= {trial: self._kept.pop(trial) for trial in trials if trial in self._kept}  # the last to go
        self._read(trials)
        for row in chosen.itertuples():
            first, second = self.of(row.id_first), self.of(row.id_second)
            if not first or first.keys() != second.keys():
                return []
            for task, scores in first.items():
                if len(scores) == 0 or len(scores) != len(second[task]) or len(sums.get(task, scores)) != len(scores):
                    return []
                sums[task] = sums.get(task, 0) + (scores - second[task])
        return [total / len(chosen) for total in sums.values()]


def compare(
    first: pd.DataFrame, second: pd.DataFrame, metric: str, examples: ExampleScores | None = None,
) -> Comparison:
    """Compares the trials of two settings (rows of `labels.with_settings`) of one benchmark."""
    pairs = pairs_of(first, second, metric)
    d = (pairs["first"] - pairs["second"]).to_numpy(dtype=float)
    by_example = examples.differences(pairs) if examples and metric == "AA" and len(pairs) else []
    return Comparison(
        benchmark=str(first["benchmark"].iloc[0]), metric=metric, first=str(first["setting"].iloc[0]),
        second=str(second["setting"].iloc[0]), differences=d,
        interval=run_interval(d, pairs["order"], pairs["seed"]), example_interval=example_interval(by_example),
        p=sign_flip_p(d), p_wilcoxon=wilcoxon_p(d), d_z=cohens_dz(d), rank_biserial=rank_biserial(d),
        smallest=smallest_difference(d),
    )


def _contexts(trials: pd.DataFrame, results: Results) -> Iterator[pd.DataFrame]:
    """Groups of trials that may be compared: one benchmark, and what applies to all methods (learning rate, rank,
    anything swept that is not a method's own option) the same."""
    methods = set(trials["method"])
    own = {column for column in results.setting_columns if column.partition(".")[0] in methods}
    shared = [c for c in results.setting_columns if c not in ("method", "lambda") and c not in own]
    for _, group in trials.groupby(["benchmark", *shared], sort=False, dropna=False):
        yield group


def _reference(context: pd.DataFrame, wanted: str | None) -> str | None:
    """The setting that the others are compared with: the one asked for, else SLAO as published, else any SLAO, else
    the first."""
    settings = list(dict.fromkeys(context["setting"]))
    if wanted is not None:
        key = wanted.lower().replace("1/sqrt(i)", "1/√i")
        exact = [setting for setting in settings if setting.lower() == key]
        return next(iter(exact + [setting for setting in settings if setting.lower().startswith(key)]), None)
    slao = context[context["method"] == "slao"]
    published = slao[slao["lambda"] == "1/sqrt(i)"]
    return next((str(frame["setting"].iloc[0]) for frame in (published, slao) if len(frame)), settings[0])


def comparisons(
    results: Results, metrics: Sequence[str] = ("AA", "BWT"), reference: str | None = None,
    most: int | None = None,
) -> list[Comparison]:
    """Every setting against the reference of its context, for each metric, with Holm's correction over each benchmark
    and metric. `most` bounds the number per metric."""
    trials = labels.with_settings(results)
    examples = ExampleScores(results)
    jobs = []
    for context in _contexts(trials, results):
        chosen = _reference(context, reference)
        if chosen is None:
            continue
        groups = dict(tuple(context.groupby("setting", sort=False)))
        jobs += [(groups[chosen], group) for setting, group in groups.items() if setting != chosen]
    if reference is not None and not jobs and len(trials):
        known = ", ".join(dict.fromkeys(trials["setting"]))
        raise ResultsError(f"no setting is called {reference!r}, or nothing to compare it with; there are: {known}")
    found = [compare(first, second, metric, examples) for metric in metrics for first, second in jobs[:most]]
    return _with_holm(found)


def _with_holm(found: list[Comparison]) -> list[Comparison]:
    corrected: dict[int, float] = {}
    numbered = sorted(enumerate(found), key=lambda item: (item[1].benchmark, item[1].metric))
    for _, family in itertools.groupby(numbered, key=lambda item: (item[1].benchmark, item[1].metric)):
        members = list(family)
        corrected |= dict(zip((i for i, _ in members), holm([c.p for _, c in members])))
    return [Comparison(**{**c.__dict__, "p_holm": float(corrected[i])}) for i, c in enumerate(found)]


def number_of_comparisons(results: Results, reference: str | None = None) -> int:
    """How many settings there are to compare with a reference, for one metric."""
    total = 0
    trials = labels.with_settings(results)
    for context in _contexts(trials, results):
        if _reference(context, reference) is not None:
            total += context["setting"].nunique() - 1
    return total
