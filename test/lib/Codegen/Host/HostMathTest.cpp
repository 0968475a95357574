// The elementary functions of generated code against the C library in f64: f32
// below 2 units in the last place, f64 below the bounds that HostMath.c states;
// special values as IEEE 754 has them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/Codegen/Host/CompiledKernels.h"

#include <cmath>
#include <limits>

using namespace qopt;

static std::string unaryKernel(const std::string &op, const std::string &type) {
  return "func.func @f(%x: memref<" + type + ">, %y: memref<" + type +
         ">, %n: index, %begin: index, %end: index) {\n"
         "%0 = memref.reinterpret_cast %x to offset: [0], sizes: [%n], "
         "strides: [1] : memref<" +
         type + "> to memref<?x" + type +
         ">\n"
         "%1 = memref.reinterpret_cast %y to offset: [0], sizes: [%n], "
         "strides: [1] : memref<" +
         type + "> to memref<?x" + type +
         ">\n"
         "linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, "
         "affine_map<(a) -> (a)>], iterator_types = [\"parallel\"]}\n"
         "ins(%0 : memref<?x" +
         type + ">) outs(%1 : memref<?x" + type + ">) {\n^bb0(%a: " + type +
         ", %b: " + type + "):\n%e = " + op + " : " + type +
         "\nlinalg.yield %e : " + type + "\n}\nreturn\n}";
}

/// Distance in units of the last place of the exact result.
template <typename T> static double ulps(T got, long double exact) {
  if (std::isnan(exact) || std::isnan(got))
    return std::isnan(exact) && std::isnan(got) ? 0 : 1e30;
  T rounded = T(exact);
  if (std::isinf(rounded) || std::isinf(got))
    return rounded == got ? 0 : 1e30;
  int exponent;
  std::frexp(rounded, &exponent);
  int smallest = std::numeric_limits<T>::min_exponent;
  T unit = std::ldexp(T(1), std::max(exponent, smallest) -
                                std::numeric_limits<T>::digits);
  return double(std::fabs((long double)(got)-exact) / unit);
}

struct Function {
  const char *op;
  long double (*exact)(long double);
  double low, high;
  double ulps32, ulps64;
};

static const Function functions[] = {
    {"math.exp %a", [](long double x) { return expl(x); }, -110, 95, 1.5, 2},
    {"math.exp2 %a", [](long double x) { return exp2l(x); }, -150, 130, 1, 3},
    {"math.expm1 %a", [](long double x) { return expm1l(x); }, -5, 80, 1, 3},
    {"math.log %a", [](long double x) { return logl(x); }, -0.1, 100, 1, 3},
    {"math.log2 %a", [](long double x) { return log2l(x); }, 0, 9, 1, 4},
    {"math.log1p %a", [](long double x) { return log1pl(x); }, -1, 9, 1, 4},
    {"math.tanh %a", [](long double x) { return tanhl(x); }, -12, 12, 1, 4},
    {"math.sinh %a", [](long double x) { return sinhl(x); }, -30, 30, 1, 5},
    {"math.cosh %a", [](long double x) { return coshl(x); }, -30, 30, 1, 5},
    {"math.sin %a", [](long double x) { return sinl(x); }, -1e5, 1e5, 1, 2},
    {"math.cos %a", [](long double x) { return cosl(x); }, -1e5, 1e5, 1, 2},
    {"math.tan %a", [](long double x) { return tanl(x); }, -20, 20, 1, 5},
    {"math.atan %a", [](long double x) { return atanl(x); }, -40, 40, 1, 5},
    {"math.asin %a", [](long double x) { return asinl(x); }, -1, 1, 1, 6},
    {"math.acos %a", [](long double x) { return acosl(x); }, -1, 1, 1, 6},
    {"math.asinh %a", [](long double x) { return asinhl(x); }, -50, 50, 1, 6},
    {"math.acosh %a", [](long double x) { return acoshl(x); }, 1, 50, 1, 6},
    {"math.atanh %a", [](long double x) { return atanhl(x); }, -1, 1, 1, 6},
    {"math.erf %a", [](long double x) { return erfl(x); }, -7, 7, 1, 4},
    {"math.rsqrt %a", [](long double x) { return 1 / sqrtl(x); }, 0, 9, 1.5,
     1.5},
};

template <typename T>
static void check(const Function &function, const char *type, double bound) {
  CompiledKernels kernels(unaryKernel(function.op, type));
  std::vector<T> x, y;
  constexpr int count = 20000;
  for (int i = 0; i <= count; ++i)
    x.push_back(
        T(function.low + (function.high - function.low) * double(i) / count));
  for (double tiny : {0.0, 1e-30, 1e-12, 1e-6, 1e-3})
    if (tiny >= function.low && tiny <= function.high)
      x.push_back(T(tiny));
  x.push_back(std::numeric_limits<T>::quiet_NaN());
  y.resize(x.size());
  kernels.run({x.data(), y.data()}, {int64_t(x.size())});
  double worst = 0;
  T worstAt = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double distance = ulps<T>(y[i], function.exact(x[i]));
    if (distance > worst)
      worst = distance, worstAt = x[i];
  }
  EXPECT_LE(worst, bound) << function.op << " in " << type << " at "
                          << double(worstAt);
}

TEST(HostMath, ElementaryFunctionsInF32) {
  for (const Function &function : functions)
    check<float>(function, "f32", function.ulps32);
}

TEST(HostMath, ElementaryFunctionsInF64) {
  for (const Function &function : functions)
    check<double>(function, "f64", function.ulps64);
}

static std::string binaryKernel(const std::string &op) {
  return R"(
func.func @f(%x: memref<f32>, %y: memref<f32>, %z: memref<f32>, %n: index, %begin: index, %end: index) {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %2 = memref.reinterpret_cast %z to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, affine_map<(a) -> (a)>, affine_map<(a) -> (a)>], iterator_types = ["parallel"]}
      ins(%0, %1 : memref<?xf32>, memref<?xf32>) outs(%2 : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %e = )" +
         op + R"( %a, %b : f32
      linalg.yield %e : f32
  }
  return
})";
}

static void checkBinary(const char *op, double (*exact)(double, double)) {
  CompiledKernels kernels(binaryKernel(op));
  float inf = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0.0f,  -0.0f, 1.0f,  -1.0f, 2.0f,  -2.0f,
                               0.5f,  -0.5f, 3.0f,  -3.0f, 1e-3f, 7.25f,
                               1e20f, -4.5f, inf,   -inf,  NAN,   1e-40f,
                               33.0f, 0.1f,  -7e8f, 123.5f};
  std::vector<float> x, y;
  for (float a : values)
    for (float b : values) {
      x.push_back(a);
      y.push_back(b);
    }
  std::vector<float> z(x.size());
  kernels.run({x.data(), y.data(), z.data()}, {int64_t(x.size())});
  for (size_t i = 0; i < x.size(); ++i) {
    double want = exact(x[i], y[i]);
    EXPECT_LE(ulps<float>(z[i], want), 1)
        << op << " " << x[i] << " " << y[i] << " got " << z[i];
    EXPECT_TRUE(std::isnan(want) || std::signbit(want) == std::signbit(z[i]))
        << op << " " << x[i] << " " << y[i] << " got " << z[i];
  }
}

TEST(HostMath, PowerHasTheSpecialCases) {
  checkBinary("math.powf", [](double a, double b) { return pow(a, b); });
}

TEST(HostMath, RemainderIsExact) {
  checkBinary("arith.remf", [](double a, double b) { return fmod(a, b); });
}
