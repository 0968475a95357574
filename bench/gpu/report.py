"""Tables of what was measured: times, peers, ratios, parts of the roof, and the figures that are asked for."""

import fnmatch
import json
import math
import statistics

#: name of the figure, the least ratio or the most seconds that must hold, and what is aimed at
ASKED_ROOF = {"o": (0.55, 0.70), "gate_up": (0.70, 0.85), "down": (0.70, 0.85), "head": (0.70, 0.85)}
ASKED_MICROSECONDS = {
    "decode-b32-c4k-bf16": (150, 120),
    "decode-b32-c4k-fp8": (90, 62),
    "decode-b32-c4k-int4": (70, 36),
    "decode-b1-c4k-bf16": (10, 7),
}
ASKED_CUBLAS = {16: (2.5, 3.6), 64: (1.3, 2.3)}
#: Beside kernels for int4 weights, few tokens, mean ratio.
ASKED_INT4 = {"torch_int4": (1.5, 2.5), "triton_int4": (1.2, 1.5)}
#: Kernels whose name matches, beside a peer: mean ratio. Long products and attention reach them with wgmma only.
ASKED_RATIOS = {
    ("gemm-*-f16-m4096", "cublas_bf16"): (0.60, 0.95),
    ("gemm-*-f16-m2048", "cublas_bf16"): (0.80, 0.95),
    ("gemm-*-int4_g128-m2048", "cublas_bf16"): (0.75, 0.90),
    ("gemm-*-w8a8-m[24]0*", "torch_int8"): (0.90, 1.10),
    ("decode-b1-c4k-bf16", "sdpa_bf16"): (1.3, 2.0),
    ("prefill-*-bf16", "sdpa_bf16"): (0.75, 0.95),
}
#: How far a prediction may be from what was measured.
ASKED_PREDICTION = 0.15
#: Tokens a second of the 8B model's decoding by batch, and its ratio to PyTorch's loop in the same run.
ASKED_STEPS = {1: (450, 650), 16: (3000, 6000)}
ASKED_STEP_RATIO = (1.6, 2.3)


def read_rows(path):
    """What is known of each entry, in the order of their beginnings."""
    lines = path.read_text().splitlines() if path.exists() else []
    return list({row["name"]: row for row in map(json.loads, lines)}.values())


def table(headings, rows):
    """Markdown; nothing where there are no rows."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def micros(seconds):
    return f"{seconds * 1e6:.1f}" if isinstance(seconds, float) else "—"


def percent(part):
    return f"{100 * part:.0f} %"


def add_ratios(rows):
    """Adds to the row of a kernel its part of the roof, its prediction as a part of its time, its peers' ratios."""
    roofs = next((row for row in rows if row.get("what") == "roofs"), {})
    for row in rows:
        if "seconds" not in row:
            continue
        roof = row["bytes"] / roofs["stream_bandwidth"] if "stream_bandwidth" in roofs else None
        if row["what"] in ("gemm", "attention_prefill") and "matrix_rate" in roofs:
            roof = row["flops"] / roofs["matrix_rate"]
        if roof:
            row["roof_part"] = roof / row["seconds"]
        row["predicted_part"] = row["predicted"] / row["seconds"]
        row["ratios"] = {n: s / row["seconds"] for n, s in row.get("peers", {}).items() if isinstance(s, float)}


def kernel_table(rows, what):
    found = [row for row in rows if row.get("what") == what]
    names = sorted({name for row in found for name in row.get("peers", {})})
    headings = ["kernel", "µs", "alone", "roof", "predicted", "of bound", *[f"{name} µs, ratio" for name in names]]
    lines = []
    for row in found:
        line = [row["name"], micros(row["seconds"]), micros(row["alone"]), percent(row.get("roof_part", 0))]
        line += [percent(row["predicted_part"]), f"{row['error_of_bound']:.2f}"]
        for name in names:
            peer, ratio = row["peers"].get(name), row["ratios"].get(name)
            line.append(f"{micros(peer)}, {ratio:.2f}" if ratio else str(peer or "—"))
        lines.append(line)
    return table(headings, lines)


def figure(name, value, must, aim, spell):
    met = value >= must if must < aim else value <= must
    return {"figure": name, "value": value, "must": must, "aim": aim, "met": met, "text": spell(value)}


