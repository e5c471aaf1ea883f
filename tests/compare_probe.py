"""Compares what `slao probe` wrote with a reference: compare_probe.py OURS EXPECTED.

Both are safetensors files with loss, losses, logits, grad.NAME and param.NAME. The tolerances are those between two
ways of computing the same in fp32; AdamW's first steps are nearly the sign of the gradient, so
tensors after some steps are compared by their norms."""

import sys

import numpy
from safetensors.numpy import load_file

LOSS, LOSSES, LOGITS, GRADIENT, PARAMETER = 1e-5, 1e-3, 2e-4, 2e-4, 1e-2


def relative(ours, theirs):
    return float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))


def compare(ours, expected):
    """Faults, and the largest difference of each kind of value."""
    faults, worst = [], {}

    def check(kind, name, difference, tolerance):
        worst[kind] = max(worst.get(kind, 0.0), difference)
        if not difference <= tolerance:
            faults.append(f"{name}: {difference:.3g} is over {tolerance:g}")

    for name in sorted(expected.keys() - ours.keys()):
        faults.append(f"{name} is missing")
    for name in sorted(expected.keys() & ours.keys()):
        a, b = ours[name], expected[name]
        if a.shape != b.shape:
            faults.append(f"{name} has shape {a.shape}, not {b.shape}")
        elif name == "loss":
            check("loss", name, abs(float(a) - float(b)), LOSS)
        elif name == "losses":
            check("losses", name, float(numpy.abs(a - b).max()), LOSSES)
        elif name == "logits":
            check("logits", name, relative(a, b), LOGITS)
        elif name.startswith("grad."):
            check("gradients", name, relative(a, b), GRADIENT)
        else:
            check("parameters", name, relative(a, b), PARAMETER)
    return faults, worst


if __name__ == "__main__":
    ours, expected = (load_file(path) for path in sys.argv[1:3])
    faults, worst = compare(ours, expected)
    print("largest differences:", ", ".join(f"{kind} {value:.2g}" for kind, value in worst.items()))
    print("\n".join(faults))
    compared = [name for name in expected if name.startswith("grad.")]
    sys.exit(bool(faults) or not compared)
