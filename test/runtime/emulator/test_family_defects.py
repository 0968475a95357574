"""Defects put into the PTX of generated kernels are reported, of their kind and at their line."""

import re

import pytest
from conftest import BUILD

SPLIT = "tokens=5 k=4096 rows=192:int4_g128 slices=2 grid=4"  # bulk copies, sums of several blocks
WHOLE = "tokens=5 k=1024 rows=768:int4_g128 slices=1 grid=4 whole=1"  # bulk copies, sums of warps in a ring
ATTENTION = "attention heads=8 kv=2 d=64 key=int8 value=f16 sequences=1:300,1:90"  # paged cache, parts of a context
PLAIN = "arch=sm_80 tokens=8 k=2048 rows=160:int8 slices=1 grid=3"  # cp.async


@pytest.fixture(scope="session")
def make(tool, tmp_path_factory):
    """make(case) is a folder with kernel.ptx, launch.txt and args.npz of a kernel."""
    made = {}

    def run(case):
        attention = case.startswith("attention ")
        program = "attention-decode" if attention else "skinny-linear"
        if not (BUILD / "test/bin" / program).exists():
            pytest.skip(f"the program {program} is not built")
        if case not in made:
            made[case] = tmp_path_factory.mktemp("kernel")
            tool(program, "make", case.removeprefix("attention "), made[case])
        return made[case]

    return run


def emulate(tool, folder, ptx, out):
    launch = dict(line.split(" ", 1) for line in (folder / "launch.txt").read_text().splitlines())
    shape = [word for name in ("kernel", "grid", "block", "shared") for word in (f"--{name}", launch[name])]
    options = ["--args", folder / "args.npz", "--out", out, "--schedules", 4, "--max-instructions", 300000]
    return tool("qopt-emulate", ptx, *shape, *options, check=False)


def find(lines, pattern, nth=0):
    found = [i for i, line in enumerate(lines) if re.search(pattern, line)]
    assert found, f"no line matches {pattern!r}"
    return found[nth]


def drop(pattern, nth=0):
    def change(lines):
        lines[find(lines, pattern, nth)] = ""

    return change


def replace(pattern, old, new, nth=0):
    def change(lines):
        at = find(lines, pattern, nth)
        assert re.search(old, lines[at]), lines[at]
        lines[at] = re.sub(old, new, lines[at])

    return change


def before(pattern, target, nth=0, of=-1):
    """Drops the line that matches `pattern` nearest before the one that matches `target`."""

    def change(lines):
        end = find(lines, target, nth)
        lines[end - 1 - find(lines[end - 1 :: -1], pattern)] = ""

    return change


def no_wait(nth):
    """The nth wait at an mbarrier does not wait."""
    return replace(r"(try|test)_wait", r"mbarrier\.\w+_wait\S+\s+(%?\w+),[^;]*;", r"setp.eq.u32 \1, 0, 0;", nth)


def no_wait_before(target):
    """The wait nearest before the line that matches does not wait."""

    def change(lines):
        end = find(lines, target)
        waits = [i for i in range(end) if re.search(r"(try|test)_wait", lines[i])]
        no_wait(len(waits) - 1)(lines)

    return change


SHARED = r"(ld|st)\.shared|cp\.async"
MEMORY = r"ld\.global|st\.shared"
WAIT = r"wait|bar|bra|not\.pred"
EARLY = "race|uninitialised|async copy|invalid use"

