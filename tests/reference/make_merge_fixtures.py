"""Makes tests/fixtures/merge/adapters.safetensors and expected.safetensors: random adapters, and what every merge rule
makes of them by its formula, in fp64 on dense matrices, with numpy alone.

    python tests/reference/make_merge_fixtures.py tests/fixtures/merge
"""

import pathlib
import sys

import numpy
from safetensors.numpy import save_file

out = pathlib.Path(sys.argv[1])
random = numpy.random.default_rng(11)
SITES = {"q": (12, 10), "down": (9, 14)}  # d_out, d_in
# Two families of three adapters each: of equal rank and scale, and of different ones.
FAMILIES = {"equal": [(3, 2.0)] * 3, "mixed": [(2, 1.5), (4, 0.5), (3, 3.0)]}  # rank, scale

tensors, adapters = {}, {}
for family, shapes in FAMILIES.items():
    for t, (rank, scale) in enumerate(shapes):
        for site, (d_out, d_in) in SITES.items():
            a, b = (random.normal(0, 1, shape).astype(numpy.float32) for shape in ((rank, d_in), (d_out, rank)))
            tensors[f"{family}.{t}.{site}.A"], tensors[f"{family}.{t}.{site}.B"] = a, b
            adapters[family, t, site] = (a.astype(numpy.float64), b.astype(numpy.float64), scale)
save_file(tensors, out / "adapters.safetensors")


def pairs(family, site):
    return [adapters[family, t, site] for t in range(3)]


def changes(family, site):
    return [scale * b @ a for a, b, scale in pairs(family, site)]


def asymmetric(which):
    """lambda(i) = 1/sqrt(i); the family of equal ranks."""
    def rule(family, site):
        a_m, b_m, scale = pairs(family, site)[0]
        for i in (2, 3):
            a, b, _ = pairs(family, site)[i - 1]
            a_m = a_m + i ** -0.5 * (a - a_m) if which in ("A", "both") else a
            b_m = b_m + i ** -0.5 * (b - b_m) if which in ("B", "both") else b
        return scale * b_m @ a_m
    return rule


RULES = {  # name: (families, rule)
    **{f"asymmetric.{which}": (["equal"], asymmetric(which)) for which in ("A", "B", "both")},
    "average": (["equal", "mixed"], lambda family, site: sum(changes(family, site)) / 3),
    "task-arithmetic": (["equal", "mixed"], lambda family, site: 0.4 * sum(changes(family, site))),
}
expected = {f"{name}.{family}.{site}": rule(family, site).astype(numpy.float32)
            for name, (families, rule) in RULES.items() for family in families for site in SITES}
save_file(expected, out / "expected.safetensors", metadata={"numpy": numpy.__version__})
