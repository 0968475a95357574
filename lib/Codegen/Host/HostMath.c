// The elementary functions of generated host code. Compiled to LLVM bitcode when qopt is built, carried inside the
// compiler, linked into every generated object and inlined there, so that an object imports nothing and LLVM's
// vectoriser sees straight-line arithmetic. No loops (but for fmod), no tables, no branches a select cannot express.
//
// Method: Cody-Waite reduction and Taylor or Chebyshev polynomials. f32 functions other than exp compute in f64 and round
// once: below 1 ulp. f64 functions: below 4 ulp, except pow (relative error about |y ln x| * 2^-52) and sin, cos and tan
// (|x| below 2^20 * pi / 2; beyond, the reduction loses digits).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;

#define INLINE static inline __attribute__((always_inline))

INLINE double fromBits(u64 bits) { return __builtin_bit_cast(double, bits); }
INLINE u64 toBits(double x) { return __builtin_bit_cast(u64, x); }
INLINE double infinity(void) { return fromBits(0x7ff0000000000000ull); }
INLINE double notANumber(void) { return fromBits(0x7ff8000000000000ull); }

// 2^k for an integral k in [-1022, 1023]. Adding 1.5 * 2^52 leaves k in the low mantissa bits: there is no vector
// instruction from f64 to i64 below AVX-512.
INLINE double powerOfTwo(double k) {
  return fromBits(toBits(k + (0x1.8p52 + 1023.0)) << 52);
}

//===--------------------------------------------------------------------------------------------------------------===//
// f64
//===--------------------------------------------------------------------------------------------------------------===//

// e^r for |r| <= ln(2) / 2: Taylor to r^13, next term 2^-58.
INLINE double expOfReduced(double r) {
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return (r * r) * p + r + 1.0;
}

double qopt_exp_f64(double x) {
  double c = x > 710.0 ? 710.0 : x;
  c = c < -746.0 ? -746.0 : c;
  double k = __builtin_roundeven(c * 0x1.71547652b82fep+0);
  double r = (c - k * 0x1.62e42fefa3000p-1) - k * 0x1.3de6af278ece6p-42;
  double half = __builtin_roundeven(k * 0.5);
  return expOfReduced(r) * powerOfTwo(half) * powerOfTwo(k - half);
}

double qopt_expm1_f64(double x) {
  double p = 1.0 / 6402373705728000.0;
  p = p * x + 1.0 / 355687428096000.0;
  p = p * x + 1.0 / 20922789888000.0;
  p = p * x + 1.0 / 1307674368000.0;
  p = p * x + 1.0 / 87178291200.0;
  p = p * x + 1.0 / 6227020800.0;
  p = p * x + 1.0 / 479001600.0;
  p = p * x + 1.0 / 39916800.0;
  p = p * x + 1.0 / 3628800.0;
  p = p * x + 1.0 / 362880.0;
  p = p * x + 1.0 / 40320.0;
  p = p * x + 1.0 / 5040.0;
  p = p * x + 1.0 / 720.0;
  p = p * x + 1.0 / 120.0;
  p = p * x + 1.0 / 24.0;
  p = p * x + 1.0 / 6.0;
  p = p * x + 0.5;
  double small = (x * x) * p + x;
  double large = qopt_exp_f64(x) - 1.0;
  return __builtin_fabs(x) < 0.7 ? small : large;
}

