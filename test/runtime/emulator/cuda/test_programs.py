"""The emulator is a fair judge: small CUDA programs, compiled by nvcc, give NumPy's results with all checks on."""

import json
import re

import numpy as np
import pytest

pytest_plugins = ["cuda_kernels"]


@pytest.fixture
def random():
    return np.random.default_rng(1)


def integers(random, *shape, low=-100, high=100, dtype=np.int32):
    return random.integers(low, high, shape, dtype=dtype)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def wholes(random, *shape):
    """Whole numbers as f32: their sums are exact in any order."""
    return integers(random, *shape).astype(np.float32)


class TestReduce:
    @pytest.fixture
    def ptx(self, program):
        return program("reduce")

    def test_sum_tree(self, ptx, emulate, random):
        x = wholes(random, 1000)
        out = emulate(ptx, "sumTree", 4, 256, x, zeros(4), np.int32(1000))
        assert np.array_equal(out[1], np.append(x, zeros(24)).reshape(4, 256).sum(1))

    def test_sum_shuffle(self, ptx, emulate, random):
        x = wholes(random, 3, 500)
        out = emulate(ptx, "sumShuffle", 3, 192, x, zeros(3), np.int32(500))
        assert np.array_equal(out[1], x.sum(1))

    def test_sum_last_block(self, ptx, emulate, random):
        x = wholes(random, 2000)
        counter = zeros(1, dtype=np.uint32)
        out = emulate(ptx, "sumLastBlock", 7, 32, x, zeros(7), counter, zeros(1), np.int32(2000))
        assert out[3][0] == x.sum()
        assert out[2][0] == 0

    def test_scan_shared(self, ptx, emulate, random):
        x = integers(random, 2, 128)
        out = emulate(ptx, "scanShared", 2, 128, x, np.zeros_like(x), shared=2 * 128 * 4)
        assert np.array_equal(out[1], x.cumsum(1))

    def test_scan_warps(self, ptx, emulate, random):
        x = integers(random, 8, 32)
        out = emulate(ptx, "scanWarps", 2, 128, x, np.zeros_like(x))
        assert np.array_equal(out[1], x.cumsum(1))

    def test_scan_lookback(self, ptx, emulate, random):
        x = integers(random, 9 * 128, low=0, dtype=np.uint32)
        state = zeros(9, dtype=np.uint64)
        out = emulate(ptx, "scanLookback", 9, 128, x, np.zeros_like(x), zeros(1, dtype=np.uint32), state)
        assert np.array_equal(out[1], x.cumsum())

    def test_histogram(self, ptx, emulate, random):
        x = integers(random, 5000, low=0, high=200, dtype=np.uint8)
        out = emulate(ptx, "histogramShared", 3, 128, x, zeros(256, dtype=np.uint32), np.int32(5000))
        assert np.array_equal(out[1], np.bincount(x, minlength=256))

    def test_maximum_place(self, ptx, emulate, random):
        x = random.random(1000, np.float32)
        best = zeros(1, dtype=np.uint64)
        out = emulate(ptx, "maximumPlace", 8, 128, x, best, np.int32(1000))
        assert 999 - (int(out[1][0]) & 0xFFFFFFFF) == x.argmax()

    def test_redux(self, ptx, emulate, random):
        x = integers(random, 4, 32)
        out = emulate(ptx, "reduxAll", 2, 64, x, zeros(4, 6, dtype=np.int32))
        expected = [x.min(1), x.max(1), x.sum(1)]
        expected += [f.reduce(x, 1) for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)]
        assert np.array_equal(out[1], np.stack(expected, 1))

    def test_atomics(self, ptx, emulate, random):
        x = integers(random, 3 * 64)
        words = np.array([0, 0, 50, -50, -1, 0, 0], np.int32)
        unsigned = np.array([0, 10, 0, 1], np.uint32)
        out = emulate(ptx, "atomicsAll", 3, 64, x, words, zeros(1), zeros(1, dtype=np.float64), unsigned)
        bits = [f.reduce(x) for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)]
        sums = [x.sum(), -x.sum(), min(50, x.min()), max(-50, x.max())]
        assert out[1].tolist() == [*sums, *bits]
        assert (out[2][0], out[3][0]) == (x.sum(), x.sum())
        odd = 1
        for v in x:
            odd = odd * (2 * int(v) + 1) % 2**32
        assert out[4].tolist() == [192 % 100, (10 - 192) % 50, 77, odd]


