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


def add(family, t, site, a, b, scale):
    a, b = (numpy.ascontiguousarray(x, numpy.float32) for x in (a, b))  # safetensors writes memory as it lies
    tensors[f"{family}.{t}.{site}.A"], tensors[f"{family}.{t}.{site}.B"] = a, b
    adapters[family, t, site] = (a.astype(numpy.float64), b.astype(numpy.float64), scale)


for family, shapes in FAMILIES.items():
    for t, (rank, scale) in enumerate(shapes):
        for site, (d_out, d_in) in SITES.items():
            add(family, t, site, random.normal(0, 1, (rank, d_in)), random.normal(0, 1, (d_out, rank)), scale)

# A third one whose units (row of A, column of B) are three in number, but for noise and their order.
UNITS, SCALES = {}, [2.0, 0.5, 1.0]
for site, (d_out, d_in) in SITES.items():
    centres = random.normal(0, 1, (3, d_in + d_out))
    noisy = [centres + random.normal(0, 0.02, centres.shape) for _ in range(3)]
    UNITS[site] = noisy
    for t, scale in enumerate(SCALES):
        order = random.permutation(3)
        units = noisy[t][order] / scale ** 0.5
        add("units", t, site, units[:, :d_in], units[:, d_in:].T, scale)
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


def trim(x, density):
    kept = numpy.zeros(x.size)
    kept[numpy.argsort(-numpy.abs(x).ravel())[:int(density * x.size)]] = 1
    return x * kept.reshape(x.shape)


def ties(xs, density):
    xs = numpy.stack([trim(x, density) for x in xs])
    agree = numpy.sign(xs) == numpy.where(xs.sum(0) >= 0, 1, -1)
    return (xs * agree).sum(0) / numpy.maximum(agree.sum(0), 1)


def magnitude_prune(xs, density):
    return sum(trim(x, density) for x in xs)


def magmax(xs):
    xs = numpy.stack(xs)[::-1]  # of equal ones argmax takes the first: the later one
    return numpy.take_along_axis(xs, numpy.abs(xs).argmax(0)[None], 0)[0]


def in_factors(rule):
    """Scale is 1 for the result, its root goes to both factors."""
    def merged(family, site):
        given = pairs(family, site)
        root = given[0][2] ** 0.5
        return (root * rule([b for _, b, _ in given])) @ (root * rule([a for a, _, _ in given]))
    return merged


def knots(inside):
    def rule(family, site):
        d_in = SITES[site][1]
        u, s, vt = numpy.linalg.svd(numpy.hstack(changes(family, site)), full_matrices=False)
        kept = s >= 1e-5
        coordinates = (s[:, None] * vt)[kept]
        return u[:, kept] @ inside([coordinates[:, t * d_in:(t + 1) * d_in] for t in range(3)])
    return rule


def opcm(threshold):
    """Over the whole model, as the norms are; returns the changes of all sites."""
    def merged(family):
        merged = {site: changes(family, site)[0] for site in SITES}
        norms = [sum(numpy.sum(changes(family, site)[t] ** 2) for site in SITES) ** 0.5 for t in range(3)]
        last = 1.0
        for t in (1, 2):
            total = {}
            for site, delta in merged.items():
                u, s, vt = numpy.linalg.svd(delta, full_matrices=True)
                positive = int((s > 1e-6 * s[0]).sum())
                k = int((s.cumsum() / s.sum() > threshold).argmax())
                p = u.T @ changes(family, site)[t] @ vt.T
                p[numpy.arange(positive), numpy.arange(positive)] = 0
                p[:k, :k] = 0
                total[site] = last * delta + u @ p @ vt
            last = sum(numpy.sum(x ** 2) for x in total.values()) ** 0.5 / numpy.mean(norms[:t + 1])
            merged = {site: x / last for site, x in total.items()}
        return merged
    return lambda family, site: merged(family)[site]


def lego(reweight):
    def rule(family, site):
        d_in = SITES[site][1]
        centroids = sum(UNITS[site]) / 3
        if reweight:
            mean_norm = sum(numpy.linalg.norm(x, axis=1) for x in UNITS[site]) / 3
            centroids = centroids * (mean_norm / numpy.linalg.norm(centroids, axis=1))[:, None]
        return centroids[:, d_in:].T @ centroids[:, :d_in]
    return rule


BOTH = ["equal", "mixed"]
RULES = {  # name: (families, rule)
    **{f"asymmetric.{which}": (["equal"], asymmetric(which)) for which in ("A", "B", "both")},
    "average": (BOTH, lambda family, site: sum(changes(family, site)) / 3),
    "task-arithmetic": (BOTH, lambda family, site: 0.4 * sum(changes(family, site))),
    "ties": (BOTH, lambda family, site: ties(changes(family, site), 0.3)),
    "ties.factors": (["equal"], in_factors(lambda xs: ties(xs, 0.3))),
    "magnitude-prune": (BOTH, lambda family, site: 0.7 * magnitude_prune(changes(family, site), 0.6)),
    "magnitude-prune.factors": (["equal"], in_factors(lambda xs: magnitude_prune(xs, 0.6))),
    "magmax": (BOTH, lambda family, site: 0.5 * magmax(changes(family, site))),
    "magmax.factors": (["equal"], in_factors(magmax)),
    "knots.ties": (BOTH, knots(lambda xs: ties(xs, 0.4))),
    "knots.mean": (BOTH, knots(lambda xs: sum(xs) / 3)),
    **{f"opcm.{threshold}": (BOTH, opcm(threshold)) for threshold in (0.5, 0.9)},
    "lora-lego.none": (["units"], lego(False)),
    "lora-lego.norm": (["units"], lego(True)),
}
expected = {f"{name}.{family}.{site}": numpy.ascontiguousarray(rule(family, site), numpy.float32)
            for name, (families, rule) in RULES.items() for family in families for site in SITES}
save_file(expected, out / "expected.safetensors", metadata={"numpy": numpy.__version__})
for path in out.glob("*.safetensors"):
    path.chmod(0o644)
