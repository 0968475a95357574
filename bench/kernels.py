"""`./x kernels`: what the assembled code of the hot kernels says about their speed, beside what is asked of it.

Every kernel is made at the shapes of a Llama of 8 billion parameters, assembled and disassembled; its bank conflicts
are those that the emulator counts in the main loop of the same kernel, with the same schedule, for fewer rows. Bytes in
flight are what the loaders of an SM's blocks let be on its way at once, of this launch alone. The exit status is 1
where a bound does not hold.

examples:
  ./x kernels
  ./x kernels --arch sm_90a --only 'skinny_linear int4*'
"""

import argparse
import fnmatch
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from gpu import catalog, emulator, families

SOURCE = pathlib.Path(__file__).resolve().parents[1]
ARCHITECTURES = ("sm_90a", "sm_80")
KIB = 1024


@dataclass
class Row:
    """A kernel of the table: its words at the shape that is asked about, and those of the smaller problem."""

    name: str
    family: str
    words: str
    small: str
    asked: dict = field(default_factory=dict)  #: figure: the most, or for `least` the least


#: What holds for every hot kernel.
ALWAYS = {"divisions": 0, "bank conflicts": 0, "spilled bytes": 0, "advisories": 0}
#: Heads of so few rows as other small problems have.
SMALL_HEADS = "heads=2 key_heads=1 head_size=64 context=512"
#: Figures of which the least is asked for.
LEAST = ("KiB in flight", "blocks an SM")


def linear(weights, tokens, shape, asked=(), activation="f16"):
    rows, columns = catalog.SHAPES[shape]
    words = f"tokens={tokens} {catalog.words_of(weights)}"
    words += " activation=bf16 output=bf16" if "bf16" in (weights, activation) else ""
    name = f"skinny_linear {weights}{' of bf16' if activation == 'bf16' else ''} M={tokens} {shape}"
    small = f"{words} rows=256 columns={columns}"
    return Row(name, "skinny_linear", f"{words} rows={rows} columns={columns}", small, ALWAYS | dict(asked))


def mixed(tokens, shape):
    """One launch whose ranges of rows have formats of their own, each with a main loop."""
    entry = catalog.mixed(tokens, shape)
    _, weights, columns = catalog.MIXED[shape]
    small = f"tokens={tokens} weights={weights} rows=128:128 columns={columns}"
    return Row(f"{entry.family} mixed M={tokens} {shape}", entry.family, entry.words, small, dict(ALWAYS))


def fused(what, family, words, shape):
    """What a decoder's layer launches at one token: a product with more ahead of it or behind it."""
    words = f"{words} weights=int4_g128 norm=1"
    small = f"{words} columns=4096 {SMALL_HEADS if 'append' in family else 'rows=256'}"
    return Row(f"{family} {what}", family, f"{words} {shape} columns=4096", small, dict(ALWAYS))


def product(weights, tokens, shape, asked=()):
    rows, columns = catalog.SHAPES[shape]
    words = f"tokens={tokens} {catalog.words_of(weights)}"
    small = f"{words} rows=256 columns={columns}"
    name = f"gemm {weights} M={tokens} {shape}"
    return Row(name, "gemm", f"{words} rows={rows} columns={columns}", small, ALWAYS | dict(asked))


def attention(family, what, words, small):
    heads = "heads=32 key_heads=8 head_size=128"
    return Row(f"{family} {what}", family, f"{heads} {words}", f"{heads} {small}", dict(ALWAYS))


