"""What a launch from a record gives is what the formula gives: on the emulator, with the arguments that a GPU gets."""

import subprocess
import sys

import conftest
import numpy as np
import pytest

sys.path.insert(0, str(conftest.SOURCE / "bench"))
from gpu import catalog, emulator, families, halves  # noqa: E402

EMULATE = conftest.BUILD / "bin/qopt-emulate"


@pytest.fixture(scope="module")
def launched(tool, tmp_path_factory):
    """launched(words): the folder of a record's kernel, the case and what its launch left; each is launched once."""
    made = {}

    def launch_once(words):
        if words not in made:
            folder = tmp_path_factory.mktemp("kernel")
            tool("qopt-kernel", *words.split(), "--ptx-only", "-o", folder / "kernel")
            case = families.case_of(folder / "kernel.json", 0)
            made[words] = folder, case, emulator.launch(case, EMULATE)[0]
        return made[words]

    return launch_once


@pytest.mark.parametrize("words", catalog.CHECKS, ids=str)
def test_result(launched, words):
    _, case, outputs = launched(words)
    assert 0 <= families.check(case, outputs) <= 1


#: The first record of each family.
FIRST = {words.split()[0]: words for words in reversed(catalog.CHECKS)}


def test_every_family_is_checked(tool):
    listed = [line for line in tool("qopt-kernel", "list").stdout.splitlines() if not line.startswith(" ")]
    assert set(listed) == set(FIRST) == set(families.FAMILIES)


@pytest.mark.parametrize("words", FIRST.values(), ids=FIRST)
def test_check_sees_other_data(launched, words):
    """The result for other weights, another cache or other rows is beyond the bound, and so are counters that are not
    zero.
    """
    folder, case, outputs = launched(words)
    other = families.case_of(folder / "kernel.json", seed=1)
    with pytest.raises(halves.MismatchError, match="expected .* got"):
        families.check(other, outputs)
    if "counters" in outputs:
        with pytest.raises(ValueError, match="counters are not zero"):
            families.check(case, outputs | {"counters": np.ones(1, np.uint32)})


#: Launches that write into pages that have a content.
IN_PLACE = [words for words in catalog.CHECKS if words.startswith(("rotary_append", "skinny_linear_append"))]


@pytest.mark.parametrize("words", IN_PLACE, ids=str)
def test_check_sees_every_byte_of_the_cache(launched, words):
    """A byte of a page that is changed is seen, whether the launch writes it or not."""
    _, case, outputs = launched(words)
    random, first = np.random.default_rng(0), case.record.layout["slot_pages"]
    for _ in range(20):
        pages = outputs["pages"].copy()
        page, byte = random.integers(first, len(pages)), random.integers(pages.shape[1])
        pages[page, byte] ^= 0x80
        with pytest.raises(halves.MismatchError):
            families.check(case, outputs | {"pages": pages})


def test_stream_reads_everything_once(tmp_path):
    """The kernel behind the roof: every byte is read, and the sum of exclusive-ors is right."""
    vectors, source = 4 * 64 * 8 * 3, conftest.SOURCE / "bench/gpu/stream.ptx"
    data = np.random.default_rng(0).integers(0, 2**32, (vectors, 4), np.uint32)
    thread = data.reshape(3, 8, 256, 4)[:, :, 5].reshape(-1)
    never = np.bitwise_xor.reduce(thread)
    np.savez(tmp_path / "args.npz", arg0=data, arg1=np.uint64(vectors), arg2=np.zeros(1, np.uint32), arg3=never)
    command = [EMULATE, source, "--grid", "4", "--block", "64", "--args", tmp_path / "args.npz", "--stats"]
    done = subprocess.run([*command, "--out", tmp_path / "out.npz"], capture_output=True, text=True, check=True)
    assert np.load(tmp_path / "out.npz")["arg2"][0] == never
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("global, distinct")]
    assert int(line.split()[-2]) == data.nbytes


def test_catalog():
    """Every entry has a name of its own, and the shapes of the 8B model are there for every number of tokens."""
    names = [entry.name for entry in catalog.entries()]
    assert len(set(names)) == len(names)
    assert {f"{shape}-int4_g128-m{m}" for shape in catalog.SHAPES for m in (1, 2, 4, 8, 16, 32, 64)} < set(names)
    assert sum(entry.quick for entry in catalog.entries()) < len(names) / 3