def figure_table(found):
    lines = [[f["figure"], f["text"], f["must"], f["aim"], "yes" if f["met"] else "no"] for f in found]
    return table(["figure", "measured", "must", "aim", "met"], lines)


def step_figures(steps):
    """What is asked of whole steps: tokens a second of the model whose name has 8b, and the ratio to the peer."""
    speeds = {row["name"]: row["tokens_per_second"] for row in steps if row.get("tokens_per_second")}
    found = []
    for batch, asked in ASKED_STEPS.items():
        peer = speeds.get(f"torch.compile int4 8B, batch {batch}")
        for name, speed in speeds.items():
            if "8b" in name and name.endswith(f", batch {batch}"):
                found.append(figure(f"{name}: tokens/s", speed, *asked, "{:,.0f}".format))
                if peer:
                    found.append(figure(f"{name}, beside torch int4", speed / peer, *ASKED_STEP_RATIO, "{:.2f}".format))
    return found


def figures(rows):
    """Each figure of a kernel that is asked for and could be formed: name, value, must, aim, met."""
    kernels = {row["name"]: row for row in rows if "seconds" in row}
    found = []

    def add(*of):
        found.append(figure(*of))

    def add_mean(name, some, peer, asked):
        ratios = [row["ratios"][peer] for row in some if peer in row["ratios"]]
        if ratios:
            add(f"{name}, mean ratio", statistics.geometric_mean(ratios), *asked, "{:.2f}".format)

    for shape, (must, aim) in ASKED_ROOF.items():
        row = kernels.get(f"{shape}-int4_g128-m1")
        if row and "roof_part" in row:
            add(f"skinny_linear int4_g128 M = 1, {shape}: part of the roof", row["roof_part"], must, aim, percent)
    linear = [row for name, row in kernels.items() if "int4_g128" in name and not name.startswith("gemm")]
    few = [row for row in linear if row["problem"]["tokens"] <= 16]
    for peer, asked in ASKED_INT4.items():
        add_mean(f"the same beside {peer}, M ≤ 16", few, peer, asked)
    for tokens, asked in ASKED_CUBLAS.items():
        some = [row for row in linear if row["problem"]["tokens"] == tokens]
        add_mean(f"the same beside cuBLAS bf16, M = {tokens}", some, "cublas_bf16", asked)
    for name, asked in ASKED_MICROSECONDS.items():
        if name in kernels:
            add(f"{name}, µs", kernels[name]["seconds"] * 1e6, *asked, "{:.1f}".format)
    for (pattern, peer), asked in ASKED_RATIOS.items():
        some = [row for name, row in kernels.items() if fnmatch.fnmatch(name, pattern)]
        add_mean(f"{pattern} beside {peer}", some, peer, asked)
    return found


def prediction(rows):
    """A sentence on how many kernels took about what the cost model says, and which of them did least."""
    kernels = [row for row in rows if "predicted_part" in row]
    if not kernels:
        return ""
    close = sum(abs(row["predicted_part"] - 1) <= ASKED_PREDICTION for row in kernels)
    worst = max(kernels, key=lambda row: abs(math.log(row["predicted_part"])))
    text = f"predicted within {percent(ASKED_PREDICTION)} of measured: {close} of {len(kernels)} kernels"
    return f"{text}; the farthest is {worst['name']}, predicted at {percent(worst['predicted_part'])} of its time\n"


def print_rows(rows):
    """Everything, as short as it can be."""
    add_ratios(rows)
    for row in rows:
        if row.get("what") == "roofs" and "gpu" in row:
            gpu = row["gpu"]
            print(f"{gpu['name']}, {gpu['multiprocessors']} SMs, driver for CUDA {gpu['driver_cuda']}")
            print(
                f"roofs: read {row['stream_bandwidth'] / 1e12:.2f} TB/s, copy {row['copy_bandwidth'] / 1e12:.2f} TB/s, "
                f"bf16 products {row['matrix_rate'] / 1e12:.0f} TFLOP/s\n"
            )
    measured = [row for row in rows if "seconds" in row]
    for what in dict.fromkeys(row["what"] for row in measured):
        print(f"{what}\n\n{kernel_table(measured, what)}")
    print(figure_table(figures(rows)))
    print(prediction(rows))
    for row in rows:
        if "error" in row:
            print(f"{row['name']}: {row['error']}")
