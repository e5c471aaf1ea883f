"""Compares what `slao probe` wrote with a reference: compare_probe.py OURS EXPECTED [fp32|fp64|bf16].

Both are safetensors files with loss, losses, logits, grad.NAME and param.NAME; of EXPECTED all is compared. The
tolerances, absolute for losses and relative in norm for the rest:

- fp32 (default): values that transformers computed in fp32. slao aims at 1e-4 in logits and losses and 1e-3 in gradients,
  relative; what both round away is less. On SmolLM2-135M (tests/reference/make_parity_truth.py) transformers' files are
  1.6e-5 off the fp64 value in the loss and 9.1e-5 in gradients, since they sum the exponentials of the vocabulary in
  fp32, and slao 4e-6 and 1e-5, whatever the vector level and BLAS kernel: together 2e-5 and 1.0e-4. AdamW's first steps
  are nearly the sign of the gradient, so tensors after some steps are compared more loosely.
- fp64: values computed in fp64, against twice slao's own rounding.
- bf16: values computed in fp32, for slao with products in bf16. On SmolLM2-135M its logits are 1.1e-2 off, gradients 2.4e-2
  (median) to 4.7e-2, the loss 1e-3 to 9e-3; rounding the operands of the same products in torch gives 0.9e-2, 1.8e-2 to
  5.7e-2 and 6e-3, torch's autocast 1.2e-2, 3.6e-2 to 7.4e-2 and 2.4e-2. Rounding is amplified from layer to layer: another
  order of a sum, another error of the same size.
"""

import sys

import numpy
from safetensors.numpy import load_file

TOLERANCES = {
    "fp32": {"loss": 2.5e-5, "losses": 1e-3, "logits": 1e-4, "gradients": 1.5e-4, "parameters": 1e-2},
    "bf16": {"loss": 2e-2, "losses": 3e-2, "logits": 2.5e-2, "gradients": 0.1, "parameters": 0.1},
    "fp64": {"loss": 8e-6, "gradients": 2e-5},
}


def relative(ours, theirs):
    return float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))


def compare(ours, expected, tolerances):
    """Faults, and the largest difference of each kind of value."""
    faults, worst = [], {}

    def check(kind, name, difference):
        worst[kind] = max(worst.get(kind, 0.0), difference)
        if not difference <= tolerances[kind]:
            faults.append(f"{name}: {difference:.3g} is over {tolerances[kind]:g}")

    for name in sorted(expected.keys() - ours.keys()):
        faults.append(f"{name} is missing")
    for name in sorted(expected.keys() & ours.keys()):
        a, b = ours[name], expected[name]
        if a.shape != b.shape:
            faults.append(f"{name} has shape {a.shape}, not {b.shape}")
        elif name == "loss":
            check("loss", name, abs(float(a) - float(b)))
        elif name == "losses":
            check("losses", name, float(numpy.abs(a - b).max()))
        elif name == "logits":
            check("logits", name, relative(a, b))
        elif name.startswith("grad."):
            check("gradients", name, relative(a, b))
        else:
            check("parameters", name, relative(a, b))
    return faults, worst


if __name__ == "__main__":
    ours, expected = (load_file(path) for path in sys.argv[1:3])
    faults, worst = compare(ours, expected, TOLERANCES[(sys.argv + ["fp32"])[3]])
    print("largest differences:", ", ".join(f"{kind} {value:.2g}" for kind, value in worst.items()))
    print("\n".join(faults))
    compared = [name for name in expected if name.startswith("grad.")]
    sys.exit(bool(faults) or not compared)