// ln(m 2^e) = e ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2)), |s| < 0.1716: the next term of the
// series is 2^-58 of the first.
double qopt_log_f64(double x) {
  int tiny = x < 0x1p-1022;
  double scaled = tiny ? x * 0x1p54 : x;
  u64 bits = toBits(scaled);
  u64 shifted = bits - 0x3fe6a09e667f3bcdull;
  // The exponent as f64 without an integer conversion.
  double e = fromBits(((shifted >> 52) ^ 0x800) + 0x4338000000000000ull) -
             (0x1.8p52 + 2048.0);
  e = tiny ? e - 54.0 : e;
  double m =
      fromBits((shifted & 0xfffffffffffffull) + 0x3fe6a09e667f3bcdull);
  double f = m - 1.0;
  double s = f / (m + 1.0);
  double z = s * s;
  double p = 2.0 / 21.0;
  p = p * z + 2.0 / 19.0;
  p = p * z + 2.0 / 17.0;
  p = p * z + 2.0 / 15.0;
  p = p * z + 2.0 / 13.0;
  p = p * z + 2.0 / 11.0;
  p = p * z + 2.0 / 9.0;
  p = p * z + 2.0 / 7.0;
  p = p * z + 2.0 / 5.0;
  p = p * z + 2.0 / 3.0;
  // 2 s = f - s f keeps the rounding error of the quotient out of the leading term.
  double tail = s * (z * p - f);
  double result = e * 0x1.62e42fefa3000p-1 +
                  (f + (tail + e * 0x1.3de6af278ece6p-42));
  result = x == infinity() ? x : result;
  result = x == 0.0 ? -infinity() : result;
  return x < 0.0 || x != x ? notANumber() : result;
}

double qopt_log2_f64(double x) {
  return qopt_log_f64(x) * 0x1.71547652b82fep+0;
}
double qopt_log10_f64(double x) {
  return qopt_log_f64(x) * 0x1.bcb7b1526e50ep-2;
}
// ln(1 + x) = ln(u) x / (u - 1) with u = 1 + x rounded.
double qopt_log1p_f64(double x) {
  double u = 1.0 + x;
  double d = u - 1.0;
  double log = qopt_log_f64(u);
  return d == 0.0 || u == infinity() ? (d == 0.0 ? x : u) : log * (x / d);
}

double qopt_exp2_f64(double x) {
  double c = x > 1025.0 ? 1025.0 : x;
  c = c < -1077.0 ? -1077.0 : c;
  double k = __builtin_roundeven(c);
  double half = __builtin_roundeven(k * 0.5);
  double r = (c - k) * 0x1.62e42fefa39efp-1;
  return expOfReduced(r) * powerOfTwo(half) * powerOfTwo(k - half);
}

double qopt_tanh_f64(double x) {
  double a = __builtin_fabs(x);
  double e = qopt_expm1_f64(2.0 * (a > 20.0 ? 20.0 : a));
  double t = a != a ? x : e / (e + 2.0);
  return __builtin_copysign(t, x);
}

double qopt_sinh_f64(double x) {
  double a = __builtin_fabs(x);
  double e = qopt_expm1_f64(a);
  double h = qopt_exp_f64(0.5 * a);
  double s = a > 20.0 ? 0.5 * h * h : 0.5 * (e + e / (e + 1.0));
  return __builtin_copysign(s, x);
}

double qopt_cosh_f64(double x) {
  double a = __builtin_fabs(x);
  double h = qopt_exp_f64(0.5 * a);
  double e = h * h;
  return a > 20.0 ? 0.5 * h * h : 0.5 * (e + 1.0 / e);
}

// x = k pi / 2 + r, |r| <= pi / 4, in three parts of 33 bits each; k's last two bits choose the quadrant.
INLINE double quarterTurns(double x, double *r) {
  double k = __builtin_roundeven(x * 0x1.45f306dc9c883p-1);
  *r = ((x - k * 0x1.921fb54400000p+0) - k * 0x1.0b4611a600000p-34) -
       k * 0x1.3198a2e037073p-69;
  return k;
}
INLINE double sinOfReduced(double r) {
  double z = r * r;
  double p = 1.0 / 355687428096000.0;
  p = p * z - 1.0 / 1307674368000.0;
  p = p * z + 1.0 / 6227020800.0;
  p = p * z - 1.0 / 39916800.0;
  p = p * z + 1.0 / 362880.0;
  p = p * z - 1.0 / 5040.0;
  p = p * z + 1.0 / 120.0;
  p = p * z - 1.0 / 6.0;
  return r + r * (z * p);
}
INLINE double cosOfReduced(double r) {
  double z = r * r;
  double p = -1.0 / 6402373705728000.0;
  p = p * z + 1.0 / 20922789888000.0;
  p = p * z - 1.0 / 87178291200.0;
  p = p * z + 1.0 / 479001600.0;
  p = p * z - 1.0 / 3628800.0;
  p = p * z + 1.0 / 40320.0;
  p = p * z - 1.0 / 720.0;
  p = p * z + 1.0 / 24.0;
  return 1.0 - (0.5 * z - (z * z) * p);
}
INLINE double sinOfQuadrant(double r, u64 quadrant) {
  double v = quadrant & 1 ? cosOfReduced(r) : sinOfReduced(r);
  return fromBits(toBits(v) ^ ((quadrant & 2) << 62));
}
double qopt_sin_f64(double x) {
  double r, k = quarterTurns(x, &r);
  double s = sinOfQuadrant(r, toBits(k + 0x1.8p52));
  return __builtin_fabs(x) < 0x1p-30 ? x : s;
}
double qopt_cos_f64(double x) {
  double r, k = quarterTurns(x, &r);
  return sinOfQuadrant(r, toBits(k + 0x1.8p52) + 1);
}
double qopt_tan_f64(double x) { return qopt_sin_f64(x) / qopt_cos_f64(x); }

