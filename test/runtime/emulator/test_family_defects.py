"""A defect put into the PTX of a generated kernel is reported, of its kind and at its line, in every family."""

import re
import subprocess
import sys
from typing import NamedTuple

import conftest
import numpy as np
import pytest

sys.path.insert(0, str(conftest.SOURCE / "bench"))
from gpu import emulator, families  # noqa: E402

EMULATE = conftest.BUILD / "bin/qopt-emulate"
SLICES = "column_warps=1,row_warps=4,whole_tiles=1,units_per_stage=2"
CASES = {
    # Bulk copies, sums of several blocks.
    "split": f"skinny_linear tokens=5 columns=4096 rows=192 --schedule slices=2,grid=4,{SLICES}",
    # Bulk copies, sums of warps in a ring.
    "whole": "skinny_linear tokens=5 columns=1024 rows=768 --schedule slices=1,grid=4,whole_tiles=1",
    # cp.async with mbarriers.
    "plain": "skinny_linear tokens=8 columns=2048 rows=160 weights=int8 --arch sm_80 --schedule slices=1,grid=3",
    # Two formats in one launch, each with a loop.
    "segments": "skinny_linear tokens=3 columns=1024 rows=64:64 weights=int8:int4_g128 --schedule slices=1,grid=2",
    "append": "skinny_linear_append heads=4 key_heads=2 head_size=64 columns=256 context=100 key=int8 value=int4 norm=1",
    # cp.async in groups, slices that are added by their last block.
    "gemm": "gemm rows=64 columns=512 tokens=130 weights=f16 --schedule slices=4",
    "gemm int4": "gemm rows=100 columns=320 tokens=70 weights=int4_g64",
    # Heads of a tile that no other block waits for.
    "gemm append": "gemm_append heads=4 key_heads=2 head_size=64 columns=256 tokens=70 context=100 key=int8 value=int4",
    # A context in two parts, each on a block.
    "decode": "attention_decode heads=8 key_heads=2 head_size=64 sequences=2 context=300 key=int8 --schedule splits=2",
    "prefill": "attention_prefill heads=4 key_heads=2 head_size=64 tokens=70 context=150 key=int8",
    "norm": "norm rows=4 columns=4104 residual=1",
    "quantize": "quantize rows=3 columns=4104",
    "gated": "gated_activation rows=4 columns=688 result=int8",
    "rotary": "rotary_append heads=4 key_heads=2 head_size=64 tokens=3 sequences=2 context=70 key=int8",
    "groups": "rotary_append heads=2 key_heads=1 head_size=64 tokens=40 context=75 key=int4_g32",
    "table": "rotary_table tokens=7 count=64",
    "argmax": "argmax rows=2 columns=50001",
    "sampling": "sampling rows=2 columns=5000",
    "gather": "gather_rows ids=6 rows=50 columns=512",
    "indices": "check_indices count=1000 outside=3",
}


