// Reductions, scans and histograms: shared trees, shuffles, atomics, and blocks
// that wait for each other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

extern "C" __global__ void sumTree(const float *x, float *sums, int n) {
  __shared__ float part[256];
  int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  part[t] = i < n ? x[i] : 0;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (t < step)
      part[t] += part[t + step];
    __syncthreads();
  }
  if (t == 0)
    sums[blockIdx.x] = part[0];
}

__device__ float warpSum(float v) {
  for (int step = 16; step; step /= 2)
    v += __shfl_xor_sync(~0u, v, step);
  return v;
}

extern "C" __global__ void sumShuffle(const float *x, float *sums, int n) {
  __shared__ float part[32];
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    v += x[blockIdx.x * n + i];
  v = warpSum(v);
  if (threadIdx.x % 32 == 0)
    part[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x < 32) {
    v = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0;
    v = warpSum(v);
    if (threadIdx.x == 0)
      sums[blockIdx.x] = v;
  }
}

// The last block to finish adds what all have left in memory.
extern "C" __global__ void sumLastBlock(const float *x, float *partial, unsigned *counter, float *total, int n) {
  __shared__ bool last;
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    v += x[i];
  v = warpSum(v);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = v;
    __threadfence();
    last = atomicAdd(counter, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    __threadfence();
    float sum = 0;
    for (int i = 0; i < gridDim.x; ++i)
      sum += ((volatile float *)partial)[i];
    *total = sum;
    *counter = 0;
  }
}

extern "C" __global__ void scanShared(const int *x, int *y) {
  extern __shared__ int buffer[];
  int t = threadIdx.x, n = blockDim.x, in = 0;
  buffer[t] = x[blockIdx.x * n + t];
  __syncthreads();
  for (int step = 1; step < n; step *= 2) {
    int *from = buffer + in * n, *to = buffer + (1 - in) * n;
    to[t] = t >= step ? from[t] + from[t - step] : from[t];
    in = 1 - in;
    __syncthreads();
  }
  y[blockIdx.x * n + t] = buffer[in * n + t];
}

extern "C" __global__ void scanWarps(const int *x, int *y) {
  int lane = threadIdx.x % 32, i = blockIdx.x * blockDim.x + threadIdx.x, v = x[i];
  for (int step = 1; step < 32; step *= 2) {
    int other = __shfl_up_sync(~0u, v, step);
    if (lane >= step)
      v += other;
  }
  y[i] = v;
}

// One pass over the data: a block takes the next ticket, and waits for the sum
// of all before it.
extern "C" __global__ void scanLookback(const unsigned *x, unsigned *y, unsigned *ticket,
                                        volatile unsigned long long *state) {
  __shared__ unsigned tile, before, part[128];
  int t = threadIdx.x;
  if (t == 0)
    tile = atomicAdd(ticket, 1);
  __syncthreads();
  unsigned v = x[tile * 128 + t];
  part[t] = v;
  __syncthreads();
  for (int step = 1; step < 128; step *= 2) {
    unsigned other = t >= step ? part[t - step] : 0;
    __syncthreads();
    part[t] += other;
    __syncthreads();
  }
  if (t == 0) {
    unsigned long long prefix = 0;
    if (tile) {
      while (!(prefix = state[tile - 1]))
        ;
      prefix &= 0xffffffffu;
    }
    before = unsigned(prefix);
    state[tile] = 1ull << 32 | (unsigned(prefix) + part[127]);
  }
  __syncthreads();
  y[tile * 128 + t] = before + part[t];
}

extern "C" __global__ void histogramShared(const unsigned char *x, unsigned *counts, int n) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[x[i]], 1);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i])
      atomicAdd(&counts[i], local[i]);
}

extern "C" __global__ void maximumPlace(const float *x, unsigned long long *best, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) { // non-negative floats order like their bits
    unsigned long long packed = (unsigned long long)__float_as_uint(x[i]) << 32 | unsigned(n - 1 - i);
    atomicMax(best, packed);
  }
}

extern "C" __global__ void reduxAll(const int *x, int *y) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, w = i / 32;
  int v = x[i];
  int low = __reduce_min_sync(~0u, v), high = __reduce_max_sync(~0u, v), sum = __reduce_add_sync(~0u, v);
  unsigned all = __reduce_and_sync(~0u, unsigned(v)), any = __reduce_or_sync(~0u, unsigned(v)),
           odd = __reduce_xor_sync(~0u, unsigned(v));
  if (threadIdx.x % 32 == 7) {
    y[w * 6] = low, y[w * 6 + 1] = high, y[w * 6 + 2] = sum;
    y[w * 6 + 3] = all, y[w * 6 + 4] = any, y[w * 6 + 5] = odd;
  }
}

// Atomics of every kind on one word each.
extern "C" __global__ void atomicsAll(const int *x, int *w, float *f, double *d, unsigned *u) {
  int v = x[blockIdx.x * blockDim.x + threadIdx.x];
  atomicAdd(&w[0], v), atomicSub(&w[1], v), atomicMin(&w[2], v), atomicMax(&w[3], v);
  atomicAnd(&w[4], v), atomicOr(&w[5], v), atomicXor(&w[6], v);
  atomicAdd(f, float(v)), atomicAdd(d, double(v));
  atomicInc(&u[0], 99), atomicDec(&u[1], 49);
  atomicExch(&u[2], 77u);
  unsigned old = u[3], seen; // the product of all odd numbers, by compare and swap
  old = atomicAdd(&u[3], 0);
  do {
    seen = old;
    old = atomicCAS(&u[3], seen, seen * unsigned(2 * v + 1));
  } while (old != seen);
}
