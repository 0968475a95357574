// Ways through memory: tiles, padding, vectors, constant, local and dynamic
// shared memory, and the asynchronous copies of sm_80 and sm_90.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>

extern "C" __global__ void transpose(const float *x, float *y, int rows, int columns) {
  __shared__ float tile[32][33];
  int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32;
  for (int i = threadIdx.y; i < 32; i += blockDim.y)
    if (r + i < rows && c < columns)
      tile[i][threadIdx.x] = x[(r + i) * columns + c];
  __syncthreads();
  c = blockIdx.x * 32, r = blockIdx.y * 32 + threadIdx.x;
  for (int i = threadIdx.y; i < 32; i += blockDim.y)
    if (c + i < columns && r < rows)
      y[(c + i) * rows + r] = tile[threadIdx.x][i];
}

extern "C" __global__ void matmulTiled(const float *a, const float *b, float *c, int m, int n, int k) {
  __shared__ float ta[16][16], tb[16][16];
  int x = threadIdx.x, y = threadIdx.y, column = blockIdx.x * 16 + x, row = blockIdx.y * 16 + y;
  float sum = 0;
  for (int p = 0; p < k; p += 16) {
    ta[y][x] = row < m && p + x < k ? a[row * k + p + x] : 0;
    tb[y][x] = column < n && p + y < k ? b[(p + y) * n + column] : 0;
    __syncthreads();
    for (int i = 0; i < 16; ++i)
      sum += ta[y][i] * tb[i][x];
    __syncthreads();
  }
  if (row < m && column < n)
    c[row * n + column] = sum;
}

extern "C" __global__ void copyVectors(const uint4 *x, uint4 *y, const float2 *p, float2 *q, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    uint4 v = x[i];
    y[i] = make_uint4(v.w, v.z, v.y, v.x);
    q[i] = make_float2(p[i].y, -p[i].x);
  }
}

struct Triple {
  short a;
  float b;
  signed char c;
  double d;
};
extern "C" __global__ void structures(const Triple *x, Triple *y, const unsigned char *bytes, const short *halves,
                                      int *sums, int n) {
  int i = threadIdx.x;
  if (i < n) {
    Triple v = x[i];
    v.a = -v.a, v.b *= 2, v.c ^= 0x55, v.d -= 1;
    y[i].a = v.a, y[i].b = v.b, y[i].c = v.c, y[i].d = v.d;
    sums[i] = bytes[i] - halves[i] + ((const signed char *)bytes)[i];
  }
}

__constant__ float taps[9] = {1, -2, 3, -4, 5, -4, 3, -2, 1};
extern "C" __global__ void filter(const float *x, float *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float sum = 0;
#pragma unroll 1
  for (int j = 0; j < 9; ++j) {
    int at = i + j - 4;
    sum += at >= 0 && at < n ? taps[j] * __ldg(x + at) : 0;
  }
  y[i] = sum;
}

// Every thread sorts 16 numbers in an array that lives in local memory.
extern "C" __global__ void sortLocal(const int *x, int *y) {
  int values[16], i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int j = 0; j < 16; ++j)
    values[j] = x[i * 16 + j];
  for (int j = 1; j < 16; ++j) {
    int v = values[j], at = j;
    while (at > 0 && values[at - 1] > v) {
      values[at] = values[at - 1];
      --at;
    }
    values[at] = v;
  }
  for (int j = 0; j < 16; ++j)
    y[i * 16 + j] = values[j];
}

extern "C" __global__ void reverseDynamic(double *x, int n) {
  extern __shared__ double items[];
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    items[i] = x[blockIdx.x * n + i];
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    x[blockIdx.x * n + i] = items[n - 1 - i];
}

__device__ int counters[4] = {5, 6, 7, 8};
__device__ int *where(int *p, int i) { return i & 1 ? p : counters; }
// A pointer that may be shared or global, known at run time only.
extern "C" __global__ void genericPointers(int *y) {
  __shared__ int local[4];
  if (threadIdx.x < 4)
    local[threadIdx.x] = threadIdx.x * 100;
  __syncthreads();
  y[threadIdx.x] = where(local, threadIdx.x)[threadIdx.x / 2 % 4];
}

