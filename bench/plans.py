#!/usr/bin/env python3
"""Random plans of a model: what each is predicted to cost beside the divergence that is measured.

    bench/plans.py BUILD MODEL --calibrate TEXT --valid TEXT [--plans 40]

Formats are rounded to nearest, so that a plan compiles in seconds; a plan of all weights is scored once. Prints a line
for each plan and the rank correlation (Spearman).
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def random_plan(plan, seed):
    """Each weight in one of its formats; how many of them are small differs from plan to plan."""
    draw = random.Random(seed)
    exponent = draw.uniform(-3, 3)
    drawn = json.loads(json.dumps(plan))
    drawn.pop("calibration")
    for weight in drawn["weights"]:
        options = weight.pop("alternatives", None)
        if options:
            chosen = draw.choices(options, [(i + 1) ** exponent for i in range(len(options))])[0]
            weight.update(chosen)
        weight.pop("algorithm", None)
    return drawn


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    places = [0] * len(values)
    for place, index in enumerate(order):
        places[index] = place
    return places


def correlation(a, b):
    """Spearman's, of values without ties."""
    n = len(a)
    apart = sum((x - y) ** 2 for x, y in zip(ranks(a), ranks(b), strict=True))
    return 1 - 6 * apart / (n * (n * n - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--calibrate", type=pathlib.Path, required=True)
    parser.add_argument("--valid", type=pathlib.Path, required=True)
    parser.add_argument("--plans", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=16384, help="of the calibration text")
    parser.add_argument("--windows", type=int, default=8, help="of the text of --valid")
    arguments = parser.parse_args()
    bin_folder = arguments.build / "bin"
    predicted, measured = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        compiler, text = (bin_folder / "qopt-compile", arguments.model), ("--calibrate", arguments.calibrate)
        scores = ("--bits", 4, "--algorithm", "rtn", "--calibrate-tokens", arguments.tokens, "--activations", "f32")
        run(*compiler, *text, *scores, "--save-plan", folder / "plan.json", "-o", folder / "m.qopt")
        plan = json.loads((folder / "plan.json").read_text())
        f32 = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
        run(*compiler, *f32, "-o", folder / "f32.qopt")
        evaluate = ("--text", arguments.valid, "--windows", arguments.windows)
        run(bin_folder / "qopt-eval", folder / "f32.qopt", *evaluate, "--save-logits", folder / "logits.npy")
        for seed in range(arguments.plans):
            drawn = random_plan(plan, seed)
            (folder / "drawn.json").write_text(json.dumps(drawn))
            run(*compiler, "--plan", folder / "drawn.json", "-o", folder / "m.qopt")
            against = ("--reference", folder / "logits.npy", "--json")
            figures = json.loads(run(bin_folder / "qopt-eval", folder / "m.qopt", *evaluate, *against))
            predicted.append(sum(weight["predicted_kl"] for weight in drawn["weights"]))
            measured.append(figures["kl"]["mean"])
            size = 8 * sum(weight["bytes"] for weight in drawn["weights"])
            bits = size / sum(weight["rows"] * weight["columns"] for weight in drawn["weights"])
            print(f"{seed:3} {bits:6.3f} bits: predicted {predicted[-1]:.5f}, measured {measured[-1]:.5f}", flush=True)
    print(f"rank correlation of {arguments.plans} plans: {correlation(predicted, measured):.4f}")


if __name__ == "__main__":
    main()