// atan: halve the argument's angle twice, atan(x) = 2 atan(x / (1 + sqrt(1 + x^2))), then the series for |x| < 0.2.
double qopt_atan_f64(double x) {
  double a = __builtin_fabs(x);
  int big = a > 1.0;
  double y = big ? 1.0 / a : a;
  y = y / (1.0 + __builtin_sqrt(1.0 + y * y));
  y = y / (1.0 + __builtin_sqrt(1.0 + y * y));
  double z = y * y;
  double p = 0.0;
  p = p * z + 1.0 / 25.0;
  p = p * z - 1.0 / 23.0;
  p = p * z + 1.0 / 21.0;
  p = p * z - 1.0 / 19.0;
  p = p * z + 1.0 / 17.0;
  p = p * z - 1.0 / 15.0;
  p = p * z + 1.0 / 13.0;
  p = p * z - 1.0 / 11.0;
  p = p * z + 1.0 / 9.0;
  p = p * z - 1.0 / 7.0;
  p = p * z + 1.0 / 5.0;
  p = p * z - 1.0 / 3.0;
  double t = 4.0 * (y + y * (z * p));
  t = big ? 0x1.921fb54442d18p+0 - t : t;
  return __builtin_copysign(x != x ? x : t, x);
}
double qopt_asin_f64(double x) {
  return qopt_atan_f64(x / __builtin_sqrt((1.0 - x) * (1.0 + x)));
}
double qopt_acos_f64(double x) {
  return 2.0 * qopt_atan_f64(__builtin_sqrt((1.0 - x) / (1.0 + x)));
}
double qopt_asinh_f64(double x) {
  double a = __builtin_fabs(x);
  double z = a * a;
  double near = qopt_log1p_f64(a + z / (1.0 + __builtin_sqrt(1.0 + z)));
  double far = qopt_log_f64(a) + 0x1.62e42fefa39efp-1;
  return __builtin_copysign(a > 1e150 ? far : near, x);
}
double qopt_acosh_f64(double x) {
  double d = x - 1.0;
  double near = qopt_log1p_f64(d + __builtin_sqrt(d * (x + 1.0)));
  double far = qopt_log_f64(x) + 0x1.62e42fefa39efp-1;
  return x > 1e150 ? far : near;
}
double qopt_atanh_f64(double x) {
  double a = __builtin_fabs(x);
  return __builtin_copysign(0.5 * qopt_log1p_f64(2.0 * a / (1.0 - a)), x);
}

