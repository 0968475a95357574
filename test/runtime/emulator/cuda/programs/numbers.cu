// Numbers of every kind: rounding intrinsics, halves, bfloats, fp8, doubles,
// 64 and 128 bits, bit tricks, and the math library's functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

extern "C" __global__ void roundings(const float *a, const float *b, const float *c, float *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float p = a[i], q = b[i], r = c[i];
  float out[] = {__fadd_rn(p, q),     __fadd_rz(p, q),     __fadd_rd(p, q),     __fadd_ru(p, q),
                 __fmul_rz(p, q),     __fmul_rd(p, q),     __fmul_ru(p, q),     __fmaf_rz(p, q, r),
                 __fmaf_rd(p, q, r),  __fmaf_ru(p, q, r),  __fdiv_rn(p, q),     __fdiv_rd(p, q),
                 __fsqrt_ru(fabsf(p)), __frcp_rz(p),       fminf(p, q),         fmaxf(p, q),
                 rintf(p),            floorf(p),           ceilf(p),            truncf(p),
                 fmaf(p, q, r),       __saturatef(p),      copysignf(p, q),     float(double(p) * q + r)};
  for (int j = 0; j < 24; ++j)
    y[j * n + i] = out[j];
}

extern "C" __global__ void halves(const __half2 *a, const __half2 *b, __half2 *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  __half2 p = a[i], q = b[i];
  y[i] = __hadd2(p, q);
  y[n + i] = __hmul2(p, q);
  y[2 * n + i] = __hfma2(p, q, __half2half2(__low2half(p)));
  y[3 * n + i] = __hmax2(p, __hneg2(q));
  y[4 * n + i] = __floats2half2_rn(__low2float(p) * __high2float(q), __half2float(__habs(__low2half(q))));
  y[5 * n + i] = __hsub2_sat(p, q);
}

extern "C" __global__ void half_functions(const __half2 *a, const __half2 *b, __half2 *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  __half2 p = a[i], q = b[i];
  __half low = __low2half(p), high = __high2half(p);
  y[i] = __halves2half2(hsin(low), hcos(high));
  y[n + i] = h2exp(p);
  y[2 * n + i] = __halves2half2(hrsqrt(__habs(low)), hlog2(__habs(high)));
  y[3 * n + i] = __heq2(p, q);
  y[4 * n + i] = __hltu2(p, q);
  y[5 * n + i] = __halves2half2(__hgt(low, high) ? __float2half(1.0f) : __float2half(0.0f),
                                __hisnan(high) ? __float2half(1.0f) : __float2half(0.0f));
}

extern "C" __global__ void bfloats(const __nv_bfloat162 *a, const __nv_bfloat162 *b, __nv_bfloat162 *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  __nv_bfloat162 p = a[i], q = b[i];
  y[i] = __hadd2(p, q);
  y[n + i] = __hmul2(p, q);
  y[2 * n + i] = __hfma2(p, q, p);
  y[3 * n + i] = __hmin2(p, q);
  y[4 * n + i] = __floats2bfloat162_rn(__low2float(p) + 1.0f, __high2float(q) / 3.0f);
}

extern "C" __global__ void fp8s(const float *x, uint8_t *e4m3, uint8_t *e5m2, float *back, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  e4m3[i] = __nv_cvt_float_to_fp8(x[i], __NV_SATFINITE, __NV_E4M3);
  e5m2[i] = __nv_cvt_float_to_fp8(x[i], __NV_SATFINITE, __NV_E5M2);
  back[i] = __half2float(__half(__nv_cvt_fp8_to_halfraw(e4m3[i], __NV_E4M3)));
  back[n + i] = __half2float(__half(__nv_cvt_fp8_to_halfraw(e5m2[i], __NV_E5M2)));
}

extern "C" __global__ void doubles(const double *x, double *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  double v = x[i], h = 0;
  for (int j = 10; j > 0; --j)
    h = fma(h, v, 1.0 / j);
  y[i] = h;
  y[n + i] = sqrt(v) / (v + 3);
  y[2 * n + i] = exp(-v) + log(v + 1);
  y[3 * n + i] = sin(v) * cos(v);
  y[4 * n + i] = __dadd_rd(v, 1e-20);
  y[5 * n + i] = fmod(v * 100, 7.0);
}

extern "C" __global__ void functions(const float *x, float *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float v = x[i];
  float out[] = {expf(v),  logf(v + 1e-3f), sinf(v * 20), cosf(v * 20), tanhf(v - 2), powf(v + 0.1f, 2.5f),
                 erff(v),  rsqrtf(v + 0.1f), cbrtf(v),    __expf(v),    __logf(v + 1), __sinf(v),
                 log1pf(v), atan2f(v, 2.0f), exp2f(v),    sqrtf(v)};
  for (int j = 0; j < 16; ++j)
    y[j * n + i] = out[j];
}

