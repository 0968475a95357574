// Control flow: loops of different lengths, switches, calls, recursion, threads
// that leave early.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>

extern "C" __global__ void collatz(const unsigned *x, int *steps) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, count = 0;
  for (unsigned long long v = x[i]; v != 1; ++count)
    v = v & 1 ? 3 * v + 1 : v / 2;
  steps[i] = count;
}

// A small machine: its instructions are a dense switch.
extern "C" __global__ void machine(const uint8_t *code, int *y, int length) {
  int a = threadIdx.x, b = 1, pc = threadIdx.x % 4;
  for (int step = 0; step < 200 && pc < length; ++step) {
    switch (code[pc]) {
    case 0: a += b; break;
    case 1: b = a ^ 5; break;
    case 2: a = a * 3 + 1; break;
    case 3: pc += a & 3; break;
    case 4: a -= b << 1; break;
    case 5: b = -b; break;
    case 6: a = (a >> 2) | b; break;
    case 7: step += 7; break;
    case 8: pc = b & 1 ? pc : pc / 2; break;
    case 9: a = a < b ? b : a; break;
    case 10: b += pc * 11; break;
    case 11: a = ~a; break;
    default: a += 1000; break;
    }
    ++pc;
  }
  y[threadIdx.x * 2] = a, y[threadIdx.x * 2 + 1] = b;
}

__device__ __noinline__ int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  if (n == 0)
    return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}
extern "C" __global__ void recursion(int *y) { y[threadIdx.x] = ackermann(threadIdx.x % 3, threadIdx.x / 3); }

struct Pair {
  double first;
  int second;
};
__device__ __noinline__ Pair combine(Pair a, Pair b, const float *weights) {
  return {a.first * weights[0] + b.first * weights[1], a.second - b.second};
}
extern "C" __global__ void structureCalls(const float *weights, double *y, int *z) {
  Pair p = {double(threadIdx.x), int(threadIdx.x)};
  for (int i = 0; i < 5; ++i)
    p = combine(p, {1.5, i}, weights + i);
  y[threadIdx.x] = p.first, z[threadIdx.x] = p.second;
}

extern "C" __global__ void mandelbrot(int *y, int width, int height) {
  int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
  if (px >= width || py >= height)
    return;
  double cx = px * 0.0625 - 2, cy = py * 0.0625 - 1, x = 0, y2 = 0;
  int n = 0;
  while (n < 64) {
    double xx = x * x, yy = y2 * y2;
    if (xx + yy > 4)
      break;
    y2 = __dadd_rn(__dmul_rn(2 * x, y2), cy);
    x = __dadd_rn(__dadd_rn(xx, -yy), cx);
    ++n;
  }
  y[py * width + px] = n;
}

// Threads that have returned do not hold up a barrier; what is left of their
// warp waits there without them.
extern "C" __global__ void earlyExit(int *y, int n) {
  __shared__ int sum;
  if (threadIdx.x == 0)
    sum = 0;
  __syncthreads();
  if (threadIdx.x >= n)
    return;
  atomicAdd(&sum, threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = sum;
}

extern "C" __global__ void bitonicSort(float *x) {
  __shared__ float s[256];
  int t = threadIdx.x;
  s[t] = x[blockIdx.x * 256 + t];
  __syncthreads();
  for (int k = 2; k <= 256; k *= 2)
    for (int j = k / 2; j; j /= 2) {
      int other = t ^ j;
      if (other > t && (t & k ? s[t] < s[other] : s[t] > s[other])) {
        float v = s[t];
        s[t] = s[other], s[other] = v;
      }
      __syncthreads();
    }
  x[blockIdx.x * 256 + t] = s[t];
}

// Blocks in three dimensions write where they are.
extern "C" __global__ void coordinates(uint64_t *y) {
  int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  int threads = blockDim.x * blockDim.y * blockDim.z;
  y[b * threads + t] = uint64_t(threadIdx.z) << 40 | uint64_t(threadIdx.y) << 32 | threadIdx.x << 24 |
                       blockIdx.z << 16 | blockIdx.y << 8 | blockIdx.x;
}

// A counter-based generator: long chains of wide products.
extern "C" __global__ void philox(uint32_t *y, uint32_t key) {
  uint32_t c0 = blockIdx.x * blockDim.x + threadIdx.x, c1 = 7, c2 = 0, c3 = 0, k0 = key, k1 = ~key, i = c0;
#pragma unroll 1
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53u) * c0, b = uint64_t(0xCD9E8D57u) * c2;
    c0 = uint32_t(b >> 32) ^ c1 ^ k0, c1 = uint32_t(b);
    c2 = uint32_t(a >> 32) ^ c3 ^ k1, c3 = uint32_t(a);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  y[i * 4] = c0, y[i * 4 + 1] = c1, y[i * 4 + 2] = c2, y[i * 4 + 3] = c3;
}