def table_rows():
    # Four lop3 unpack a product's codes; what is above 4 is the loop's own, the ring's parity once a unit of a warp.
    alone = {"instructions a weight": 1.6, "lop3 a product": 4.4}
    streams = {"KiB in flight": 48, "blocks an SM": 2}
    rows = [linear("int4_g128", 1, shape, alone | streams) for shape in catalog.SHAPES]
    rows += [
        linear("int4_g128", 8, shape, {"instructions a weight": 2.0, "lop3 a product": 4.4}) for shape in ("o", "down")
    ]
    rows += [linear("int4_g128", tokens, "o") for tokens in (16, 32, 64)]
    # With groups of 32 and several tokens also an address and what splits the sums of x, once a unit.
    several = {"instructions a weight": 2.0, "lop3 a product": 4.7}
    for weights in (*(f"int4{zeros}_g{group}" for zeros in ("", "_asym") for group in (32, 64, 128)), "int4_asym"):
        if weights != "int4_g128":
            rows += [linear(weights, 1, "o", alone), linear(weights, 8, "o", several)]
        rows.append(linear(weights, 1, "o", alone, activation="bf16"))
        rows.append(linear(weights, 8, "o", {"instructions a weight": 2.0}, activation="bf16"))
    rows.append(linear("int4_g32", 64, "o"))
    # Formats of other bits, with code books, scales of two levels and in f32; nothing is asked of their loops.
    later = "int2_g128", "int3_g128", "int5_g128", "int6_g128", "lut3_g128", "lut4_g128"
    levels = "int4_g32_s6", "int4_asym_g32_s6", "lut4_g32_s6", "int4_g32_sf32", "int4_asym_g32_zf_sf32"
    small = "int4_g16", "int4_asym_g16", "int4_asym_g16_sf32", "int8_g16", "nvfp4"
    rows += [linear(weights, tokens, "o") for weights in (*later, *levels, *small) for tokens in (1, 8)]
    rows += [mixed(tokens, shape) for tokens in (1, 8) for shape in catalog.MIXED]
    others = ("int8", "w8a8", "fp8_e4m3", "f16", "bf16")
    rows += [linear(weights, tokens, "o") for weights in others for tokens in (1, 8, 64)]
    rows.append(fused("norm+silu M=1 gate_up", "skinny_linear", "tokens=1 gate=silu", "rows=28672"))
    rows.append(fused("norm+residual M=1 o", "skinny_linear", "tokens=1 residual=1", "rows=4096"))
    heads = "heads=32 key_heads=8 head_size=128 context=4096"
    for cache in ("f16", "int4_g32"):
        rows.append(fused(f"norm {cache} M=1 qkv", "skinny_linear_append", f"key={cache} value=f16", heads))
    # Tensor cores take 6.4 clocks for a product of mma.sync, of which 60 % can issue instructions.
    hidden = {"instructions a product": 3.8}
    rows += [product(weights, 2048, "gate_up", hidden) for weights in ("f16", "int8", "int4_g128", "w8a8")]
    rows += [product("int4_g128", 128, "o")]
    heads = heads.replace("context", "page=64 context")
    cache = "key=int4_asym_g32_zf value=int4_asym_g32_zf"
    rows.append(fused("norm int4_asym_g32_zf M=1 qkv", "skinny_linear_append", cache, heads))
    groups = "int4_asym_g32_zf", "int3_asym_g32_zf", "int2_asym_g32_zf"
    for cache in ("f16", "int8", "fp8_e4m3", "int4", *groups):
        words = f"key={cache} value={cache}"
        rows.append(attention("attention_decode", cache, f"{words} sequences=32 context=4096", f"{words} context=512"))
    for cache in ("f16", "int8", *groups):
        words = f"key={cache} value={cache}"
        small = f"{words} tokens=64 context=256"
        rows.append(attention("attention_prefill", cache, f"{words} tokens=4096 context=4096", small))
    return rows


def product_loops(lines):
    """(first, last) line, from 1, of PTX's loops with products, none of them in a loop within another.

    A wait that spins is a loop, too, but has no products.
    """
    labels = {m[1]: i for i, line in enumerate(lines, 1) if (m := re.match(r"\s*(\$\w+):", line))}
    jumps = [(labels[m[1]], i) for i, line in enumerate(lines, 1) if (m := re.search(r"\bbra\S*\s+(\$\w+);", line))]
    loops = [(b, e) for b, e in jumps if b < e and any("mma.sync" in line for line in lines[b - 1 : e])]
    return [loop for loop in loops if not any(loop[0] <= b and e <= loop[1] and (b, e) != loop for b, e in loops)]


def main_loop(lines):
    """Of the loops with products the one that does most besides these and reads of shared memory: others only add
    activations. None where there is none.
    """

    def work(loop):
        instructions = [line for line in lines[loop[0] - 1 : loop[1]] if re.match(r"\s+(@\S+\s+)?[a-z]\w*\.", line)]
        return sum(not re.search(r"\bmma\.sync|\bld(matrix|\.shared)", line) for line in instructions)

    return max(product_loops(lines), key=work, default=None)


def make(build, row, words, arch, output):
    command = [build / "bin/qopt-kernel", row.family, *words.split(), "--arch", arch, "-o", output]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise RuntimeError(done.stderr.strip())
    return json.loads(output.with_suffix(".json").read_text())


def numbers_of(schedule):
    """A schedule without what follows from the size of the problem."""
    return {name: value for name, value in schedule.items() if name not in ("why", "grid", "splits")}


def make_small(build, row, schedule, arch, output):
    """The kernel with this schedule, for fewer rows."""
    words = numbers_of(schedule)
    if "grid" in schedule:  # two blocks for each part of the columns
        words["grid"] = 2 * schedule["slices"]
    listed = ",".join(f"{name}={value}" for name, value in words.items())
    small = make(build, row, f"{row.small} --schedule {listed}", arch, output)["schedule"]
    if numbers_of(small) != numbers_of(schedule):
        raise RuntimeError(f"the smaller problem has another schedule: {small}")


def conflicts(build, row, schedule, arch, output):
    """Bank conflicts of the reads of shared memory in the loops with products, as the emulator counts them; their text.

    Each segment has a main loop of its own.
    """
    make_small(build, row, schedule, arch, output)
    case = families.case_of(output.with_suffix(".json"))
    _, text = emulator.launch(case, build / "bin/qopt-emulate", ["--json", "--checks", "none"])
    lines = output.with_suffix(".ptx").read_text().splitlines()
    loops = product_loops(lines)
    if not loops:
        raise RuntimeError("the PTX of its smaller problem has no loop with products")
    counts = {int(line): entry["conflicts"] for line, entry in json.loads(text).get("bank_conflicts", {}).items()}
    read = [[i for i in counts if b <= i <= e and re.search(r"\bld(matrix|\.shared)", lines[i - 1])] for b, e in loops]
    if not all(read):
        raise RuntimeError("a loop with products of its smaller problem did not run")
    return sum(counts[i] for reads in read for i in reads), [line for b, e in loops for line in lines[b - 1 : e]]


