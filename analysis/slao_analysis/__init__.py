"""Figures, tables, statistics and a report from the results files of slao.

    from slao_analysis import load
    results = load("results/lambda-ablation.h5")
    results.trials        # a row per trial; scores are fractions
    results.matrix(id)    # the scores of one trial, by task trained and task evaluated
"""

from .results import Results, ResultsError, load

__all__ = ["Results", "ResultsError", "load"]
