"""The emulator catches: a defect put into the PTX of a correct program is reported, of its kind and at its line."""

import re

import numpy as np
import pytest
from cuda_kernels import Source

pytest_plugins = ["cuda_kernels"]


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 13


def words(*shape):
    return np.zeros(shape, np.int32)


def number(value):
    return np.int32(value)


# Kernel: program, grid, block, bytes of dynamic shared memory, arguments.
LAUNCHES = {
    "sumTree": ("reduce", 4, 256, 0, (floats(1000), floats(4), number(1000))),
    "scanShared": ("reduce", 2, 128, 1024, (words(2, 128), words(2, 128))),
    "sumLastBlock": ("reduce", 7, 32, 0, (floats(2000), floats(7), words(1).view(np.uint32), floats(1), number(2000))),
    "histogramShared": ("reduce", 3, 128, 0, (words(5000).astype(np.uint8), words(256), number(5000))),
    "scanLookback": ("reduce", 5, 128, 0, (words(640), words(640), words(1), np.zeros(5, np.uint64))),
    "transpose": ("memory", (3, 2), (32, 4), 0, (floats(50, 70), floats(70, 50), number(50), number(70))),
    "matmulTiled": (
        "memory",
        (2, 2),
        (16, 16),
        0,
        (floats(20, 37), floats(37, 30), floats(20, 30), number(20), number(30), number(37)),
    ),
    "reverseDynamic": ("memory", 2, 64, 800, (floats(2, 100).astype(np.float64), number(100))),
    "copyAsync": ("memory", 2, 64, 0, (floats(2, 8, 64, 4), floats(2, 64), number(8))),
    "copyAsyncEdge": ("memory", 1, 32, 0, (floats(5), floats(128), number(5))),
    "copyBulk": ("memory", 2, 96, 0, (floats(2, 9, 4, 64), floats(2, 64), number(9))),
    "storeBulk": ("memory", 3, 128, 0, (floats(3, 128),)),
    "flagsBetweenWarps": ("warp", 1, 64, 0, (words(6, 32), number(6))),
    "namedBarriers": ("warp", 1, 96, 0, (words(5, 2, 32), number(5))),
    "mbarrierRounds": ("warp", 1, 128, 0, (words(128), number(9))),
    "lockBlocks": ("warp", 3, 32, 0, (words(1), words(1), words(96))),
    "mmaLdmatrix": ("tensor", 1, 32, 0, (words(16, 32), words(64, 4), floats(16, 8), number(64))),
    "bitonicSort": ("control", 2, 256, 0, (floats(2, 256),)),
    "blockMergeSort": ("blocks", 2, 128, 0, (words(1024), words(1024), number(512))),
    "clusterSum": ("cluster", 8, 128, 0, (floats(8, 128), floats(2))),
    "clusterHistogram": ("cluster", 4, 128, 0, (words(512).astype(np.uint8), words(256))),
    "clusterRing": ("cluster", (1, 4), 32, 0, (words(4, 32), words(4, 32))),
}


def drop(pattern, nth=0):
    """Takes the nth line that matches away."""

    def change(source):
        source.lines[source.find(pattern, nth)] = ""

    return change


def drop_all(pattern):
    def change(source):
        for i in source.range:
            if re.search(pattern, source.lines[i]):
                source.lines[i] = ""

    return change


def replace(pattern, old, new, nth=0):
    """Changes the nth line that matches."""

    def change(source):
        at = source.find(pattern, nth)
        assert re.search(old, source.lines[at])
        source.lines[at] = re.sub(old, new, source.lines[at])

    return change


def replace_all(old, new):
    def change(source):
        assert any(re.search(old, source.lines[i]) for i in source.range)
        for i in source.range:
            source.lines[i] = re.sub(old, new, source.lines[i])

    return change


def both(*changes):
    def change(source):
        for each in changes:
            each(source)

    return change


TRY_WAIT = r"mbarrier\.try_wait[^;]*;"