__device__ uint32_t sharedAddress(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// Two stages of cp.async; the next tile flies while this one is added.
extern "C" __global__ void copyAsync(const float4 *x, float *y, int tiles) {
  __shared__ float4 stage[2][64];
  int t = threadIdx.x;
  const float4 *from = x + blockIdx.x * tiles * 64 + t;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n cp.async.commit_group;" ::"r"(
                   sharedAddress(&stage[0][t])),
               "l"(from));
  float sum = 0;
  for (int i = 0; i < tiles; ++i) {
    if (i + 1 < tiles)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(&stage[(i + 1) % 2][t])),
                   "l"(from + (i + 1) * 64));
    asm volatile("cp.async.commit_group;\n cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    float4 v = stage[i % 2][63 - t];
    sum += v.x + 2 * v.y + 3 * v.z + 4 * v.w;
    __syncthreads();
  }
  y[blockIdx.x * 64 + t] = sum;
}

// The source size of cp.async: what lies beyond the end becomes zero.
extern "C" __global__ void copyAsyncEdge(const float *x, float *y, int n) {
  __shared__ float tile[128];
  int t = threadIdx.x, left = n - t * 4, bytes = left >= 4 ? 16 : left > 0 ? left * 4 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n cp.async.wait_all;" ::"r"(
                   sharedAddress(&tile[t * 4])),
               "l"(bytes ? x + t * 4 : x), "r"(bytes)
               : "memory");
  __syncthreads();
  for (int i = t; i < 128; i += 32)
    y[i] = tile[i];
}

__device__ void mbarrierInit(uint64_t *b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(b)), "r"(count) : "memory");
}
__device__ void mbarrierArrive(uint64_t *b) {
  asm volatile("{.reg .b64 s; mbarrier.arrive.shared::cta.b64 s, [%0];}" ::"r"(sharedAddress(b)) : "memory");
}
__device__ void mbarrierExpect(uint64_t *b, int bytes) {
  asm volatile("{.reg .b64 s; mbarrier.arrive.expect_tx.shared::cta.b64 s, [%0], %1;}" ::"r"(sharedAddress(b)),
               "r"(bytes)
               : "memory");
}
__device__ void mbarrierWait(uint64_t *b, int parity) {
  asm volatile("{.reg .pred p;\nAGAIN: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
               "@p bra DONE;\nbra AGAIN;\nDONE:\n}" ::"r"(sharedAddress(b)),
               "r"(parity)
               : "memory");
}

// A ring of bulk copies: one thread loads, two warps add, empty and full
// barriers between them.
extern "C" __global__ void copyBulk(const float *x, float *y, int tiles) {
  __shared__ alignas(128) float ring[3][256];
  __shared__ alignas(8) uint64_t full[3], empty[3];
  if (threadIdx.x == 0) {
    for (int i = 0; i < 3; ++i)
      mbarrierInit(&full[i], 1), mbarrierInit(&empty[i], 2);
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  const float *from = x + blockIdx.x * tiles * 256;
  if (threadIdx.x / 32 == 2) {
    if (threadIdx.x == 64)
      for (int i = 0; i < tiles; ++i) {
        int s = i % 3;
        mbarrierWait(&empty[s], (i / 3 & 1) ^ 1);
        mbarrierExpect(&full[s], 1024);
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 1024, [%2];" ::"r"(
                         sharedAddress(ring[s])),
                     "l"(from + i * 256), "r"(sharedAddress(&full[s]))
                     : "memory");
      }
    return;
  }
  float sum = 0;
  for (int i = 0; i < tiles; ++i) {
    int s = i % 3;
    mbarrierWait(&full[s], i / 3 & 1);
    for (int j = 0; j < 4; ++j)
      sum += ring[s][j * 64 + threadIdx.x] * (j + 1);
    __syncwarp();
    if (threadIdx.x % 32 == 0)
      mbarrierArrive(&empty[s]);
  }
  y[blockIdx.x * 64 + threadIdx.x] = sum;
}

// Shared memory to global memory in bulk.
extern "C" __global__ void storeBulk(float *y) {
  __shared__ alignas(128) float tile[128];
  tile[threadIdx.x] = threadIdx.x * 3.0f + blockIdx.x;
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 512;\ncp.async.bulk.commit_group;\n"
                 "cp.async.bulk.wait_group 0;" ::"l"(y + blockIdx.x * 128),
                 "r"(sharedAddress(tile))
                 : "memory");
  }
}
