// Calls through addresses, and what device code asks of the system: printf,
// assert, traps, exits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cassert>
#include <cstdio>

__device__ __noinline__ int add(int a, int b) { return a + b; }
__device__ __noinline__ int multiply(int a, int b) { return a * b; }
__device__ __noinline__ int subtract(int a, int b) { return a - b; }
__device__ int (*const operations[])(int, int) = {add, multiply, subtract};

extern "C" __global__ void functionTable(const int *x, int *y) {
  y[threadIdx.x] = operations[x[threadIdx.x]](threadIdx.x, 7);
}

extern "C" __global__ void functionArguments(const int *x, int *y) {
  int (*chosen)(int, int) = x[threadIdx.x] > 1 ? add : multiply;
  int sum = 0;
  for (int i = 0; i < x[threadIdx.x]; ++i) {
    sum = chosen(sum, threadIdx.x);
    chosen = chosen == add ? subtract : add;
  }
  y[threadIdx.x] = sum;
}

struct Shape {
  __device__ virtual double area() const = 0;
  __device__ virtual int corners() const { return 0; }
};
struct Box : Shape {
  double a, b;
  __device__ Box(double a, double b) : a(a), b(b) {}
  __device__ double area() const override { return a * b; }
  __device__ int corners() const override { return 4; }
};
struct Disc : Shape {
  double r;
  __device__ explicit Disc(double r) : r(r) {}
  __device__ double area() const override { return 3 * r * r; }
};

extern "C" __global__ void virtualFunctions(const int *x, double *y) {
  Box box(threadIdx.x, 2);
  Disc disc(threadIdx.x);
  const Shape *shape = x[threadIdx.x] & 1 ? static_cast<const Shape *>(&box) : &disc;
  y[threadIdx.x] = shape->area() + shape->corners();
}

// The nodes of a tree, each visited through the address of its own function.
struct Node {
  int (*visit)(const Node *, int);
  int left, right, value;
};
__device__ int visitLeaf(const Node *node, int) { return node->value; }
__device__ int visitSum(const Node *node, int at) {
  const Node *left = node - at + node->left, *right = node - at + node->right;
  return left->visit(left, node->left) + right->visit(right, node->right);
}
extern "C" __global__ void treeOfFunctions(const int *x, int *y) {
  Node nodes[7];
  for (int i = 0; i < 7; ++i)
    nodes[i] = {i < 3 ? visitSum : visitLeaf, 2 * i + 1, 2 * i + 2, x[threadIdx.x] + i};
  y[threadIdx.x] = nodes[0].visit(nodes, 0);
}

extern "C" __global__ void prints(const int *x) {
  int v = x[threadIdx.x];
  printf("%d of %u: %5.2f|%-6d|%+05d|%x %s %c %lld %%\n", threadIdx.x, blockDim.x, v * 0.5, v, v, v, "text",
         'a' + threadIdx.x, (long long)v << 33);
  if (threadIdx.x == 0)
    printf("done %*d\n", 4, printf("two %d %d\n", 1, 2));
}

extern "C" __global__ void asserts(const int *x) {
  assert(x[threadIdx.x] < 10 && "too large");
}

extern "C" __global__ void traps(const int *x, int *y) {
  if (x[threadIdx.x] == 3)
    __trap();
  y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void exits(const int *x, int *y) {
  if (x[threadIdx.x] < 0)
    asm volatile("exit;");
  y[threadIdx.x] = x[threadIdx.x];
}
