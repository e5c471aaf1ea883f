import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import make_results  # noqa: E402


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def _file(folder, name, **options):
    path = folder / f"{name}.h5"
    make_results.write(path, **options)
    return path


@pytest.fixture(scope="session")
def two_tasks(folder):
    return _file(folder, "two", n_tasks=2, seeds=2)


@pytest.fixture(scope="session")
def one_trial(folder):
    return _file(folder, "one", n_tasks=2, seeds=1, orders=1, methods=("slao",), schedules=("1/sqrt(i)",))


@pytest.fixture(scope="session")
def everything(folder):
    """Fifteen published tasks, every method, two learning rates, an ablation, holes."""
    return _file(folder, "everything", n_tasks=15, seeds=2, orders=2, methods=("slao", "seqlora", "inclora", "individual"),
                 schedules=("0.5", "1/sqrt(i)"), learning_rates=(1e-4, 1e-3), options=make_results.INITS, missing=True,
                 layers=2)


@pytest.fixture(scope="session")
def five_tasks(folder):
    return _file(folder, "five", n_tasks=5, seeds=2)


@pytest.fixture(scope="session")
def gaps(folder):
    return _file(folder, "gaps", n_tasks=3, seeds=2, missing=True)
