// Memory that device code takes for itself: malloc and free, new and delete, and
// alloca.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>

// A list of each thread's divisors, built node by node and taken apart again.
struct Node {
  int value;
  Node *next;
};
extern "C" __global__ void divisors(int *sums, int *lost) {
  int n = blockIdx.x * blockDim.x + threadIdx.x + 1;
  Node *head = nullptr;
  for (int i = 1; i <= n; ++i)
    if (n % i == 0) {
      Node *node = static_cast<Node *>(malloc(sizeof(Node)));
      if (!node) {
        atomicAdd(lost, 1);
        break;
      }
      node->value = i;
      node->next = head;
      head = node;
    }
  int sum = 0;
  while (head) {
    Node *next = head->next;
    sum += head->value;
    free(head);
    head = next;
  }
  sums[n - 1] = sum;
}

// The block's memory comes from one thread.
extern "C" __global__ void shareHeap(const int *x, int *y) {
  __shared__ int *buffer;
  if (threadIdx.x == 0)
    buffer = new int[blockDim.x];
  __syncthreads();
  buffer[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  y[blockIdx.x * blockDim.x + threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
  __syncthreads();
  if (threadIdx.x == 0)
    delete[] buffer;
}

// An array on the stack whose size is the thread's.
extern "C" __global__ void reverseDigits(int *y) {
  int n = threadIdx.x;
  int *digits = static_cast<int *>(alloca((n + 1) * sizeof(int)));
  for (int i = 0; i <= n; ++i)
    digits[i] = i * i;
  int sum = 0;
  for (int i = n; i >= 0; --i)
    sum = sum * 3 + digits[i];
  y[n] = sum;
}