# Name: kernel, change, kinds of finding, what the reported line holds.
DEFECTS = {
    "barrier removed before a tree": ("sumTree", drop("bar.sync"), "race|uninitialised", r"(ld|st)\.shared"),
    "barrier removed in a loop": ("sumTree", drop("bar.sync", 1), "race", r"(ld|st)\.shared"),
    "elements beyond the end": ("sumTree", drop(r"@%p1 bra"), "out of bounds", r"ld\.global"),
    "shared memory never filled": ("sumTree", drop(r"st\.shared"), "uninitialised", r"ld\.shared"),
    "register never set": ("sumTree", drop(r"mov\.f32"), "uninitialised", r"st\.shared"),
    "barrier that some lanes skip": (
        "sumTree",
        replace("bar.sync", "bar", "@!%p1 bar"),
        "barrier divergence|deadlock",
        r"bar\.sync",
    ),
    "scan without a barrier": ("scanShared", drop("bar.sync", 1), "race|uninitialised", r"(ld|st)\.shared"),
    "one element beyond shared memory": (
        "scanShared",
        replace(r"st\.shared", r"\]", "+4]", 1),
        "out of bounds",
        r"st\.shared",
    ),
    "split sum without a fence": ("sumLastBlock", drop("membar"), "race", r"ld\.volatile\.global|st\.global"),
    "split sum read too early": ("sumLastBlock", drop(r"bar\.sync"), "race|uninitialised", r"ld\.shared|st\.shared"),
    "counter that is not atomic": (
        "sumLastBlock",
        replace(
            r"atom\.global",
            r"atom\.global\.add\.u32\s+(%r\d+), (\[%rd\d+\]), 1;",
            r"{.reg .u32 old; ld.global.u32 \1, \2; add.u32 old, \1, 1; st.global.u32 \2, old;}",
        ),
        "race",
        r"ld\.global\.u32|st\.global",
    ),
    "counts not yet cleared": ("histogramShared", drop("bar.sync"), "race|uninitialised", r"st\.shared|atom\.shared"),
    "counts read too early": ("histogramShared", drop("bar.sync", 1), "race", r"ld\.shared|atom\.shared"),
    "counts that are not atomic": (
        "histogramShared",
        replace(
            r"atom\.shared",
            r"atom\.shared\.add\.u32\s+(%r\d+), (\[%r\d+\]), 1;",
            r"{.reg .u32 old; ld.shared.u32 \1, \2; add.u32 old, \1, 1; st.shared.u32 \2, old;}",
        ),
        "race",
        r"ld\.shared|st\.shared",
    ),
    "loop one element too long": (
        "histogramShared",
        replace(r"setp\.lt\.s32\s+%p7", "256", "257"),
        "out of bounds",
        r"ld\.shared",
    ),
    "flag read as plain data": ("scanLookback", replace_all(r"\.volatile", ""), "race|watchdog", r"(ld|st)\.global"),
    "scan shares a stage too early": ("scanLookback", drop("bar.sync", 3), "race", r"(ld|st)\.shared"),
    "transpose without a barrier": ("transpose", drop("bar.sync"), "race|uninitialised", r"(ld|st)\.shared"),
    "tile used before it is there": ("matmulTiled", drop("bar.sync"), "race|uninitialised", r"(ld|st)\.shared"),
    "tile overwritten while in use": ("matmulTiled", drop("bar.sync", 1), "race", r"(ld|st)\.shared"),
    "reversal without a barrier": ("reverseDynamic", drop("bar.sync"), "race|uninitialised", r"(ld|st)\.shared"),
    "copies never waited for": ("copyAsync", drop_all("cp.async.wait_group"), "async copy", r"ld\.shared|cp\.async"),
    "copies waited for too late": (
        "copyAsync",
        replace_all(r"wait_group 1", "wait_group 2"),
        "async copy",
        r"ld\.shared|cp\.async",
    ),
    "copies of other threads not waited for": (
        "copyAsync",
        drop("bar.sync"),
        "race|async copy|uninitialised",
        r"ld\.shared|cp\.async",
    ),
    "stage of copies reused early": (
        "copyAsync",
        drop("bar.sync", 1),
        "race|async copy|uninitialised",
        r"ld\.shared|cp\.async",
    ),
    "edge without a wait": ("copyAsyncEdge", drop("cp.async.wait_all"), "async copy", r"ld\.shared|cp\.async"),
    "edge copied whole": (
        "copyAsyncEdge",
        replace(r"cp\.async\.cg", r"16, %r\d+;", "16, 16;"),
        "out of bounds",
        r"cp\.async",
    ),
    "bulk stage used before it is full": (
        "copyBulk",
        replace("try_wait", TRY_WAIT, "setp.eq.u32 p, 0, 0;", -1),
        "async copy|race|uninitialised",
        r"ld\.shared",
    ),
    "bulk stage reused before it is empty": (
        "copyBulk",
        replace("try_wait", TRY_WAIT, "setp.eq.u32 p, 0, 0;"),
        "async copy|race|invalid use",
        r"ld\.shared|cp\.async\.bulk|expect_tx",
    ),
    "more bytes expected than copied": (
        "copyBulk",
        replace_all(r"(mov\.u32\s+%r\d+), 1024;", r"\1, 2048;"),
        "deadlock",
        r"try_wait|bra",
    ),
    "bulk copy of misaligned data": (
        "copyBulk",
        replace(r"cp\.async\.bulk\.shared", r"\[(%rd\d+)\]", r"[\1+4]", -1),
        "misaligned",
        r"cp\.async\.bulk",
    ),
    "bulk store never waited for": ("storeBulk", drop(r"bulk\.wait_group"), "async copy", r"cp\.async\.bulk"),
    "bulk store of data not yet written": (
        "storeBulk",
        drop(r"bar\.sync"),
        "race|uninitialised",
        r"cp\.async\.bulk|st\.shared",
    ),
    "flag without fences": ("flagsBetweenWarps", drop_all("membar"), "race", r"(ld|st)\.shared"),
    "stage of a named barrier reused early": (
        "namedBarriers",
        drop_all(r"bar\.sync 2"),
        "race|barrier divergence",
        r"st\.shared|ld\.shared|bar",
    ),
    "named barrier with too few threads": (
        "namedBarriers",
        replace_all(r"bar\.sync 1, 96", "bar.sync 1, 64"),
        "race|barrier divergence|uninitialised",
        r"st\.shared|ld\.shared|bar",
    ),
    "blocks of a cluster that do not meet": (
        "clusterSum",
        both(drop("cluster.arrive"), drop("cluster.wait")),
        "race|uninitialised",
        r"ld\.f32|st\.shared",
    ),
    "cluster arrival that orders nothing": (
        "clusterSum",
        replace("cluster.arrive", "arrive", "arrive.relaxed"),
        "race",
        r"ld\.f32",
    ),
    "block that ends while others read": (
        "clusterSum",
        both(drop("cluster.arrive", -1), drop("cluster.wait", -1)),
        "race|invalid use",
        r"ld\.f32",
    ),
    "rank beyond the cluster": ("clusterSum", replace("mapa", r"%r\d+;", "4;"), "out of bounds", "mapa"),
    "bins not yet cleared": (
        "clusterHistogram",
        both(drop("cluster.arrive"), drop("cluster.wait")),
        "race|uninitialised",
        r"st\.shared|atom\.add",
    ),
    "cluster wait forgotten": ("clusterRing", drop("cluster.wait"), "invalid use", r"cluster\.arrive"),
    "mbarrier never waited for": (
        "mbarrierRounds",
        drop_all("@!p bra AGAIN"),
        "race|uninitialised",
        r"(ld|st)\.shared",
    ),
    "mbarrier for one thread more": (
        "mbarrierRounds",
        replace(r"mov\.u32", r", 128", ", 129", 2),
        "deadlock|watchdog",
        r"mbarrier|bra",
    ),
    "lock released without a fence": (
        "lockBlocks",
        both(drop("membar", 1), replace_all(r"\.volatile", "")),
        "race",
        r"(ld|st)\.global",
    ),
    # A watchdog ends a warp anywhere in the loop that waits.
    "lock never released": (
        "lockBlocks",
        drop(r"atom\.global\.exch"),
        "deadlock|watchdog",
        r"atom|bra|setp|ret|mov|not",
    ),
    "lanes of a warp not in step": ("mmaLdmatrix", drop("bar.warp.sync"), "race", r"ldmatrix|st\.shared"),
    "keys merged before they are there": ("blockMergeSort", drop("bar.sync", 1), "race", r"(ld|st)\.shared"),
    "keys never given to the other threads": (
        "blockMergeSort",
        drop_all(r"st\.shared"),
        "uninitialised",
        r"ld\.shared",
    ),
    "sort without a barrier": ("bitonicSort", drop("bar.sync"), "race", r"(ld|st)\.shared"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_reported(program, emulate, tmp_path, name):
    kernel, change, kinds, line = DEFECTS[name]
    file, grid, block, shared, arguments = LAUNCHES[kernel]
    source = Source(program(file), kernel)
    before = list(source.lines)
    change(source)
    assert source.lines != before
    limit = ["--max-instructions", 100000]
    path = source.write(tmp_path / "defect.ptx")
    run = emulate(path, kernel, grid, block, *arguments, shared=shared, schedules=4, check=False, options=limit)
    assert run.status != 0, "the defect was not reported"
    report = re.search(r"error: (?:schedule \d+: )?([a-z ]+): kernel '(\w+)', ptx line (\d+)", run.stderr)
    assert report, run.stderr
    assert re.fullmatch(kinds, report[1]) and report[2] == kernel, run.stderr
    # An undefined value is told where it is used, and where it came from.
    origin = re.search(r"(?:loaded|read) at ptx line (\d+)", run.stderr)
    at = int(origin[1] if origin else report[3]) - 1
    assert at in source.range and re.search(line, source.lines[at]), run.stderr


@pytest.mark.parametrize("kernel", LAUNCHES)
def test_unchanged_kernel_is_clean(program, emulate, kernel):
    file, grid, block, shared, arguments = LAUNCHES[kernel]
    schedules = 1 if kernel == "lockBlocks" else 4
    emulate(program(file), kernel, grid, block, *arguments, shared=shared, schedules=schedules)