class TestMemory:
    @pytest.fixture
    def ptx(self, program):
        return program("memory")

    def test_transpose(self, ptx, emulate, random):
        x = random.random((50, 70), np.float32)
        out = emulate(ptx, "transpose", (3, 2), (32, 4), x, zeros(70, 50), np.int32(50), np.int32(70))
        assert np.array_equal(out[1], x.T)

    def test_matmul(self, ptx, emulate, random):
        a, b = wholes(random, 20, 37), wholes(random, 37, 30)
        sizes = [np.int32(n) for n in (20, 30, 37)]
        out = emulate(ptx, "matmulTiled", (2, 2), (16, 16), a, b, zeros(20, 30), *sizes)
        assert np.array_equal(out[2], a @ b)

    def test_vectors(self, ptx, emulate, random):
        x = integers(random, 50, 4, low=0, dtype=np.uint32)
        p = random.random((50, 2), np.float32)
        out = emulate(ptx, "copyVectors", 1, 64, x, np.zeros_like(x), p, np.zeros_like(p), np.int32(50))
        assert np.array_equal(out[1], x[:, ::-1])
        assert np.array_equal(out[3], np.stack([p[:, 1], -p[:, 0]], 1))

    def test_structures(self, ptx, emulate, random):
        kind = np.dtype([("a", "i2"), ("b", "f4"), ("c", "i1"), ("d", "f8")], align=True)
        x = np.zeros(30, kind)
        for name in "abcd":
            x[name] = integers(random, 30)
        data = integers(random, 30, low=0, high=256, dtype=np.uint8)
        shorts = integers(random, 30, dtype=np.int16)
        y = np.zeros(30 * kind.itemsize, np.uint8)
        sums = zeros(30, dtype=np.int32)
        out = emulate(ptx, "structures", 1, 32, x.view(np.uint8), y, data, shorts, sums, np.int32(30))
        got = out[1].view(kind)
        assert np.array_equal(got["a"], -x["a"])
        assert np.array_equal(got["b"], 2 * x["b"])
        assert np.array_equal(got["c"], x["c"] ^ 0x55)
        assert np.array_equal(got["d"], x["d"] - 1)
        assert np.array_equal(out[4], data.astype(int) - shorts + data.view(np.int8))

    def test_filter(self, ptx, emulate, random):
        x = wholes(random, 300)
        out = emulate(ptx, "filter", 3, 128, x, zeros(300), np.int32(300))
        assert np.array_equal(out[1], np.convolve(x, [1, -2, 3, -4, 5, -4, 3, -2, 1], "same"))

    def test_sort_local(self, ptx, emulate, random):
        x = integers(random, 64, 16)
        out = emulate(ptx, "sortLocal", 2, 32, x, np.zeros_like(x))
        assert np.array_equal(out[1], np.sort(x, 1))

    def test_reverse_dynamic(self, ptx, emulate, random):
        x = random.random((2, 100))
        out = emulate(ptx, "reverseDynamic", 2, 64, x, np.int32(100), shared=800)
        assert np.array_equal(out[0], x[:, ::-1])

    def test_generic_pointers(self, ptx, emulate):
        out = emulate(ptx, "genericPointers", 1, 32, zeros(32, dtype=np.int32))
        t = np.arange(32)
        assert np.array_equal(out[0], np.where(t & 1, t // 2 % 4 * 100, 5 + t // 2 % 4))

    def test_copy_async(self, ptx, emulate, random):
        x = wholes(random, 2, 5, 64, 4)
        out = emulate(ptx, "copyAsync", 2, 64, x, zeros(2, 64), np.int32(5))
        assert np.array_equal(out[1], (x[:, :, ::-1] @ np.float32([1, 2, 3, 4])).sum(1))

    @pytest.mark.parametrize("n", [0, 1, 5, 127, 128])
    def test_copy_async_edge(self, ptx, emulate, random, n):
        x = wholes(random, max(n, 4))
        out = emulate(ptx, "copyAsyncEdge", 1, 32, x, zeros(128) - 1, np.int32(n))
        assert np.array_equal(out[1], np.append(x[:n], zeros(128 - n)))

    def test_copy_bulk(self, ptx, emulate, random):
        x = wholes(random, 2, 8, 4, 64)
        out = emulate(ptx, "copyBulk", 2, 96, x, zeros(2, 64), np.int32(8))
        assert np.array_equal(out[1], (x * np.float32([1, 2, 3, 4])[:, None]).sum((1, 2)))

    def test_store_bulk(self, ptx, emulate):
        out = emulate(ptx, "storeBulk", 3, 128, zeros(3, 128))
        assert np.array_equal(out[0], np.arange(128) * 3 + np.arange(3)[:, None])


class TestWarp:
    @pytest.fixture
    def ptx(self, program):
        return program("warp")

    def test_compact(self, ptx, emulate, random):
        x = integers(random, 200)
        count, size = zeros(1, dtype=np.int32), np.int32(200)
        out = emulate(ptx, "compact", 2, 128, x, zeros(200, dtype=np.int32), count, size, schedules=1)
        kept = x[x % 3 == 0]
        assert out[2][0] == len(kept)
        assert np.array_equal(np.sort(out[1][: len(kept)]), np.sort(kept))

    def test_votes(self, ptx, emulate, random):
        x = integers(random, 64, low=0)
        out = emulate(ptx, "votes", 1, 64, x, zeros(64, 2, dtype=np.uint32))
        for w in range(2):
            v = x[w * 32 : w * 32 + 32]
            same = [sum(1 << int(i) for i in np.flatnonzero((v & 7) == (k & 7))) for k in v]
            assert out[1][w * 32 : w * 32 + 32, 0].tolist() == same
            word = int((v > 90).any()) | 1 << 1 | 1 << 2 | 1 << 3 | w << 8
            assert (out[1][w * 32 : w * 32 + 32, 1] == word).all()

    def test_labels(self, ptx, emulate, random):
        x = integers(random, 64, low=0)
        y = emulate(ptx, "labels", 1, 64, x, zeros(7, 64, dtype=np.int32))[1]
        for first in (0, 32):
            v, found = x[first : first + 32], y[:, first : first + 32]

            def bits(flags):
                return np.int32(np.uint32(sum(1 << int(i) for i in np.flatnonzero(flags))))

            for i, group in enumerate(v % 3 == label for label in v % 3):
                mine = v[group]
                odd, equal = group & (v % 2 == 1), group & (v % 4 == v[i] % 4)
                expected = [mine.sum(), mine.max(), mine[0], bits(odd), (mine > 90).any(), bits(equal), bits(group)]
                assert found[:, i].tolist() == expected

    def test_shuffles(self, ptx, emulate, random):
        x = integers(random, 64)
        y = emulate(ptx, "shuffles", 1, 64, x, zeros(6, 64, dtype=np.int32))[1]
        t = np.arange(64)
        assert np.array_equal(y[0], x[t // 8 * 8 + (t + 3) % 8])
        assert np.array_equal(y[1], np.where(t % 16 + 5 < 16, x[np.minimum(t + 5, 63)], x))
        assert np.array_equal(y[2], np.where(t % 4 >= 2, x[np.maximum(t - 2, 0)], x))
        assert np.array_equal(y[3], x[t ^ 9])
        assert np.array_equal(y[4], 2 * x[t ^ 1])
        for w in range(2):
            lanes = [i for i in range(w * 32, w * 32 + 32) if i % 3 == 0]
            assert (y[5][lanes] == x[lanes[0]] + len(lanes)).all()

    def test_lock_blocks(self, ptx, emulate):
        word = zeros(1, dtype=np.int32)
        out = emulate(ptx, "lockBlocks", 3, 32, word, word, zeros(96, dtype=np.int32), schedules=1)
        assert (out[0][0], out[1][0]) == (0, 96)
        assert sorted(out[2]) == list(range(96))

    def test_lock_lanes(self, ptx, emulate):
        word = zeros(1, dtype=np.int32)
        out = emulate(ptx, "lockLanes", 2, 64, word, word)
        assert (out[0][0], out[1][0]) == (0, 2 * 64 * 63 // 2)

    def test_flags_between_warps(self, ptx, emulate):
        out = emulate(ptx, "flagsBetweenWarps", 1, 64, zeros(6, 32, dtype=np.int32), np.int32(6))
        assert np.array_equal(out[0], np.arange(192).reshape(6, 32)[:, ::-1])

    def test_named_barriers(self, ptx, emulate):
        out = emulate(ptx, "namedBarriers", 1, 96, zeros(5, 2, 32, dtype=np.int32), np.int32(5))
        i, w, lane = np.indices((5, 2, 32))
        assert np.array_equal(out[0], i + lane * 10 + (w + 1) * 32 + lane)

    def test_mbarrier_rounds(self, ptx, emulate):
        out = emulate(ptx, "mbarrierRounds", 1, 128, zeros(128, dtype=np.int32), np.int32(9))
        assert np.array_equal(out[0], (np.arange(128) + 9) % 128 + 9)

    def test_count_at_barrier(self, ptx, emulate, random):
        x = integers(random, 96)
        out = emulate(ptx, "countAtBarrier", 1, 96, x, zeros(96, dtype=np.int32))
        expected = (x > 0).sum() * 4 + (x > -100).all() * 2 + (x > 100).any()
        assert (out[1] == expected).all()


class TestControl:
    @pytest.fixture
    def ptx(self, program):
        return program("control")

    def test_collatz(self, ptx, emulate):
        def steps(v):
            return 0 if v == 1 else 1 + steps(3 * v + 1 if v & 1 else v // 2)

        x = np.arange(1, 129, dtype=np.uint32)
        out = emulate(ptx, "collatz", 2, 64, x, zeros(128, dtype=np.int32))
        assert out[1].tolist() == [steps(int(v)) for v in x]

    def test_recursion(self, ptx, emulate):
        out = emulate(ptx, "recursion", 1, 24, zeros(24, dtype=np.int32))
        n = np.arange(24) // 3
        assert np.array_equal(out[0], np.choose(np.arange(24) % 3, [n + 1, n + 2, 2 * n + 3]))

    def test_machine(self, ptx, emulate, random):
        code = integers(random, 60, low=0, high=13, dtype=np.uint8)
        out = emulate(ptx, "machine", 1, 64, code, zeros(64, 2, dtype=np.int32), np.int32(60))
        assert out[1].tolist() == [machine(code, t) for t in range(64)]

    def test_structure_calls(self, ptx, emulate, random):
        weights = wholes(random, 6)
        out = emulate(ptx, "structureCalls", 1, 40, weights, zeros(40, dtype=np.float64), zeros(40, dtype=np.int32))
        first = np.arange(40.0)
        for i in range(5):
            first = first * weights[i] + 1.5 * weights[i + 1]
        assert np.array_equal(out[1], first)
        assert np.array_equal(out[2], np.arange(40) - 10)

    def test_mandelbrot(self, ptx, emulate):
        out = emulate(ptx, "mandelbrot", (3, 4), (16, 8), zeros(32, 40, dtype=np.int32), np.int32(40), np.int32(32))
        count = np.zeros((32, 40), np.int32)
        c = (np.arange(40) * 0.0625 - 2) + 1j * (np.arange(32) * 0.0625 - 1)[:, None]
        x, y, inside = np.zeros(c.shape), np.zeros(c.shape), np.ones(c.shape, bool)
        for _ in range(64):
            inside &= x * x + y * y <= 4
            count += inside
            x, y = np.where(inside, (x * x - y * y) + c.real, x), np.where(inside, (2 * x * y) + c.imag, y)
        assert np.array_equal(out[0], count)

    def test_early_exit(self, ptx, emulate):
        y, n = zeros(50, dtype=np.int32), np.int32(50)
        out = emulate(ptx, "earlyExit", 1, 128, y, n, options=["--checks", "none"])
        assert (out[0] == 49 * 50 // 2).all()
        # It works, but PTX wants all threads of a warp at an aligned barrier.
        run = emulate(ptx, "earlyExit", 1, 128, y, n, check=False)
        assert run.status != 0 and "barrier divergence" in run.stderr and "bar.sync" in run.stderr

    def test_bitonic_sort(self, ptx, emulate, random):
        x = random.random((2, 256), np.float32)
        out = emulate(ptx, "bitonicSort", 2, 256, x)
        assert np.array_equal(out[0], np.sort(x, 1))

    def test_coordinates(self, ptx, emulate):
        out = emulate(ptx, "coordinates", (2, 3, 2), (4, 5, 3), zeros(12, 60, dtype=np.uint64))
        bz, by, bx, tz, ty, tx = np.indices((2, 3, 2, 3, 5, 4))
        expected = tz << 40 | ty << 32 | tx << 24 | bz << 16 | by << 8 | bx
        assert np.array_equal(out[0], expected.reshape(12, 60).astype(np.uint64))

    def test_philox(self, ptx, emulate):
        out = emulate(ptx, "philox", 2, 48, zeros(96, 4, dtype=np.uint32), np.uint32(12345))
        assert out[0].tolist() == [philox(i, 12345) for i in range(96)]


def machine(code, t):
    """The switch of control.cu in whole numbers of 32 bits."""

    def wrap(v):
        return (v + 2**31) % 2**32 - 2**31

    a, b, pc, step = t, 1, t % 4, 0
    while step < 200 and pc < len(code):
        op = code[pc]
        if op == 3:
            pc += a & 3
        elif op == 7:
            step += 7
        elif op == 8:
            pc = pc if b & 1 else pc // 2
        else:
            changes = {0: (a + b, b), 1: (a, a ^ 5), 2: (a * 3 + 1, b), 4: (a - (b << 1), b), 5: (a, -b)}
            changes |= {6: ((a >> 2) | b, b), 9: (max(a, b), b), 10: (a, b + pc * 11), 11: (~a, b)}
            a, b = (wrap(v) for v in changes.get(int(op), (a + 1000, b)))
        pc, step = pc + 1, step + 1
    return [a, b]


def philox(index, key):
    c, k = [index, 7, 0, 0], [key, ~key % 2**32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b % 2**32, a >> 32 ^ c[3] ^ k[1], a % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


class TestBlocks:
    @pytest.fixture
    def ptx(self, program):
        return program("blocks")

    def test_reduce(self, ptx, emulate, random):
        x = integers(random, 3, 128)
        assert np.array_equal(emulate(ptx, "blockReduce", 3, 128, x, zeros(3, dtype=np.int32))[1], x.sum(1))

    def test_scan(self, ptx, emulate, random):
        x = integers(random, 2, 512)
        out = emulate(ptx, "blockScan", 2, 128, x, np.zeros_like(x))
        assert np.array_equal(out[1], x.cumsum(1) - x + x.sum(1, keepdims=True))

    def test_radix_sort(self, ptx, emulate, random):
        x = integers(random, 2, 512, low=-(2**31), high=2**31 - 1)
        assert np.array_equal(emulate(ptx, "blockSort", 2, 128, x, np.zeros_like(x))[1], np.sort(x, 1))

    @pytest.mark.parametrize("n", [512, 511, 130, 1])
    def test_merge_sort(self, ptx, emulate, random, n):
        x = integers(random, 2, 512)
        out = emulate(ptx, "blockMergeSort", 2, 128, x, np.zeros_like(x), np.int32(n))
        assert np.array_equal(out[1][:, :n], -np.sort(-x[:, :n], 1))

    def test_exchange(self, ptx, emulate, random):
        x = integers(random, 2, 256)
        assert np.array_equal(emulate(ptx, "blockExchange", 2, 64, x, np.zeros_like(x))[1], 2 * x)

    def test_histogram(self, ptx, emulate, random):
        x = integers(random, 512, low=0, high=64, dtype=np.uint8)
        out = emulate(ptx, "blockHistogram", 1, 128, x, zeros(64, dtype=np.int32))
        assert np.array_equal(out[1], np.bincount(x, minlength=64))

    def test_warp_reduce(self, ptx, emulate, random):
        x = random.random((4, 32), np.float32)
        assert np.array_equal(emulate(ptx, "warpReduce", 1, 128, x, zeros(4))[1], x.max(1))


class TestCalls:
    @pytest.fixture
    def ptx(self, program):
        return program("calls")

    def test_function_table(self, ptx, emulate, random):
        x, t = integers(random, 32, low=0, high=3), np.arange(32)
        out = emulate(ptx, "functionTable", 1, 32, x, np.zeros_like(x))
        assert np.array_equal(out[1], np.choose(x, [t + 7, t * 7, t - 7]))

    def test_address_that_is_no_function(self, ptx, emulate):
        x = np.full(32, 3, np.int32)  # behind the table
        run = emulate(ptx, "functionTable", 1, 32, x, x, check=False)
        assert run.status != 0 and "out of bounds" in run.stderr, run.stderr

    def test_function_arguments(self, ptx, emulate, random):
        x = integers(random, 32, low=0, high=6)
        out = emulate(ptx, "functionArguments", 1, 32, x, np.zeros_like(x))
        for t in range(32):
            total, chosen = 0, "add" if x[t] > 1 else "multiply"
            for _ in range(x[t]):
                total = {"add": total + t, "subtract": total - t, "multiply": total * t}[chosen]
                chosen = "subtract" if chosen == "add" else "add"
            assert out[1][t] == total

    def test_virtual_functions(self, ptx, emulate, random):
        x, t = integers(random, 32), np.arange(32)
        out = emulate(ptx, "virtualFunctions", 1, 32, x, zeros(32, dtype=np.float64))
        assert np.array_equal(out[1], np.where(x & 1, 2 * t + 4, 3 * t * t))

    def test_tree_of_functions(self, ptx, emulate, random):
        x = integers(random, 32)
        out = emulate(ptx, "treeOfFunctions", 1, 32, x, np.zeros_like(x))
        assert np.array_equal(out[1], 4 * x + 3 + 4 + 5 + 6)

    @pytest.mark.parametrize("options", [[], ["--json"], ["--time"]])
    def test_prints(self, ptx, emulate, options):
        x = np.array([3, -20, 1000], np.int32)
        run = emulate(ptx, "prints", 1, 3, x, options=options)
        lines = [
            f"{t} of 3: {v / 2:5.2f}|{v:<6d}|{v:+05d}|{v & 0xFFFFFFFF:x} text {'abc'[t]} {v << 33} %"
            for t, v in enumerate(x.tolist())
        ]
        expected = [*lines, "two 1 2", "done    2"]
        assert (run.stderr if options else run.stdout).splitlines() == expected
        if options:
            assert json.loads(run.stdout)

    def test_assertion(self, ptx, emulate):
        x = np.array([*range(8), 10, 0], np.int32)
        emulate(ptx, "asserts", 2, (5, 2), x)
        run = emulate(ptx, "asserts", 1, 10, x, check=False)
        assert run.status != 0
        assert "failed assertion: kernel 'asserts', ptx line" in run.stderr
        assert "block (0,0,0), thread (8,0,0): 'x[threadIdx.x] < 10 && \"too large\"' at " in run.stderr
        assert re.search(r"calls\.cu:\d+ in 'void asserts\(const int \*\)'", run.stderr), run.stderr

    def test_trap(self, ptx, emulate):
        x = np.arange(8, dtype=np.int32)
        run = emulate(ptx, "traps", 1, 8, x, np.zeros_like(x), check=False)
        assert run.status != 0 and "trap: kernel 'traps'" in run.stderr and "thread (3,0,0)" in run.stderr

    def test_exit(self, ptx, emulate, random):
        x = integers(random, 40)
        out = emulate(ptx, "exits", 1, 40, x, np.full_like(x, 7))
        assert np.array_equal(out[1], np.where(x < 0, 7, x))


class TestCluster:
    @pytest.fixture
    def ptx(self, program):
        return program("cluster")

    def test_sum(self, ptx, emulate, random):
        x = wholes(random, 2, 4 * 128)
        out = emulate(ptx, "clusterSum", 8, 128, x, zeros(2))
        assert np.array_equal(out[1], x.sum(1))

    def test_histogram(self, ptx, emulate, random):
        x = integers(random, 6 * 128, low=0, high=256, dtype=np.uint8)
        out = emulate(ptx, "clusterHistogram", 6, 128, x, zeros(256, dtype=np.int32))
        assert np.array_equal(out[1], np.bincount(x, minlength=256))

    def test_ring(self, ptx, emulate, random):
        x = integers(random, 2, 4, 32)
        out = emulate(ptx, "clusterRing", (1, 8), 32, x, np.zeros_like(x))
        places = np.arange(4)[:, None] + 4
        assert np.array_equal(out[1], np.roll(x, 1, 1) + 2000 * x + 1000000 * places)