@pytest.fixture(scope="session")
def make(tool, tmp_path_factory):
    """make(name) is the record of a case and the file of its arguments."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("kernel")
            tool("qopt-kernel", *CASES[name].split(), "--ptx-only", "-o", folder / "kernel")
            case = families.case_of(folder / "kernel.json")
            np.savez(folder / "args.npz", **emulator.arguments_of(case))
            made[name] = case.record, folder / "args.npz"
        return made[name]

    return run


def emulate(record, arguments, ptx, *options):
    command = [*emulator.command_of(record, EMULATE), ptx, "--args", arguments, "--max-instructions", 300000, *options]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


# Changes: of the lines, in place; the result is the number of the line that is another.


def find(lines, pattern, nth=0):
    found = [i for i, line in enumerate(lines) if re.search(pattern, line)]
    assert found, f"no line matches {pattern!r}"
    return found[nth]


def drop(pattern, nth=0):
    def change(lines):
        at = find(lines, pattern, nth)
        lines[at] = ""
        return at

    return change


def replace(pattern, old, new, nth=0):
    def change(lines):
        at = find(lines, pattern, nth)
        assert re.search(old, lines[at]), lines[at]
        lines[at] = re.sub(old, new, lines[at])
        return at

    return change


def move(pattern, by, nth=0):
    """The address in global memory is so many bytes further."""
    return replace(pattern, r"\[(%rd\d+)(?:\+(-?\d+))?\]", lambda at: f"[{at[1]}+{int(at[2] or 0) + by}]", nth)


def one_more(pattern, nth=0):
    """The number that is loaded is one more."""
    return replace(pattern, r"(\.b32\s+(%r\d+), [^;]*;)", r"\1 add.u32 \2, \2, 1;", nth)


def relax(pattern=r"atom\.acq_rel"):
    return replace(pattern, "acq_rel", "relaxed")


def no_wait(nth):
    """The nth wait at an mbarrier does not wait."""
    return replace(r"(try|test)_wait", r"mbarrier\.\w+_wait\S+\s+(%?\w+),[^;]*;", r"setp.eq.u32 \1, 0, 0;", nth)


def no_wait_before(target):
    """The wait nearest before the line that matches does not wait."""

    def change(lines):
        end = find(lines, target)
        waits = [i for i in range(end) if re.search(r"(try|test)_wait", lines[i])]
        return no_wait(len(waits) - 1)(lines)

    return change


# Places: the lines that may be told, of the changed text and the number of its changed line.


def here(lines, at):
    return {at}


def behind(pattern, *nth):
    """The first line that matches behind the change, or those of these numbers."""

    def place(lines, at):
        return {at + 1 + find(lines[at + 1 :], pattern, n) for n in nth or (0,)}

    return place


def line(pattern, *nth):
    """The same, from the first line on."""
    return lambda lines, at: behind(pattern, *nth)(lines, -1)


class Defect(NamedTuple):
    case: str
    change: object
    kind: str  #: or several with bars between
    place: object
    why: str = ""  #: why there are several kinds or places


EARLY = "a reader that is before the writer reads what nobody wrote, one that is behind it what is not ordered"
NEXT = "who does not wait reads too early, or empties the bins of the next round too early"
ARRIVING = "what is copied has not been asked for, is on its way, or came without an order"
OTHER = "which blocks' sums were written by another block depends on who is the last"
ANY_WARP = "whether a warp of keys or of values is the first is open"
READ = r"ld\.shared"
NUMBER = r"ld\.global\.nc\.b32"
STORE = r"st\.global"
HALF = r"st\.global\.b16"
MEETS = "of a row and the next which are stored at one place, the later one is told"
COPY = r"cp\.async\.cg"
VECTOR = r"ld\.shared\.v4"
POISON = 1 << 20

# The loader's waits come first: wait 0 is for a stage to be empty, wait 1 bounds the bytes on their way and orders
# nothing.
DEFECTS = {
    "mbarriers used before they are made": Defect(
        "split", drop(r"bar\.sync\s+0"), "uninitialised|race", behind("try_wait"), EARLY
    ),
    "activations used before they are there": Defect(
        "split", drop(r"bar\.sync\s+1"), "uninitialised|race", behind(VECTOR), EARLY
    ),
    "activations never stored": Defect("split", drop(r"st\.shared\.v4"), "uninitialised", behind(VECTOR)),
    "weights used before they are there": Defect(
        "whole", no_wait_before("lop3"), "async copy|race", behind(READ), ARRIVING
    ),
    "stage reused early": Defect("split", no_wait(0), "race", behind(r"cp\.async\.bulk")),
    "weights that never come": Defect("split", drop(r"cp\.async\.bulk"), "deadlock", behind("try_wait", 1)),
    "weights of the wrong place": Defect("split", move(r"cp\.async\.bulk", POISON), "out of bounds", here),
    "weights that are not aligned": Defect("split", move(r"cp\.async\.bulk", 4), "misaligned", here),
    "stage never given back": Defect("split", drop(r"mbarrier\.arrive\.shared", -1), "deadlock", line("try_wait", 2)),
    "sums read before they are there": Defect("whole", no_wait(2), "uninitialised", behind(READ)),
    "sums never announced": Defect(
        "whole", drop(r"mbarrier\.arrive\.shared\S*\s+%rd\d+, \[%r\d+", -1), "deadlock", behind("try_wait", 1)
    ),
    "slices without a fence": Defect("split", relax(), "race", behind(r"ld\.global\.v4", 0, 1), OTHER),
    "result beyond its rows": Defect("split", move(r"st\.global\.b16", POISON, -1), "out of bounds", here),
    "result at an odd address": Defect("split", move(r"st\.global\.b16", 1, -1), "misaligned", here),
    "mbarrier for one arrival more": Defect(
        "split", replace(r"mbarrier\.init", r"%r\d+;", "9;"), "deadlock", behind("try_wait", 2)
    ),
    "mbarrier at an odd place": Defect("split", replace(r"mbarrier\.init", r"\+8\]", "+12]", 1), "misaligned", here),
    "barrier that one warp skips": Defect(
        "norm", replace(r"bar\.sync", "bar", "@%p1 bar"), "uninitialised|race", behind(READ), EARLY
    ),
    "copies never announced": Defect("plain", drop(r"cp\.async\.mbarrier"), "watchdog", behind(r"not\.pred")),
    "copies used before they are there": Defect(
        "plain", no_wait_before("prmt"), "uninitialised|async copy|race", behind(VECTOR, 1), ARRIVING
    ),
    "copies into the wrong stage": Defect("plain", replace(r"cp\.async\.cg", r"\[(%r\d+)\]", r"[\1+16]"), "race", here),
    "copies from beyond the weights": Defect("plain", move(r"cp\.async\.cg", POISON), "out of bounds", here),
    "activations not waited for": Defect("plain", drop(r"bar\.sync\s+1"), "uninitialised|race", behind(VECTOR), EARLY),
    "weights of a segment used before they are there": Defect(
        "segments", no_wait_before("prmt"), "uninitialised|async copy|race", behind(VECTOR, 1), ARRIVING
    ),
    "weights of the other segment used before they are there": Defect(
        "segments", no_wait_before("lop3"), "uninitialised|async copy|race", behind(READ), ARRIVING
    ),
    "sums of a head read before they are there": Defect("append", no_wait(0), "uninitialised", behind(READ)),
    "last strip of a head without a fence": Defect(
        "append", relax(), "race", behind(r"ld\.global\.v2\.b16", 0, 2), OTHER
    ),
    "head beyond the cache": Defect("append", move(r"st\.global\.b16", POISON, -1), "out of bounds", here),
    "group of copies not waited for": Defect("gemm", drop(r"wait_group\s+3"), "async copy", behind(VECTOR)),
    "group of copies waited for a step late": Defect(
        "gemm", replace(r"wait_group\s+2", r"\s2;", " 3;"), "async copy", behind(VECTOR)
    ),
    "copies of other warps not waited for": Defect(
        "gemm",
        drop(r"bar\.sync"),
        "uninitialised|async copy|race",
        behind(VECTOR, 0, 1),
        ARRIVING,
    ),
    "step begun before the others' copies came": Defect(
        "gemm", drop(r"bar\.sync", 1), "async copy|race", behind(VECTOR), ARRIVING
    ),
    "activations beyond the last token": Defect("gemm", move(r"cp\.async\.cg", POISON, 8), "out of bounds", here),
    "activations that are not aligned": Defect("gemm", move(r"cp\.async\.cg", 8, 8), "misaligned", here),
    "slices of gemm without a fence": Defect("gemm", relax(), "race", behind(r"ld\.global\.v4", 0, 1), OTHER),
    "whether a block is the last, asked too early": Defect(
        "gemm", drop(r"bar\.sync", -1), "uninitialised|race", behind(READ), EARLY
    ),
    "group of int4 copies not waited for": Defect("gemm int4", drop(r"wait_group\s+2"), "async copy", behind(VECTOR)),
    "keys and values not waited for": Defect("decode", drop(r"cp\.async\.wait_group"), "async copy", behind(READ)),
    "keys and values waited for too late": Defect(
        "decode", replace(r"cp\.async\.wait_group", r"wait_group\s+\d+", "wait_group 7"), "async copy", behind(READ)
    ),
    "page beyond the cache": Defect("decode", move(r"cp\.async\.cg", POISON), "out of bounds", here),
    "page number beyond the table": Defect("decode", move(r"ld\.global\.nc\.b32", POISON, 3), "out of bounds", here),
    "parts of a context without a fence": Defect(
        "decode", relax(), "race", behind(r"ld\.global\.v2\.b32", 0, 1), OTHER
    ),
    "output at an odd address": Defect("decode", move(r"st\.global\.v2", 2, -1), "misaligned", here),
    "prompt's keys not waited for": Defect("prefill", drop(r"cp\.async\.wait_group"), "async copy", behind(READ)),
    "values transposed before they are stored": Defect("prefill", drop(r"bar\.warp\.sync"), "race", behind("ldmatrix")),
    "prompt's page beyond the cache": Defect("prefill", move(r"cp\.async\.cg", POISON, -1), "out of bounds", here),
    "prompt's page number beyond the table": Defect(
        "prefill", move(r"ld\.global\.nc\.b32", POISON, -1), "out of bounds", here
    ),
    "prompt's output at an odd address": Defect("prefill", move(r"st\.global\.v2", 2, -1), "misaligned", here),
    "sums of other warps not waited for": Defect("norm", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY),
    "sums of warps never stored": Defect("norm", drop(r"st\.shared"), "uninitialised", behind(READ)),
    "normed row that is not aligned": Defect("norm", move(r"st\.global", 8, -1), "misaligned", here),
    "normed row beyond its tensor": Defect("norm", move(r"st\.global", POISON, -1), "out of bounds", here),
    "largest values of other warps not waited for": Defect(
        "quantize", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY
    ),
    "scale beyond the tokens": Defect("quantize", move(r"st\.global\.b32", 64, -1), "out of bounds", here),
    "codes that are not aligned": Defect("quantize", move(r"st\.global\.v2", 4, -1), "misaligned", here),
    "gated row's largest value not waited for": Defect(
        "gated", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY
    ),
    "other half of a gate beyond the tensor": Defect("gated", move(r"ld\.global", POISON, -1), "out of bounds", here),
    "slot of a tile's head beyond the cache": Defect(
        "gemm append", move(r"st\.global\.b16", POISON, -1), "out of bounds", here
    ),
    "slot beyond the cache": Defect("rotary", move(r"st\.global\.b16", POISON, -1), "out of bounds", here),
    "scale of a position at an odd address": Defect("rotary", move(r"st\.global\.b16", 1, -1), "misaligned", here),
    "group of keys beyond the cache": Defect("groups", move(r"st\.global\.b8", POISON), "out of bounds", here),
    "angles beyond their table": Defect("table", move(r"st\.global", POISON), "out of bounds", here),
    "largest logits of other warps not waited for": Defect(
        "argmax", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY
    ),
    "largest logits of other blocks without a fence": Defect("argmax", relax(), "race", behind(r"ld\.global\.v2\.b32")),
    "logits beyond the vocabulary": Defect("argmax", move(r"ld\.global", POISON), "out of bounds", here),
    "largest logits of a piece not waited for": Defect(
        "sampling", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY
    ),
    "bins counted before they are empty": Defect(
        "sampling", drop(r"bar\.sync", 1), "uninitialised", behind(r"red\.relaxed")
    ),
    "bins of warps added while they are counted": Defect(
        "sampling", drop(r"bar\.sync", 2), "race", behind(READ, *range(8)), "which warp is behind is open"
    ),
    "bins of a piece scanned before they are there": Defect(
        "sampling", drop(r"bar\.sync", 3), "uninitialised|race", behind(VECTOR), EARLY
    ),
    "pieces of other blocks without a fence": Defect("sampling", relax(), "race", behind(r"ld\.global\.v2\.b32")),
    "histogram read while it is counted": Defect(
        "sampling", drop(r"bar\.sync", 9), "race", behind(r"ld\.shared\.v2\.b64")
    ),
    "choice read before it is made": Defect(
        "sampling",
        drop(r"bar\.sync", 10),
        "uninitialised|race",
        behind(r"ld\.shared(\.b\d+|\.v2\.b64)", *range(6)),
        NEXT,
    ),
    "histogram counted before it is empty": Defect(
        "sampling", drop(r"bar\.sync", 11), "uninitialised|race", behind(r"red\.relaxed", 0, 1), EARLY
    ),
    "histogram never emptied": Defect(
        "sampling", drop(r"st\.shared\.v2\.b32\s+\[%r\d+\], \{0, 0\}"), "uninitialised", behind(r"red\.relaxed")
    ),
    "row of an embedding beyond the table": Defect("gather", move(r"ld\.global\.\S*v4", POISON), "out of bounds", here),
    "row that is not aligned": Defect("gather", move(r"st\.global", 8), "misaligned", here),
    "findings of other warps not waited for": Defect(
        "indices", drop(r"bar\.sync"), "uninitialised|race", behind(READ), EARLY
    ),
    "finding beyond its record": Defect("indices", move(r"st\.global", 16), "out of bounds", here),
}
# One element, page or row too far.
DEFECTS |= {
    "sum one vector beyond the slices": Defect("split", move(r"st\.global\.v4", 16), "out of bounds", here),
    "activations one vector beyond": Defect("whole", move(r"ld\.global\.v4", 16, -1), "out of bounds", here),
    "scale one beyond the rows": Defect("plain", move(NUMBER, 4, 1), "out of bounds", here),
    "activations of segments one vector beyond": Defect(
        "segments", move(r"ld\.global\.v4", 16, -1), "out of bounds", here
    ),
    "norm's weight one vector beyond": Defect("append", move(r"ld\.global\.nc\.v4", 16), "out of bounds", here),
    "angle of a head one pair beyond": Defect("append", move(r"ld\.global\.v2\.b32", 8), "out of bounds", here),
    "head's page one beyond the cache": Defect(
        "append", one_more(NUMBER, 3), "out of bounds", behind(STORE, 3, 4, 5, 6), ANY_WARP
    ),
    "weights one vector beyond the last row": Defect("gemm", move(COPY, 16, 7), "out of bounds", here),
    "counter one beyond the tiles": Defect("gemm int4", move(r"atom\.acq_rel", 4), "out of bounds", here),
    "page number one beyond the table": Defect("decode", move(NUMBER, 4, 3), "out of bounds", here),
    "page one beyond the cache": Defect("decode", one_more(NUMBER, 3), "out of bounds", behind(COPY)),
    "queries of a token more": Defect("decode", one_more(NUMBER, 1), "out of bounds", behind(r"ld\.global\.v4")),
    "prompt's page number one beyond the table": Defect("prefill", move(NUMBER, 4, -1), "out of bounds", here),
    "prompt's page one beyond the cache": Defect("prefill", one_more(NUMBER, 3), "out of bounds", behind(COPY)),
    "prompt of a token more": Defect("prefill", one_more(NUMBER, 1), "out of bounds", behind(r"ld\.global\.v4", 1)),
    "weight one vector beyond the row": Defect("norm", move(r"ld\.global\.nc\.v4", 16), "out of bounds", here),
    "row one vector beyond": Defect("norm", move(r"ld\.global\.v4", 16), "out of bounds", here),
    "scale one beyond the tokens": Defect("quantize", move(r"st\.global\.b32", 4, -1), "out of bounds", here),
    "other half of a gate one vector beyond": Defect("gated", move(r"ld\.global", 16, -1), "out of bounds", here),
    "position one beyond the angles": Defect("rotary", move(r"ld\.global\.v2\.b32", 8), "out of bounds", here),
    "slot's page one beyond the cache": Defect(
        "rotary", one_more(NUMBER, 3), "out of bounds", behind(STORE, 0, 1, 2, 3), ANY_WARP
    ),
    "group's page one beyond the cache": Defect("groups", one_more(NUMBER, 3), "out of bounds", behind(STORE, 8)),
    "angle one beyond the table": Defect("table", move(r"st\.global\.b32", 4), "out of bounds", here),
    "logit one beyond the vocabulary": Defect("argmax", move(r"ld\.global\.b32", 4), "out of bounds", here),
    "logits one vector beyond": Defect("sampling", move(r"ld\.global\.v4", 16), "out of bounds", here),
    "number of a row one beyond": Defect("gather", move(r"ld\.global\.b32", 4), "out of bounds", here),
    "index one beyond": Defect("indices", move(r"ld\.global\.b32", 4), "out of bounds", here),
}
# A result one element, or what a thread stores at once, beyond its place: into the next row or out of the last one.
DEFECTS |= {
    "result of slices one beyond": Defect("split", move(HALF, 2), "race", line(HALF, 0, 1), MEETS),
    "result of warps one beyond": Defect("whole", move(HALF, 2, 1), "race", line(HALF, 0, 1), MEETS),
    "result of rows' scales one beyond": Defect("plain", move(HALF, 2), "race", line(HALF, 0, 1), MEETS),
    "result of the other segment one beyond": Defect("segments", move(HALF, 2, 4), "race", line(HALF, 4, 5), MEETS),
    "result ahead of an append one beyond": Defect("append", move(HALF, 2), "race", line(HALF, 0, 1), MEETS),
    "sum of slices one vector into the next": Defect("gemm", move(STORE, 16), "race", line(STORE, 0, 1), MEETS),
    "result of gemm one vector beyond": Defect("gemm", move(STORE, 16, -1), "out of bounds|race", here, MEETS),
    "prompt's output one vector beyond": Defect("prefill", move(STORE, 8, -1), "out of bounds|race", here, MEETS),
    "output one vector beyond": Defect("decode", move(STORE, 8, -1), "out of bounds|race", here, MEETS),
    "residual's sum one vector beyond": Defect("norm", move(STORE, 16), "out of bounds|race", here, MEETS),
    "normed row one vector beyond": Defect("norm", move(STORE, 16, -1), "out of bounds|race", here, MEETS),
    "codes one vector beyond": Defect("quantize", move(STORE, 8), "out of bounds|race", here, MEETS),
    "gated codes one vector beyond": Defect("gated", move(STORE, 8), "out of bounds|race", here, MEETS),
    "row of an embedding one vector beyond": Defect("gather", move(STORE, 16), "out of bounds|race", here, MEETS),
    "codes of a group one byte beyond": Defect(
        "groups", move(r"st\.global\.b8", 1), "race", line(r"st\.global\.b8", 0, 1), MEETS
    ),
}
TOLD = r"error: (?:schedule \d+: )?([a-z ]+): kernel '\w+', ptx line (\d+)"
#: Where an undefined value that is used came from; the read that a write is not ordered with.
ORIGIN = r"(?:(?:loaded|read) at ptx line|with the read of line) (\d+)"


def changed(record, name, path):
    """The PTX with the defect, as lines, in the file; and the numbers of the lines that may be told."""
    lines = record.ptx_path().read_text().splitlines()
    before = list(lines)
    at = DEFECTS[name].change(lines)
    assert lines != before
    path.write_text("\n".join(lines) + "\n")
    return lines, DEFECTS[name].place(lines, at)


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_reported(make, tmp_path, name):
    defect = DEFECTS[name]
    record, arguments = make(defect.case)
    lines, places = changed(record, name, tmp_path / "kernel.ptx")
    kinds = defect.kind.split("|")
    assert (len(kinds) == len(places) == 1) != bool(defect.why), "several kinds or places need a reason"
    run = emulate(record, arguments, tmp_path / "kernel.ptx", "--schedules", 4)
    assert run.returncode != 0, "the defect was not reported"
    report = re.search(TOLD, run.stderr)
    assert report and report[1] in kinds, run.stderr
    told = {int(report[2]) - 1} if report[1] != "uninitialised" else set()
    told |= {int(line) - 1 for line in re.findall(ORIGIN, run.stderr)} or {int(report[2]) - 1}
    assert told & places, (run.stderr, {at + 1: lines[at] for at in places})


def test_every_family_has_defects():
    assert {CASES[defect.case].split()[0] for defect in DEFECTS.values()} == set(families.FAMILIES)
    assert {defect.case for defect in DEFECTS.values()} == set(CASES)


@pytest.mark.parametrize("case", ["split", "whole"])
def test_bound_of_bytes_orders_nothing(make, tmp_path, case):
    record, arguments = make(case)
    lines = record.ptx_path().read_text().splitlines()
    no_wait(1)(lines)
    (tmp_path / "kernel.ptx").write_text("\n".join(lines) + "\n")
    run = emulate(record, arguments, tmp_path / "kernel.ptx", "--schedules", 4)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("case", CASES)
def test_unchanged_kernel_is_clean(make, case):
    record, arguments = make(case)
    run = emulate(record, arguments, record.ptx_path(), "--schedules", 4)
    assert run.returncode == 0, run.stderr
