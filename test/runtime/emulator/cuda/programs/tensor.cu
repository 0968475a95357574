// Tensor cores: through the wmma interface, and by mma.sync with ldmatrix and
// fragments loaded by hand, for every kind of operand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cuda_fp16.h>
#include <mma.h>

__device__ uint32_t sharedAddress(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// c = a · b, one warp a 16 × 16 tile; b is stored by columns.
extern "C" __global__ void wmmaMatmul(const half *a, const half *b, float *c, int n, int k) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 16, half, row_major> fa;
  fragment<matrix_b, 16, 16, 16, half, col_major> fb;
  fragment<accumulator, 16, 16, 16, float> fc;
  fill_fragment(fc, 0.0f);
  int row = blockIdx.y * 16, column = blockIdx.x * 16;
  for (int p = 0; p < k; p += 16) {
    load_matrix_sync(fa, a + row * k + p, k);
    load_matrix_sync(fb, b + column * k + p, k);
    mma_sync(fc, fa, fb, fc);
  }
  store_matrix_sync(c + row * n + column, fc, n, mem_row_major);
}

// One tile of other operands over k; b is stored by columns.
template <typename T, typename Sum, int M, int N, int K, typename Fragment = T>
__device__ void wmmaTile(const T *a, const T *b, Sum *c, int k) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, M, N, K, Fragment, row_major> fa;
  fragment<matrix_b, M, N, K, Fragment, col_major> fb;
  fragment<accumulator, M, N, K, Sum> fc;
  load_matrix_sync(fc, c, N, mem_row_major);
  for (int p = 0; p < k; p += K) {
    load_matrix_sync(fa, a + p, k);
    load_matrix_sync(fb, b + p, k);
    mma_sync(fc, fa, fb, fc);
  }
  store_matrix_sync(c, fc, N, mem_row_major);
}
extern "C" __global__ void wmmaS8(const signed char *a, const signed char *b, int *c, int k) {
  wmmaTile<signed char, int, 16, 16, 16>(a, b, c, k);
}
extern "C" __global__ void wmmaU8Tall(const unsigned char *a, const unsigned char *b, int *c, int k) {
  wmmaTile<unsigned char, int, 32, 8, 16>(a, b, c, k);
}
extern "C" __global__ void wmmaS8Wide(const signed char *a, const signed char *b, int *c, int k) {
  wmmaTile<signed char, int, 8, 32, 16>(a, b, c, k);
}
extern "C" __global__ void wmmaTf32(const float *a, const float *b, float *c, int k) {
  wmmaTile<float, float, 16, 16, 8, nvcuda::wmma::precision::tf32>(a, b, c, k);
}
extern "C" __global__ void wmmaF64(const double *a, const double *b, double *c, int k) {
  wmmaTile<double, double, 8, 8, 4>(a, b, c, k);
}

// Operands of less than bytes, k elements a row or column.
extern "C" __global__ void wmmaS4(const uint32_t *a, const uint32_t *b, int *c, int k) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 8, 8, 32, experimental::precision::s4, row_major> fa;
  fragment<matrix_b, 8, 8, 32, experimental::precision::s4, col_major> fb;
  fragment<accumulator, 8, 8, 32, int> fc;
  load_matrix_sync(fc, c, 8, mem_row_major);
  for (int p = 0; p < k; p += 32) {
    load_matrix_sync(fa, a + p / 8, k);
    load_matrix_sync(fb, b + p / 8, k);
    mma_sync(fc, fa, fb, fc);
  }
  store_matrix_sync(c, fc, 8, mem_row_major);
}
template <nvcuda::wmma::experimental::bmmaBitOp Op>
__device__ void wmmaBits(const uint32_t *a, const uint32_t *b, int *c, int k) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 8, 8, 128, experimental::precision::b1, row_major> fa;
  fragment<matrix_b, 8, 8, 128, experimental::precision::b1, col_major> fb;
  fragment<accumulator, 8, 8, 128, int> fc;
  load_matrix_sync(fc, c, 8, mem_col_major);
  for (int p = 0; p < k; p += 128) {
    load_matrix_sync(fa, a + p / 32, k);
    load_matrix_sync(fb, b + p / 32, k);
    bmma_sync(fc, fa, fb, fc, Op);
  }
  store_matrix_sync(c, fc, 8, mem_col_major);
}
extern "C" __global__ void wmmaXor(const uint32_t *a, const uint32_t *b, int *c, int k) {
  wmmaBits<nvcuda::wmma::experimental::bmmaBitOpXOR>(a, b, c, k);
}
extern "C" __global__ void wmmaAnd(const uint32_t *a, const uint32_t *b, int *c, int k) {
  wmmaBits<nvcuda::wmma::experimental::bmmaBitOpAND>(a, b, c, k);
}