// |x| <= 1: erf by its Taylor series. 1 < x < 6: 1 - e^(-x^2) g(x), g = e^(x^2) erfc(x), a Chebyshev fit in
// u = (t - mid) / half, t = (x - 3) / (x + 3), absolute error 6e-18.
INLINE double erfSeries(double x) {
  double z = x * x;
  double p = -1.0 / (355687428096000.0 * 35.0);
  p = p * z + 1.0 / (20922789888000.0 * 33.0);
  p = p * z - 1.0 / (1307674368000.0 * 31.0);
  p = p * z + 1.0 / (87178291200.0 * 29.0);
  p = p * z - 1.0 / (6227020800.0 * 27.0);
  p = p * z + 1.0 / (479001600.0 * 25.0);
  p = p * z - 1.0 / (39916800.0 * 23.0);
  p = p * z + 1.0 / (3628800.0 * 21.0);
  p = p * z - 1.0 / (362880.0 * 19.0);
  p = p * z + 1.0 / (40320.0 * 17.0);
  p = p * z - 1.0 / (5040.0 * 15.0);
  p = p * z + 1.0 / (720.0 * 13.0);
  p = p * z - 1.0 / (120.0 * 11.0);
  p = p * z + 1.0 / (24.0 * 9.0);
  p = p * z - 1.0 / (6.0 * 7.0);
  p = p * z + 1.0 / (2.0 * 5.0);
  p = p * z - 1.0 / 3.0;
  double twoOverRootPi = 1.12837916709551257389615890312154517;
  return twoOverRootPi * (x + x * (z * p));
}
INLINE double scaledErfc(double a) {
  double t = (a - 3.0) / (a + 3.0);
  double u = (t + 1.0 / 12.0) * 2.4;
  double p = 6.69764556479081509e-15;
  p = p * u + 6.04379214778881282e-12;
  p = p * u + 6.02173256030323971e-12;
  p = p * u - 2.5700407551346904e-10;
  p = p * u - 2.6377560229741262e-10;
  p = p * u + 1.13393357311470593e-8;
  p = p * u - 4.52673181334613388e-9;
  p = p * u - 5.54127309801663994e-7;
  p = p * u + 2.42555748504292284e-6;
  p = p * u + 0.0000195635831977817407;
  p = p * u - 0.000331602960579283852;
  p = p * u + 0.00247931469708625314;
  p = p * u - 0.0127131476956919182;
  p = p * u + 0.0496984454033941365;
  p = p * u - 0.15436117429436918;
  return p * u + 0.207983291333428867;
}
double qopt_erf_f64(double x) {
  double a = __builtin_fabs(x);
  double c = a > 6.0 ? 6.0 : a;
  double far = 1.0 - qopt_exp_f64(-c * c) * scaledErfc(c);
  double e = a < 1.0 ? erfSeries(c) : far;
  return __builtin_copysign(x != x ? x : e, x);
}

// x^y = e^(y ln |x|) with the sign of an odd integral y; IEEE 754's special cases.
double qopt_pow_f64(double x, double y) {
  double a = __builtin_fabs(x);
  double v = qopt_exp_f64(y * qopt_log_f64(a));
  double whole = __builtin_trunc(y);
  double halfWhole = 0.5 * y;
  int isWhole = whole == y;
  int isOdd = isWhole && __builtin_trunc(halfWhole) != halfWhole;
  v = isOdd ? __builtin_copysign(v, x) : v;
  v = x < 0.0 && a != infinity() && !isWhole ? notANumber() : v;
  v = a == 1.0 && (x == 1.0 || isWhole) ? (isOdd ? x : 1.0) : v;
  return y == 0.0 || x == 1.0 ? 1.0 : v;
}

// The exact remainder x - trunc(x / y) y by shift and subtract.
double qopt_fmod_f64(double x, double y) {
  u64 sign = toBits(x) & 0x8000000000000000ull;
  u64 a = toBits(x) & 0x7fffffffffffffffull;
  u64 b = toBits(y) & 0x7fffffffffffffffull;
  if (b == 0 || b > 0x7ff0000000000000ull || a >= 0x7ff0000000000000ull)
    return notANumber();
  if (a < b)
    return x;
  int ea = (int)(a >> 52), eb = (int)(b >> 52);
  u64 mask = 0xfffffffffffffull;
  u64 ma = ea ? (a & mask) | (mask + 1) : a;
  u64 mb = eb ? (b & mask) | (mask + 1) : b;
  ea = ea ? ea : 1;
  eb = eb ? eb : 1;
  for (; ea > eb; --ea) {
    ma = ma >= mb ? ma - mb : ma;
    ma <<= 1;
  }
  ma = ma >= mb ? ma - mb : ma;
  if (ma == 0)
    return fromBits(sign);
  for (; ma <= mask && ea > 1; --ea)
    ma <<= 1;
  u64 result = ma > mask ? (ma & mask) | ((u64)ea << 52) : ma;
  return fromBits(result | sign);
}