# Name: case, change, kinds of finding, what the reported line holds. The loader's waits come first: wait 0 is for a
# stage to be empty, wait 1 bounds the bytes on their way and orders nothing.
DEFECTS = {
    "barriers used before they are made": (SPLIT, drop(r"bar\.sync\s+0"), EARLY, "mbarrier"),
    "activations used before they are there": (SPLIT, drop(r"bar\.sync\s+1"), EARLY, SHARED),
    "activations never stored": (SPLIT, drop(r"st\.shared\.v4"), "uninitialised", r"ld\.shared"),
    "activations beyond the last token": (
        SPLIT,
        before(r"@%p\d+ bra", r"ld\.global\.v4"),
        "out of bounds|race",
        MEMORY,
    ),
    "weights used before they are there": (WHOLE, no_wait_before(r"mma\.sync"), EARLY, r"ld\.shared"),
    "stage reused early": (SPLIT, no_wait(0), EARLY, SHARED + "|expect_tx"),
    "weights that never come": (SPLIT, drop(r"cp\.async\.bulk"), "deadlock", WAIT),
    "weights of the wrong place": (
        SPLIT,
        replace(r"cp\.async\.bulk", r"\[(%rd\d+)\]", r"[\1+524288]"),
        "out of bounds",
        r"cp\.async\.bulk",
    ),
    "weights that are not aligned": (
        SPLIT,
        replace(r"cp\.async\.bulk", r"\[(%rd\d+)\]", r"[\1+4]"),
        "misaligned",
        r"cp\.async\.bulk",
    ),
    "stage never given back": (SPLIT, drop(r"mbarrier\.arrive\.shared", -1), "deadlock", WAIT),
    "sums read before they are there": (WHOLE, no_wait(2), EARLY, SHARED),
    "sums overwritten while they are read": (WHOLE, no_wait(3), EARLY, SHARED),
    "sums never announced": (
        WHOLE,
        drop(r"mbarrier\.arrive\.shared\S*\s+%rd\d+, \[shared\+\d+\]", -1),
        "deadlock",
        WAIT,
    ),
    "sums of blocks without a fence": (
        SPLIT,
        replace(r"atom\.acq_rel", r"acq_rel", "relaxed"),
        "race",
        r"(ld|st)\.global",
    ),
    "sums of blocks counted without an atomic": (
        SPLIT,
        replace(
            r"atom\.acq_rel",
            r"atom\.\S+\s+(%r\d+), (\[%rd\d+\]), (%r\d+);",
            r"{.reg .u32 o; ld.global.u32 \1, \2; add.u32 o, \1, 1; st.global.u32 \2, o; membar.gl;}",
        ),
        "race",
        r"(ld|st)\.global",
    ),
    "result beyond its rows": (SPLIT, replace(r"st\.global\.b16", r"\]", "+8192]", -1), "out of bounds", r"st\.global"),
    "result at an odd address": (
        SPLIT,
        replace(r"st\.global\.b16", r"(\+\d+)?\]", "+1]", -1),
        "misaligned",
        r"st\.global",
    ),
    "barrier for one arrival more": (
        SPLIT,
        replace(r"mbarrier\.init", r"%r\d+;", "9;"),
        "deadlock",
        WAIT,
    ),
    "barrier at an odd place": (
        SPLIT,
        replace(r"mbarrier\.init", r"\+8\]", "+12]", 1),
        "misaligned|invalid use",
        "mbarrier",
    ),
    "barrier that one warp skips": (
        SPLIT,
        replace(r"bar\.sync\s+1", r"bar", "@%p1 bar"),
        "deadlock|barrier divergence|uninitialised|race",
        WAIT + "|" + SHARED,
    ),
    "copies never announced": (PLAIN, drop(r"cp\.async\.mbarrier"), "deadlock|watchdog|async copy", WAIT),
    "copies used before they are there": (PLAIN, no_wait_before(r"mma\.sync"), EARLY, r"ld\.shared"),
    "copies into the wrong stage": (
        PLAIN,
        replace(r"cp\.async\.cg", r"\[(%r\d+)\]", r"[\1+16]"),
        EARLY,
        SHARED,
    ),
    "copies from beyond the weights": (
        PLAIN,
        replace(r"cp\.async\.cg", r"\[(%rd\d+)\]", r"[\1+524288]"),
        "out of bounds",
        r"cp\.async",
    ),
    "copies into a stage in use": (PLAIN, no_wait(0), EARLY, SHARED),
    "activations not waited for": (PLAIN, drop(r"bar\.sync\s+1"), EARLY, SHARED),
    "cache still in use when sums come": (ATTENTION, drop(r"bar\.sync"), EARLY, SHARED + "|ldmatrix"),
    "keys and values not waited for": (ATTENTION, drop(r"cp\.async\.wait_group"), EARLY, SHARED + "|ldmatrix"),
    "keys and values waited for too late": (
        ATTENTION,
        replace(r"cp\.async\.wait_group", r"wait_group\s+\d+", "wait_group 7"),
        EARLY,
        SHARED + "|ldmatrix",
    ),
    "page beyond the cache": (
        ATTENTION,
        replace(r"cp\.async\.cg", r"\[(%rd\d+)\]", r"[\1+1048576]"),
        "out of bounds",
        r"cp\.async",
    ),
    "page number beyond the table": (
        ATTENTION,
        replace(r"ld\.global\.nc\.s32", r"\[(%rd\d+)\]", r"[\1+65536]"),
        "out of bounds",
        r"ld\.global",
    ),
    "parts of a context without a fence": (
        ATTENTION,
        replace(r"atom\.acq_rel", "acq_rel", "relaxed"),
        "race",
        r"(ld|st)\.global",
    ),
    "output at an odd address": (
        ATTENTION,
        replace(r"st\.global", r"(\+\d+)?\]", "+1]", -1),
        "misaligned",
        r"st\.global",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_reported(make, tool, tmp_path, name):
    case, change, kinds, line = DEFECTS[name]
    folder = make(case)
    lines = (folder / "kernel.ptx").read_text().splitlines()
    before = list(lines)
    change(lines)
    assert lines != before
    ptx = tmp_path / "kernel.ptx"
    ptx.write_text("\n".join(lines) + "\n")
    run = emulate(tool, folder, ptx, tmp_path / "out.npz")
    assert run.returncode != 0, "the defect was not reported"
    report = re.search(r"error: (?:schedule \d+: )?([a-z ]+): kernel '\w+', ptx line (\d+)", run.stderr)
    assert report and re.fullmatch(kinds, report[1]), run.stderr
    assert re.search(line, lines[int(report[2]) - 1]), run.stderr


@pytest.mark.parametrize("case", [SPLIT, WHOLE])
def test_bound_of_bytes_orders_nothing(make, tool, tmp_path, case):
    folder = make(case)
    lines = (folder / "kernel.ptx").read_text().splitlines()
    no_wait(1)(lines)
    ptx = tmp_path / "kernel.ptx"
    ptx.write_text("\n".join(lines) + "\n")
    run = emulate(tool, folder, ptx, tmp_path / "out.npz")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("case", [SPLIT, PLAIN, ATTENTION])
def test_unchanged_kernel_is_clean(make, tool, tmp_path, case):
    folder = make(case)
    run = emulate(tool, folder, folder / "kernel.ptx", tmp_path / "out.npz")
    assert run.returncode == 0, run.stderr