extern "C" __global__ void wide(const int64_t *a, const int64_t *b, int64_t *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int64_t p = a[i], q = b[i];
  uint64_t u = p, w = q;
  y[i] = p * q;
  y[n + i] = __mul64hi(p, q);
  y[2 * n + i] = __umul64hi(u, w);
  y[3 * n + i] = q ? p / q : 0;
  y[4 * n + i] = w ? u % w : 0;
  y[5 * n + i] = p >> (q & 63);
  unsigned __int128 product = (unsigned __int128)u * w + u;
  y[6 * n + i] = uint64_t(product >> 64) ^ uint64_t(product);
  y[7 * n + i] = p < q ? p : q;
  y[8 * n + i] = __popcll(u) | __clzll(p) << 8 | __ffsll(p) << 16;
  y[9 * n + i] = __brevll(u);
}

// 128-bit sums by carry, as multi-word arithmetic is written in PTX.
extern "C" __global__ void carries(const uint32_t *a, const uint32_t *b, uint32_t *y) {
  int i = threadIdx.x * 4;
  uint32_t r[4], s[4];
  asm("add.cc.u32 %0, %4, %8;\naddc.cc.u32 %1, %5, %9;\naddc.cc.u32 %2, %6, %10;\naddc.u32 %3, %7, %11;"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(a[i]), "r"(a[i + 1]), "r"(a[i + 2]), "r"(a[i + 3]), "r"(b[i]), "r"(b[i + 1]), "r"(b[i + 2]), "r"(b[i + 3]));
  asm("sub.cc.u32 %0, %4, %8;\nsubc.cc.u32 %1, %5, %9;\nsubc.cc.u32 %2, %6, %10;\nsubc.u32 %3, %7, %11;"
      : "=r"(s[0]), "=r"(s[1]), "=r"(s[2]), "=r"(s[3])
      : "r"(a[i]), "r"(a[i + 1]), "r"(a[i + 2]), "r"(a[i + 3]), "r"(b[i]), "r"(b[i + 1]), "r"(b[i + 2]), "r"(b[i + 3]));
  for (int j = 0; j < 4; ++j)
    y[i * 2 + j] = r[j], y[i * 2 + 4 + j] = s[j];
}

// nvcc's own division adds the flag of a subtraction.
extern "C" __global__ void divide128(const uint64_t *x, uint64_t *y) {
  x += threadIdx.x * 4, y += threadIdx.x * 8;
  unsigned __int128 a = (unsigned __int128)x[0] << 64 | x[1], b = (unsigned __int128)x[2] << 64 | x[3];
  unsigned __int128 results[] = {a / b, a % b, (unsigned __int128)((__int128)a / (__int128)b), a - b};
  for (int i = 0; i < 4; ++i)
    y[2 * i] = results[i] >> 64, y[2 * i + 1] = results[i];
}

// Sums and extremes of three, as dynamic programming has them.
extern "C" __global__ void extremes(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t *y, int n) {
  int i = threadIdx.x;
  uint32_t p = a[i], q = b[i], r = c[i];
  y[i] = __viaddmax_s16x2_relu(p, q, r);
  y[n + i] = __vimin3_s16x2_relu(p, q, r);
  y[2 * n + i] = __vimax3_s16x2(p, q, r);
  y[3 * n + i] = __viaddmin_u16x2(p, q, r);
  y[4 * n + i] = __viaddmax_s32_relu(p, q, r);
  y[5 * n + i] = __vimin3_u32(p, q, r);
}

extern "C" __global__ void bits(const uint32_t *a, const uint32_t *b, uint32_t *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  uint32_t p = a[i], q = b[i];
  y[i] = __popc(p) | __clz(p) << 8 | __ffs(p) << 16;
  y[n + i] = __brev(p);
  y[2 * n + i] = __byte_perm(p, q, q & 0x7777);
  y[3 * n + i] = __funnelshift_l(p, q, q & 31);
  y[4 * n + i] = __dp4a(int(p), int(q), 5);
  y[5 * n + i] = (p & q) | (~p & 0x00ff00ffu);
  y[6 * n + i] = __umulhi(p, q);
  y[7 * n + i] = __vadd4(p, q);
  y[8 * n + i] = __sad(int(p), int(q), 1u);
  uint32_t field;
  asm("bfe.u32 %0, %1, 5, 9;" : "=r"(field) : "r"(p));
  asm("bfi.b32 %0, %1, %2, 7, 11;" : "=r"(y[9 * n + i]) : "r"(field), "r"(q));
  y[10 * n + i] = __vmaxu2(p, q);
}

extern "C" __global__ void divisions(const int *a, const int *b, int *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  y[i] = a[i] / b[i];
  y[n + i] = a[i] % b[i];
  y[2 * n + i] = unsigned(a[i]) / unsigned(b[i]);
  y[3 * n + i] = a[i] / 7 + a[i] % 10;
  y[4 * n + i] = short(a[i]) * short(b[i]) + (unsigned char)a[i] / 3;
}

extern "C" __global__ void conversions(const float *x, int *y, int64_t *w, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float v = x[i];
  y[i] = __float2int_rn(v);
  y[n + i] = __float2int_rd(v);
  y[2 * n + i] = __float2uint_ru(v);
  y[3 * n + i] = (unsigned char)v;
  y[4 * n + i] = __float_as_int(__int2float_rz(y[i]));
  y[5 * n + i] = __half_as_ushort(__float2half_rz(v));
  y[6 * n + i] = __double2int_rz(double(v) * 3);
  w[i] = __float2ll_rn(v);
  w[n + i] = __double_as_longlong(double(v));
  w[2 * n + i] = __float2ull_rz(v);
}
