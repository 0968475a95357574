// Thread block clusters through cooperative groups.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

// Every block reduces its part; rank 0 adds what the others have.
extern "C" __global__ void __cluster_dims__(4, 1, 1) clusterSum(const float *x, float *y) {
  __shared__ float parts[128];
  cg::cluster_group cluster = cg::this_cluster();
  unsigned t = threadIdx.x;
  parts[t] = x[blockIdx.x * 128 + t];
  for (unsigned half = 64; half > 0; half /= 2) {
    __syncthreads();
    if (t < half)
      parts[t] += parts[t + half];
  }
  cluster.sync();
  if (cluster.block_rank() == 0 && t == 0) {
    float sum = 0;
    for (unsigned rank = 0; rank < cluster.num_blocks(); ++rank)
      sum += *cluster.map_shared_rank(parts, rank);
    y[blockIdx.x / 4] = sum;
  }
  cluster.sync();
}

// A histogram whose bins lie in the shared memory of two blocks.
extern "C" __global__ void __cluster_dims__(2, 1, 1) clusterHistogram(const unsigned char *x, int *y) {
  __shared__ int bins[128];
  cg::cluster_group cluster = cg::this_cluster();
  bins[threadIdx.x] = 0;
  cluster.sync();
  unsigned char value = x[blockIdx.x * 128 + threadIdx.x];
  atomicAdd(cluster.map_shared_rank(bins, value / 128) + value % 128, 1);
  cluster.sync();
  atomicAdd(&y[cluster.block_rank() * 128 + threadIdx.x], bins[threadIdx.x]);
}

// Each block hands its row to the next one of the ring, while it does other work.
extern "C" __global__ void __cluster_dims__(1, 4, 1) clusterRing(const int *x, int *y) {
  __shared__ int row[32], received[32];
  cg::cluster_group cluster = cg::this_cluster();
  unsigned t = threadIdx.x, at = blockIdx.y * 32 + t;
  row[t] = x[at];
  auto token = cluster.barrier_arrive();
  int doubled = 2 * row[t];
  cluster.barrier_wait(static_cast<decltype(token) &&>(token));
  unsigned next = (cluster.block_rank() + 1) % cluster.num_blocks();
  cluster.map_shared_rank(received, next)[t] = row[t];
  cluster.sync();
  y[at] = received[t] + 1000 * doubled + 1000000 * (cluster.block_index().y + cluster.dim_blocks().y);
}
