"""Statistics: equal to scipy's on the same pairs, intervals that cover, and sentences that say no more than is known."""

import math

import make_results
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from slao_analysis import labels, load, orders, statistics
from slao_analysis.results import ResultsError

DIFFERENCES = [
    np.array([0.021, 0.004, 0.037, -0.011, 0.018, 0.026, 0.009]),
    np.array([0.3, -0.2, 0.1, 0.4, 0.05, -0.15]),
    np.random.default_rng(3).normal(0.02, 0.03, 12),
]


@pytest.mark.parametrize("d", DIFFERENCES, ids=len)
def test_tests_equal_scipy(d):
    exact = stats.permutation_test((d, np.zeros_like(d)), lambda x, y: np.mean(x - y), permutation_type="samples",
                                   n_resamples=np.inf, vectorized=False)
    assert statistics.sign_flip_p(d) == pytest.approx(exact.pvalue, abs=1e-12)
    assert statistics.wilcoxon_p(d) == pytest.approx(stats.wilcoxon(d).pvalue, abs=1e-12)
    assert statistics.cohens_dz(d) == pytest.approx(stats.ttest_1samp(d, 0).statistic / math.sqrt(len(d)), abs=1e-12)


def test_permutation_by_chance_agrees_with_all_of_them():
    d = np.random.default_rng(0).normal(0.4, 1, 17)  # one more than is enumerated
    flips = 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1) - 1
    exact = np.mean(np.abs(flips @ d[:-1] + d[-1]) >= abs(d.sum()) - 1e-12)
    assert statistics.sign_flip_p(d) == pytest.approx(exact, abs=0.01)


def test_extreme_pairs():
    assert statistics.sign_flip_p(np.full(6, 0.1)) == 2 / 2**6
    assert statistics.sign_flip_p(np.zeros(4)) == 1
    assert statistics.wilcoxon_p(np.zeros(4)) == 1
    assert statistics.wilcoxon_p(np.array([0, 1e-17, -1e-17])) == 1
    assert statistics.wilcoxon_p(np.array([0.02, 0])) == 1  # 2 / 2^1
    assert statistics.wilcoxon_p(np.array([0.02, 0, 0.02])) == pytest.approx(stats.wilcoxon([0.02, 0.02]).pvalue)
    assert math.isnan(statistics.sign_flip_p(np.array([])))
    assert statistics.rank_biserial(np.array([0.1, 0.2, 0.3])) == 1
    assert statistics.rank_biserial(np.array([0.1, -0.2, 0.3])) == pytest.approx((4 - 2) / 6)


def test_holm():
    # By hand: .01 x 4, .02 x 3, .03 x 2, .5 x 1, made monotone.
    np.testing.assert_allclose(statistics.holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(statistics.holm([0.9, math.nan, 0.8]), [1, math.nan, 1])
    assert len(statistics.holm([])) == 0


@pytest.mark.parametrize("n", [4, 9, 30])
def test_smallest_difference_has_its_power(n):
    d = np.random.default_rng(n).normal(0, 0.02, n)
    shift = statistics.smallest_difference(d) / (d.std(ddof=1) / math.sqrt(n))
    critical = stats.t.ppf(0.975, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("n_orders, n_seeds, by_order, least", [(9, 1, 0, 0.90), (3, 3, 0, 0.93), (3, 3, 0.7, 0.90),
                                                                (6, 4, 0.7, 0.90)])
def test_run_intervals_cover(n_orders, n_seeds, by_order, least):
    """95 % intervals hold the truth about as often as they say, also where runs of one order are alike."""
    random = np.random.default_rng(1)
    order, seed = np.repeat(np.arange(n_orders), n_seeds), np.tile(np.arange(n_seeds), n_orders)
    held, repetitions = 0, 300
    for _ in range(repetitions):
        d = 1 + random.normal(size=len(order)) + by_order * random.normal(size=n_orders)[order]
        low, high = statistics.run_interval(d, order, seed, resamples=400)
        held += low <= 1 <= high
    assert held / repetitions >= least


def test_orders_and_seeds_are_drawn_by_themselves():
    """Each mean is over the pairs, each as often as its order times its seed was drawn; of a cell that is not there, none."""
    values, order, seed = np.array([0.1, 0.4, -0.2, 0.3, 0.7]), np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0])
    found = statistics._means_by_order_and_seed(values, order, seed, 200, 0)
    drawn = [statistics._draws(3, 200, 0, 0), statistics._draws(2, 200, 0, 1)]
    weights = drawn[0][:, order] * drawn[1][:, seed]
    weights = weights[weights.sum(axis=1) > 0]
    np.testing.assert_allclose(found, [np.average(values, weights=row) for row in weights])
    assert 100 < len(found) < 200  # order 2 alone with seed 1 alone has no pair


def test_random_signs_are_fair():
    signs = statistics._signs(40, 0)
    assert signs.shape == (statistics.FLIPS, 40) and set(np.unique(signs)) == {-1, 1}
    assert np.abs(signs.mean(axis=0)).max() < 5 / math.sqrt(statistics.FLIPS)
    assert np.abs(np.corrcoef(signs.T) - np.eye(40)).max() < 6 / math.sqrt(statistics.FLIPS)


def test_example_intervals_cover():
    random = np.random.default_rng(2)
    held, repetitions = 0, 200
    for _ in range(repetitions):
        tasks = [random.choice([-1.0, 0, 1], p=[0.1, 0.7, 0.2], size=count) for count in (60, 200)]
        low, high = statistics.example_interval(tasks, resamples=400)
        held += low <= 0.1 <= high
    assert 0.90 <= held / repetitions <= 0.99


