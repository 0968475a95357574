// What lanes, warps and blocks say to each other: votes, matches, shuffles in
// parts of a warp, locks, flags, named barriers and mbarriers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>

extern "C" __global__ void compact(const int *x, int *y, int *count, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  bool keep = i < n && x[i] % 3 == 0;
  unsigned mask = __ballot_sync(~0u, keep);
  int base = 0;
  if (lane == 0)
    base = atomicAdd(count, __popc(mask));
  base = __shfl_sync(~0u, base, 0);
  if (keep)
    y[base + __popc(mask & ((1u << lane) - 1))] = x[i];
}

extern "C" __global__ void votes(const int *x, unsigned *y) {
  int v = x[threadIdx.x], w = threadIdx.x / 32;
  unsigned any = __any_sync(~0u, v > 90), all = __all_sync(~0u, v >= 0), same = __match_any_sync(~0u, v & 7);
  int uniform;
  unsigned whole = __match_all_sync(~0u, v / 1000, &uniform);
  y[threadIdx.x * 2] = same;
  y[threadIdx.x * 2 + 1] = any | all << 1 | (whole == ~0u) << 2 | uniform << 3 | w << 8;
}

// Lanes with equal labels are a group; all groups are at one instruction.
extern "C" __global__ void labels(const int *x, int *y) {
  int v = x[threadIdx.x], n = blockDim.x, t = threadIdx.x, whole;
  unsigned group = __match_any_sync(~0u, v % 3);
  y[t] = __reduce_add_sync(group, v);
  y[n + t] = __reduce_max_sync(group, v);
  y[2 * n + t] = __shfl_sync(group, v, __ffs(group) - 1);
  y[3 * n + t] = __ballot_sync(group, v & 1);
  y[4 * n + t] = __any_sync(group, v > 90);
  y[5 * n + t] = __match_any_sync(group, v & 3);
  y[6 * n + t] = __match_all_sync(group, v % 3, &whole);
  __syncwarp(group);
}

extern "C" __global__ void shuffles(const int *x, int *y) {
  int v = x[threadIdx.x], n = blockDim.x, t = threadIdx.x;
  y[t] = __shfl_sync(~0u, v, t + 3, 8);
  y[n + t] = __shfl_down_sync(~0u, v, 5, 16);
  y[2 * n + t] = __shfl_up_sync(~0u, v, 2, 4);
  y[3 * n + t] = __shfl_xor_sync(~0u, v, 9);
  double wide = __shfl_xor_sync(~0u, v * 0.5, 1);
  y[4 * n + t] = int(wide * 4);
  if (t % 3 == 0) { // only some lanes of a warp
    unsigned mask = __activemask();
    y[5 * n + t] = __shfl_sync(mask, v, __ffs(mask) - 1) + __popc(mask);
  }
}

// Every thread of every block takes the lock once.
extern "C" __global__ void lockBlocks(int *lock, int *counter, int *order) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      __threadfence();
      int ticket = *(volatile int *)counter;
      *(volatile int *)counter = ticket + 1;
      order[ticket] = blockIdx.x * blockDim.x + threadIdx.x;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}

// A lane that holds the lock must run on while lanes of its warp wait for it.
extern "C" __global__ void lockLanes(int *lock, int *counter) {
  while (atomicCAS(lock, 0, 1) != 0)
    ;
  __threadfence();
  *(volatile int *)counter += threadIdx.x;
  __threadfence();
  atomicExch(lock, 0);
}

// One warp writes, one reads; each waits for the other's flag in shared memory.
extern "C" __global__ void flagsBetweenWarps(int *y, int rounds) {
  __shared__ int value[32];
  __shared__ int flag;
  int lane = threadIdx.x % 32;
  if (threadIdx.x == 0)
    flag = 0;
  __syncthreads();
  volatile int *seen = &flag;
  for (int i = 0; i < rounds; ++i) {
    if (threadIdx.x < 32) {
      while (*seen != 2 * i)
        ;
      __threadfence_block();
      value[lane] = i * 32 + lane;
      __threadfence_block();
      __syncwarp();
      if (lane == 0)
        *seen = 2 * i + 1;
    } else {
      while (*seen != 2 * i + 1)
        ;
      __threadfence_block();
      y[i * 32 + lane] = value[31 - lane];
      __threadfence_block();
      __syncwarp();
      if (lane == 0)
        *seen = 2 * i + 2;
    }
  }
}

// Named barriers: a producer warp arrives, consumers wait, and back.
extern "C" __global__ void namedBarriers(int *y, int rounds) {
  __shared__ int value[32];
  int lane = threadIdx.x % 32;
  for (int i = 0; i < rounds; ++i) {
    if (threadIdx.x < 32) {
      value[lane] = i + lane * 10;
      asm volatile("bar.arrive 1, 96;" ::: "memory");
      asm volatile("bar.sync 2, 96;" ::: "memory");
    } else {
      asm volatile("bar.sync 1, 96;" ::: "memory");
      y[(i * 2 + threadIdx.x / 32 - 1) * 32 + lane] = value[lane] + threadIdx.x;
      asm volatile("bar.arrive 2, 96;" ::: "memory");
    }
  }
}

__device__ uint32_t sharedAddress(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// All threads meet at an mbarrier by its state token, round after round.
extern "C" __global__ void mbarrierRounds(int *y, int rounds) {
  __shared__ alignas(8) uint64_t barrier;
  __shared__ int slots[2][128];
  int t = threadIdx.x;
  if (t == 0)
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(&barrier)), "r"(128) : "memory");
  __syncthreads();
  int v = t;
  for (int i = 0; i < rounds; ++i) {
    slots[i % 2][t] = v;
    asm volatile("{.reg .b64 state; .reg .pred p;\nmbarrier.arrive.shared::cta.b64 state, [%0];\n"
                 "AGAIN: mbarrier.test_wait.shared::cta.b64 p, [%0], state;\n@!p bra AGAIN;\n}" ::"r"(
                     sharedAddress(&barrier))
                 : "memory");
    v = slots[i % 2][(t + 1) % 128] + 1;
  }
  y[t] = v;
}

extern "C" __global__ void countAtBarrier(const int *x, int *y) {
  int v = x[threadIdx.x];
  int count = __syncthreads_count(v > 0), all = __syncthreads_and(v > -100), any = __syncthreads_or(v > 100);
  y[threadIdx.x] = count * 4 + (all != 0) * 2 + (any != 0);
}
