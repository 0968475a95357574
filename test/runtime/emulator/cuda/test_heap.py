"""Device code that takes memory for itself, against NumPy; and what is found where it is used wrongly."""

import numpy as np
import pytest
from cuda_kernels import Source

pytest_plugins = ["cuda_kernels"]


@pytest.fixture
def ptx(program):
    return program("heap")


def test_lists(ptx, emulate):
    out = emulate(ptx, "divisors", 2, 64, np.zeros(128, np.int32), np.zeros(1, np.int32))
    assert out[0].tolist() == [sum(d for d in range(1, n + 1) if n % d == 0) for n in range(1, 129)]
    assert out[1][0] == 0


def test_arrays_of_blocks(ptx, emulate):
    x = np.arange(96, dtype=np.int32)
    out = emulate(ptx, "shareHeap", 3, 32, x, np.zeros(96, np.int32))
    assert np.array_equal(out[1], x.reshape(3, 32)[:, ::-1].ravel())


def test_stack(ptx, emulate):
    out = emulate(ptx, "reverseDigits", 1, 40, np.zeros(40, np.int32))
    expected = []
    for n in range(40):
        total = 0
        for i in reversed(range(n + 1)):
            total = (total * 3 + i * i) % 2**32
        expected.append(total)
    assert np.array_equal(out[0], np.array(expected, np.uint32).view(np.int32))


def test_missing_barrier_before_the_end(ptx, emulate, tmp_path):
    """Without the last barrier one thread gives back what others still read."""
    source = Source(ptx, "shareHeap")
    del source.lines[source.find(r"bar\.sync", -1)]
    x = np.arange(64, dtype=np.int32)
    done = emulate(source.write(tmp_path / "p.ptx"), "shareHeap", 1, 64, x, np.zeros(64, np.int32), check=False)
    assert done.status == 6
    assert "race:" in done.stderr or "has taken back" in done.stderr