//===--------------------------------------------------------------------------------------------------------------===//
// f32
//===--------------------------------------------------------------------------------------------------------------===//

// As qopt_exp_f64, in f32 throughout: Taylor to r^7, next term 2^-27.
float qopt_exp_f32(float x) {
  float c = x > 89.0f ? 89.0f : x;
  c = c < -105.0f ? -105.0f : c;
  float k = __builtin_roundevenf(c * 0x1.715476p+0f);
  float r = (c - k * 0x1.62e400p-1f) - k * 0x1.7f7d1cp-20f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  float e = (r * r) * p + r + 1.0f;
  float half = __builtin_roundevenf(k * 0.5f);
  float rest = k - half;
  u32 first = __builtin_bit_cast(u32, half + (0x1.8p23f + 127.0f)) << 23;
  u32 second = __builtin_bit_cast(u32, rest + (0x1.8p23f + 127.0f)) << 23;
  return e * __builtin_bit_cast(float, first) *
         __builtin_bit_cast(float, second);
}

#define THROUGH_F64(name)                                                      \
  float qopt_##name##_f32(float x) { return (float)qopt_##name##_f64(x); }
THROUGH_F64(expm1)
THROUGH_F64(exp2)
THROUGH_F64(log)
THROUGH_F64(log2)
THROUGH_F64(log10)
THROUGH_F64(log1p)
THROUGH_F64(tanh)
THROUGH_F64(sinh)
THROUGH_F64(cosh)
THROUGH_F64(sin)
THROUGH_F64(cos)
THROUGH_F64(tan)
THROUGH_F64(atan)
THROUGH_F64(asin)
THROUGH_F64(acos)
THROUGH_F64(asinh)
THROUGH_F64(acosh)
THROUGH_F64(atanh)
THROUGH_F64(erf)

float qopt_pow_f32(float x, float y) { return (float)qopt_pow_f64(x, y); }
float qopt_fmod_f32(float x, float y) { return (float)qopt_fmod_f64(x, y); }

// f64 to f32 rounded to odd: rounding that once more to f16 or bf16 equals rounding the f64 once.
float qopt_narrow_f64(double x) {
  float nearest = (float)x;
  u32 bits = __builtin_bit_cast(u32, nearest);
  double back = nearest;
  // Where rounding went away from zero, step back; then make the last bit odd if anything was lost.
  bits -= __builtin_fabs(back) > __builtin_fabs(x) && (bits & 0x7fffffffu) != 0;
  bits |= back != x;
  return x != x || back == x ? nearest : __builtin_bit_cast(float, bits);
}

//===--------------------------------------------------------------------------------------------------------------===//
// f16 for processors without conversion instructions
//===--------------------------------------------------------------------------------------------------------------===//

float qopt_extend_f16(u16 h) {
  u32 magnitude = (u32)(h & 0x7fff) << 13;
  // Scaling by 2^112 rebases the exponent and makes denormals normal; infinities and NaN need the rest of theirs.
  float value = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  u32 bits = __builtin_bit_cast(u32, value);
  bits = (h & 0x7fff) >= 0x7c00 ? magnitude | 0x7f800000u : bits;
  return __builtin_bit_cast(float, bits | ((u32)(h & 0x8000) << 16));
}

u16 qopt_truncate_f16(float x) {
  u32 bits = __builtin_bit_cast(u32, x);
  u32 sign = (bits >> 16) & 0x8000u, a = bits & 0x7fffffffu;
  // Normal results: rebase the exponent and round the 13 lost bits to even.
  u32 normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1)) >> 13;
  // Denormal results: adding 2^-1 puts the last kept bit at the last place of the sum, which rounds to even.
  u32 denormal =
      __builtin_bit_cast(u32, __builtin_bit_cast(float, a) + 0.5f) -
      0x3f000000u;
  u32 h = a < 0x38800000u ? denormal : normal;
  h = a >= 0x47800000u ? 0x7c00u : h;
  h = a > 0x7f800000u ? 0x7e00u : h;
  return (u16)(h | sign);
}
