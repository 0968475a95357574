// Block primitives of the toolkit's CUB headers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cub/block/block_exchange.cuh>
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_merge_sort.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/warp/warp_reduce.cuh>

extern "C" __global__ void blockReduce(const int *x, int *y) {
  using Reduce = cub::BlockReduce<int, 128>;
  __shared__ typename Reduce::TempStorage storage;
  int sum = Reduce(storage).Sum(x[blockIdx.x * 128 + threadIdx.x]);
  if (threadIdx.x == 0)
    y[blockIdx.x] = sum;
}

extern "C" __global__ void blockScan(const int *x, int *y) {
  using Scan = cub::BlockScan<int, 128>;
  __shared__ typename Scan::TempStorage storage;
  int items[4], total, at = (blockIdx.x * 128 + threadIdx.x) * 4;
  for (int i = 0; i < 4; ++i)
    items[i] = x[at + i];
  Scan(storage).ExclusiveSum(items, items, total);
  for (int i = 0; i < 4; ++i)
    y[at + i] = items[i] + total;
}

extern "C" __global__ void blockSort(const int *x, int *y) {
  using Sort = cub::BlockRadixSort<int, 128, 4>;
  __shared__ typename Sort::TempStorage storage;
  int keys[4], at = (blockIdx.x * 128 + threadIdx.x) * 4;
  for (int i = 0; i < 4; ++i)
    keys[i] = x[at + i];
  Sort(storage).Sort(keys);
  for (int i = 0; i < 4; ++i)
    y[at + i] = keys[i];
}

struct Descending {
  __device__ bool operator()(int a, int b) const { return a > b; }
};

// Reads behind the last key, and takes what it has read there for nothing.
extern "C" __global__ void blockMergeSort(const int *x, int *y, int n) {
  using Sort = cub::BlockMergeSort<int, 128, 4>;
  __shared__ typename Sort::TempStorage storage;
  int keys[4], at = threadIdx.x * 4, first = blockIdx.x * 512;
  for (int i = 0; i < 4; ++i)
    if (at + i < n)
      keys[i] = x[first + at + i];
  Sort(storage).Sort(keys, Descending(), n, -2000000000);
  for (int i = 0; i < 4; ++i)
    if (at + i < n)
      y[first + at + i] = keys[i];
}

extern "C" __global__ void blockExchange(const int *x, int *y) {
  using Exchange = cub::BlockExchange<int, 64, 4>;
  __shared__ typename Exchange::TempStorage storage;
  int items[4];
  for (int i = 0; i < 4; ++i)
    items[i] = x[blockIdx.x * 256 + i * 64 + threadIdx.x];
  Exchange(storage).StripedToBlocked(items, items);
  for (int i = 0; i < 4; ++i)
    y[(blockIdx.x * 64 + threadIdx.x) * 4 + i] = items[i] * 2;
}

extern "C" __global__ void blockHistogram(const unsigned char *x, int *y) {
  using Histogram = cub::BlockHistogram<unsigned char, 128, 4, 64>;
  __shared__ typename Histogram::TempStorage storage;
  __shared__ int counts[64];
  unsigned char items[4];
  for (int i = 0; i < 4; ++i)
    items[i] = x[threadIdx.x * 4 + i];
  Histogram(storage).Histogram(items, counts);
  __syncthreads();
  if (threadIdx.x < 64)
    y[threadIdx.x] = counts[threadIdx.x];
}

extern "C" __global__ void warpReduce(const float *x, float *y) {
  using Reduce = cub::WarpReduce<float>;
  __shared__ typename Reduce::TempStorage storage[4];
  int w = threadIdx.x / 32;
  float most = Reduce(storage[w]).Reduce(x[threadIdx.x], [](float a, float b) { return a > b ? a : b; });
  if (threadIdx.x % 32 == 0)
    y[w] = most;
}