def figures_of(build, row, arch):
    """Everything that the table shows of a kernel."""
    with tempfile.TemporaryDirectory() as folder:
        record = make(build, row, row.words, arch, pathlib.Path(folder) / "kernel")
        banks, loop = conflicts(build, row, record["schedule"], arch, pathlib.Path(folder) / "small")
    resources, counts = record["resources"], record["sass"]["main_loop"]
    figures = {"registers": resources["registers"], "loop": counts["instructions"], "bank conflicts": banks}
    figures["divisions"] = sum(bool(re.search(r"\b(div|rem)\.[su]", line)) for line in loop)
    figures["spilled bytes"] = resources["spill_bytes"] + resources["local_bytes"]
    figures["advisories"] = len(resources["advisories"])
    figures["KiB in flight"] = record["sizes"]["bytes_in_flight"] / KIB
    figures["blocks an SM"] = resources["blocks_per_sm"]
    if row.family.startswith("skinny_linear"):
        # Eight weights of a lane are a product of the tensor cores for each tile of tokens; of integers sixteen.
        opcodes = counts["opcodes"]
        products = (counts["half_products"] + 2 * opcodes.get("IMMA", 0)) / record["sizes"]["token_tiles"]
        figures["instructions a weight"] = counts["instructions"] / products / 8
        if "int4" in row.words:
            figures["lop3 a product"] = opcodes.get("LOP3", 0) / products
    if row.family == "gemm":
        products = counts["opcodes"].get("HMMA", 0) + counts["opcodes"].get("IMMA", 0)
        figures["instructions a product"] = counts["instructions"] / products
    return figures


def result_of(build, row, arch):
    """A line of the table; a kernel that cannot be made or counted meets nothing."""
    # The hot loop is asked about on the architecture that it is tuned for.
    asked = row.asked if arch == "sm_90a" else ALWAYS
    result = {"name": f"{row.name}, {arch}", "asked": asked, "figures": {}}
    try:
        result["figures"] = figures_of(build, row, arch)
        missed = [name for name, most in asked.items() if not holds(name, result["figures"][name], most)]
    except Exception as error:
        missed = [f"{type(error).__name__}: {error}"]
    return {**result, "missed": missed, "met": not missed}


def holds(name, value, asked):
    return value >= asked if name in LEAST else value <= asked


COLUMNS = (
    "instructions a weight",
    "instructions a product",
    "lop3 a product",
    "divisions",
    "bank conflicts",
    "registers",
    "spilled bytes",
)
COLUMNS += ("advisories", "KiB in flight", "blocks an SM")


def spell(value):
    return "—" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def print_table(results):
    print("| kernel | " + " | ".join(COLUMNS) + " | asked | met |\n" + "|---" * (len(COLUMNS) + 3) + "|")
    for result in results:
        figures, asked = result["figures"], result["asked"]
        wanted = [f"{n} {'≥' if n in LEAST else '≤'} {v}" for n, v in asked.items() if n not in ALWAYS]
        cells = [spell(figures.get(name)) for name in COLUMNS]
        met = "yes" if result["met"] else "no: " + ", ".join(result["missed"])
        print(f"| {result['name']} | " + " | ".join(cells) + f" | {'; '.join(wanted) or '—'} | {met} |")
    zeros = ", ".join(ALWAYS)
    print(f"\nAsked of every kernel to be 0: {zeros}. The main loop is counted, registers and spills are the kernel's.")
    print(
        "All else is asked of sm_90a. Bank conflicts are those of reads; 4 lop3 unpack the codes of a product, what is "
        "above is the ring's."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="build folder")
    parser.add_argument("--arch", default=",".join(ARCHITECTURES), help="architectures with commas between")
    parser.add_argument("--only", default="*", help="names or patterns of kernels, with commas between")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures as JSON")
    options = parser.parse_args()
    rows = [row for row in table_rows() if any(fnmatch.fnmatch(row.name, p) for p in options.only.split(","))]
    if not rows:
        parser.error(f'no kernel matches "{options.only}"')
    for arch in options.arch.split(","):
        if arch not in ARCHITECTURES:
            parser.error(f'unknown architecture "{arch}"; expected {" or ".join(ARCHITECTURES)}')
    wanted = [(row, arch) for arch in options.arch.split(",") for row in rows]
    results = []
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda job: result_of(options.build, *job), wanted):
            results.append(result)
            print(f"{len(results)} of {len(wanted)}: {result['name']}", file=sys.stderr, flush=True)
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(0 if all(result["met"] for result in results) else 1)


if __name__ == "__main__":
    main()
