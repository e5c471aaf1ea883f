import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import synthetic  # noqa: E402


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def _file(folder, name, **options):
    path = folder / f"{name}.h5"
    synthetic.write(path, **options)
    return path


@pytest.fixture(scope="session")
def two_tasks(folder):
    return _file(folder, "two", n_tasks=2, seeds=2)


@pytest.fixture(scope="session")
def five_tasks(folder):
    return _file(folder, "five", n_tasks=5, seeds=2)


@pytest.fixture(scope="session")
def gaps(folder):
    return _file(folder, "gaps", n_tasks=3, seeds=2, missing=True)