// One 16 × 8 tile over k in steps of 16, operands through ldmatrix: a by rows,
// b by rows too, so that it is transposed on the way.
extern "C" __global__ void mmaLdmatrix(const half *a, const half *b, float *c, int k) {
  __shared__ alignas(16) half sa[16 * 16], sb[16 * 8];
  int lane = threadIdx.x;
  float d[4] = {};
  for (int p = 0; p < k; p += 16) {
    for (int i = lane; i < 256; i += 32)
      sa[i] = a[i / 16 * k + p + i % 16];
    for (int i = lane; i < 128; i += 32)
      sb[i] = b[p * 8 + i];
    __syncwarp();
    uint32_t ra[4], rb[2];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3])
                 : "r"(sharedAddress(sa + lane % 16 * 16 + lane / 16 * 8)));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(rb[0]), "=r"(rb[1])
                 : "r"(sharedAddress(sb + lane % 16 * 8)));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
    __syncwarp();
  }
  int g = lane / 4, t = lane % 4;
  c[g * 8 + t * 2] = d[0], c[g * 8 + t * 2 + 1] = d[1];
  c[(g + 8) * 8 + t * 2] = d[2], c[(g + 8) * 8 + t * 2 + 1] = d[3];
}

// The same for other operands; a by rows and b by columns, 32 bits at a time.
#define MMA(NAME, SHAPE, A, B, ACC, LETTER, KIND)                                                                    \
  extern "C" __global__ void NAME(const uint32_t *a, const uint32_t *b, KIND *c, int words) {                         \
    int g = threadIdx.x / 4, t = threadIdx.x % 4;                                                                      \
    KIND d[4];                                                                                                         \
    for (int i = 0; i < 4; ++i)                                                                                        \
      d[i] = c[(g + i / 2 * 8) * 8 + t * 2 + i % 2];                                                                   \
    for (int p = 0; p < words; p += 8)                                                                                 \
      asm volatile("mma.sync.aligned." SHAPE ".row.col." ACC "." A "." B "." ACC                                       \
                   " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                            \
                   : "+" LETTER(d[0]), "+" LETTER(d[1]), "+" LETTER(d[2]), "+" LETTER(d[3])                            \
                   : "r"(a[g * words + p + t]), "r"(a[(g + 8) * words + p + t]), "r"(a[g * words + p + t + 4]),        \
                     "r"(a[(g + 8) * words + p + t + 4]), "r"(b[g * words + p + t]), "r"(b[g * words + p + t + 4]));   \
    for (int i = 0; i < 4; ++i)                                                                                        \
      c[(g + i / 2 * 8) * 8 + t * 2 + i % 2] = d[i];                                                                   \
  }
MMA(mmaBf16, "m16n8k16", "bf16", "bf16", "f32", "f", float)
MMA(mmaTf32, "m16n8k8", "tf32", "tf32", "f32", "f", float)
MMA(mmaS8, "m16n8k32", "s8", "u8", "s32", "r", int)
MMA(mmaS4, "m16n8k64", "s4", "s4", "s32", "r", int)
MMA(mmaE4m3, "m16n8k32", "e4m3", "e5m2", "f32", "f", float)

// Fragments to shared memory in one instruction, rows and columns swapped.
extern "C" __global__ void storeMatrix(uint32_t *y) {
  __shared__ alignas(16) uint32_t tile[64 * 2];
  int lane = threadIdx.x;
  uint32_t r[4] = {uint32_t(lane), uint32_t(lane + 100), uint32_t(lane + 200), uint32_t(lane + 300)};
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(
                   sharedAddress(tile + lane * 4)),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
  __syncwarp();
  for (int i = 0; i < 4; ++i)
    y[i * 32 + lane] = tile[i * 32 + lane];
}