def test_example_interval_equals_scipy():
    task = np.random.default_rng(5).choice([-1.0, 0, 1], p=[0.1, 0.6, 0.3], size=150)
    found = statistics.example_interval([task], resamples=20_000)
    scipys = stats.bootstrap((task,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0))
    assert found == pytest.approx(tuple(scipys.confidence_interval), abs=0.01)


def test_what_cannot_be_known():
    assert math.isnan(statistics.run_interval(np.array([0.1, 0.2]), ["a", "b"], [0, 0])[0])
    assert math.isnan(statistics.example_interval([])[0])
    assert math.isnan(statistics.example_interval([np.array([]), np.array([1.0])])[0])
    assert math.isnan(statistics.smallest_difference(np.array([0.1])))


def _settings(differences, metric="AA"):
    n = len(differences)
    shared = {"order": [f"order{i % 3}" for i in range(n)], "seed": [i // 3 for i in range(n)], "benchmark": "b"}
    second = np.linspace(0.5, 0.6, n) if n else np.array([])
    return (pd.DataFrame({**shared, "id": [f"a{i}" for i in range(n)], "setting": "SLAO", metric: second + differences}),
            pd.DataFrame({**shared, "id": [f"b{i}" for i in range(n)], "setting": "SeqLoRA", metric: second}))


def _sentence(differences):
    comparison = statistics.compare(*_settings(np.array(differences)), "AA")
    return statistics._with_holm([comparison])[0].sentence()


def test_sentences():
    text = _sentence([0.02, 0.02, 0.03, 0.01, 0.02, 0.03, 0.02, 0.01, 0.03])
    assert text.startswith("SLAO − SeqLoRA on AA: +2.1, 95 % interval ")
    assert ", 9 pairs, p = 0.004 (sign flips, Holm): a difference, d_z = " in text
    worse = _sentence([-0.02, -0.02, -0.03, -0.01, -0.02, -0.03, -0.02, -0.01, -0.03])
    assert "on AA: −2.1, 95 % interval −" in worse and "a difference, d_z = −2.7" in worse and "-" not in worse
    assert "no difference shown (this many runs would have shown one of about" in _sentence([0.02, -0.03, 0.01, 0, 0.04, -0.02])
    assert "4 pairs: too few to tell (no test on 4 pairs can give p below 0.12" in _sentence([0.02, 0.03, 0.02, 0.03])
    assert _sentence([0.02, 0.03]) == "SLAO − SeqLoRA on AA: +2.5 (+2.0 and +3.0), 2 pairs: too few to tell."
    assert _sentence([0.02]) == ("SLAO − SeqLoRA on AA: +2.0, 1 pair: one run of each cannot tell whether another order or "
                                 "seed would agree.")


def test_no_common_runs():
    first, second = _settings(np.array([0.1, 0.2]))
    comparison = statistics.compare(first, second.assign(seed=7), "AA")
    assert comparison.verdict == "no pair: cannot tell"
    assert "cannot tell" in comparison.sentence()


def test_comparisons_are_within_equal_circumstances(everything):
    """Each learning rate by itself; SLAO as published is what others are compared with; pairs are of equal order and seed."""
    results = load(everything)
    found = statistics.comparisons(results, metrics=("AA",))
    assert found and all(c.first.startswith("SLAO λ=1/√i") for c in found)
    assert all(c.first.split("lr=")[1].split()[0] == c.second.split("lr=")[1].split()[0] for c in found)
    trials = labels.with_settings(results).set_index("setting")
    chosen = next(c for c in found if c.second.startswith("SeqLoRA"))
    assert chosen.pairs == 2  # seed 0 of seqlora is missing
    by_hand = [
        a.AA - b.AA for _, a in trials.loc[[chosen.first]].iterrows() for _, b in trials.loc[[chosen.second]].iterrows()
        if a.order == b.order and a.seed == b.seed and not math.isnan(b.AA)
    ]
    assert sorted(chosen.differences) == pytest.approx(sorted(by_hand), abs=1e-12)


def test_example_interval_from_a_file(two_tasks):
    found = statistics.comparisons(load(two_tasks), metrics=("AA", "BWT"))
    accuracy = [c for c in found if c.metric == "AA"]
    assert all(c.example_interval[0] <= c.example_interval[1] for c in accuracy)
    assert all(math.isnan(c.example_interval[0]) for c in found if c.metric == "BWT")


def test_reference_can_be_chosen(two_tasks):
    found = statistics.comparisons(load(two_tasks), metrics=("AA",), reference="seqlora")
    assert {c.first for c in found} == {"SeqLoRA"}
    with pytest.raises(ResultsError, match="no setting is called 'magmax'.*SeqLoRA"):
        statistics.comparisons(load(two_tasks), reference="magmax")


def test_order_sensitivity_equals_the_file(five_tasks):
    results = load(five_tasks)
    found = orders.sensitivity(results).set_index(["setting", "seed"])
    wanted = labels.with_settings(results, results.orders).set_index(["setting", "seed"])
    for name in ("MOPD", "AOPD"):
        pd.testing.assert_series_equal(found[name].sort_index(), wanted[name].sort_index(), check_exact=False, atol=1e-12,
                                       rtol=0)


def test_order_sensitivity_of_one_order(one_trial, tmp_path):
    assert orders.sensitivity(load(one_trial))["MOPD"].isna().all()
    path = make_results.write(tmp_path / "gaps.h5", n_tasks=3, seeds=1, missing=True)
    found = orders.sensitivity(load(path)).set_index("setting")
    assert math.isnan(found.loc["SeqLoRA", "MOPD"]) and found.loc["SLAO λ=0.5", "MOPD"] > 0
