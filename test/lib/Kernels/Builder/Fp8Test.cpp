// e4m3 codes and halves become each other as on the host, bit by bit: every
// code, every half, the ties between codes and what lies beside them, by
// conversion instructions and by integer operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fp8.h"
#include "../KernelTest.h"
#include "lib/Kernels/Builder/Elements.h"
#include "lib/Quant/FloatConversion.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

constexpr int threads = 128;

/// A kernel whose threads read inBytes and write outBytes each.
static StatusOr<mlir::gpu::GPUFuncOp>
build(mlir::gpu::GPUModuleOp module, const target::Target &target, int inBytes,
      int outBytes, llvm::function_ref<void(Kernel &, Global, Global)> body) {
  Kernel k(module, "fp8",
           {{Argument::Dependent, "x"}, {Argument::Dependent, "y"}}, {threads},
           target);
  Int i = k.block() * threads + k.thread();
  k.waitForPredecessor();
  body(k, k.pointer(0).at(i, inBytes), k.pointer(1).at(i, outBytes));
  return k.finish();
}

/// Runs it with as many threads as the input has parts, whole blocks of them.
template <typename In, typename Out>
static void run(const target::Target &target, const std::vector<In> &in,
                std::vector<Out> &out, int inBytes, int outBytes,
                llvm::function_ref<void(Kernel &, Global, Global)> body) {
  auto kernel = compile(
      [&](mlir::gpu::GPUModuleOp module) {
        return build(module, target, inBytes, outBytes, body);
      },
      target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  LaunchShape shape;
  shape.threads = threads;
  Launch launch;
  launch.in(in).out(out);
  int64_t blocks = int64_t(in.size() * sizeof(In)) / inBytes / threads;
  Status ran = launch.run(*kernel, shape, blocks);
  ASSERT_TRUE(ran.ok()) << ran.message();
}

static void expectUnpacked(const target::Target &target, ElementType type,
                           BytePairs pairs) {
  SCOPED_TRACE(std::string(target.name));
  std::vector<uint8_t> codes;
  for (int i = 0; i < 4 * 256; ++i) // every code in every byte
    codes.push_back(uint8_t(i / 4 + i % 4 * 77));
  for (uint8_t &code : codes) // which is not promised for NaN
    code = (code & 127) == 127 ? 0x7e : code;
  std::vector<uint16_t> halves(codes.size());
  run(target, codes, halves, 4, 8, [&](Kernel &k, Global x, Global y) {
    std::array<Int, 2> words =
        unpackE4m3(k, k.load(x, 1).front(), kernels::typeOf(k, type), pairs);
    storeWords(k, y, {words[0], words[1]});
  });
  std::vector<float> expected;
  for (size_t i = 0; i < codes.size(); ++i) {
    size_t j = i % 4;
    if (pairs == BytePairs::EveryOther)
      j = j % 2 * 2 + j / 2;
    expected.push_back(quant::e4m3ToFloat(codes[i / 4 * 4 + j]));
  }
  EXPECT_EQ(halves, test::encode(type, expected));
}

TEST(Fp8, codesBecomeHalves) {
  for (const target::Target *target : target::allTargets())
    for (ElementType type : {ElementType::F16, ElementType::BF16})
      for (BytePairs pairs : {BytePairs::Neighbours, BytePairs::EveryOther})
        expectUnpacked(*target, type, pairs);
}

TEST(Fp8, codesBecomeFloats) {
  std::vector<int32_t> codes;
  for (int i = 0; i < 256; ++i)
    codes.push_back((i & 127) == 127 ? 0 : i);
  std::vector<float> values(codes.size());
  run(target::sm80(), codes, values, 4, 4, [&](Kernel &k, Global x, Global y) {
    storeWords(k, y, {k.bits(e4m3ToReal(k.load(x, 1).front()))});
  });
  for (size_t i = 0; i < codes.size(); ++i) {
    EXPECT_EQ(values[i], quant::e4m3ToFloat(uint8_t(codes[i]))) << i;
    EXPECT_EQ(std::signbit(values[i]), codes[i] >= 128) << i;
  }
}

/// All halves but NaN, and of each code the ties to both sides, exactly and one
/// bit beside.
static std::vector<float> pointsToRound() {
  std::vector<float> points;
  for (uint32_t half = 0; half < 0x10000; ++half)
    if (float value = quant::halfToFloat(uint16_t(half)); !std::isnan(value))
      points.push_back(value);
  for (int code = 0; code < 0x7e; ++code) {
    float tie = (quant::e4m3ToFloat(uint8_t(code)) +
                 quant::e4m3ToFloat(uint8_t(code + 1))) /
                2;
    for (float value :
         {tie, std::nextafter(tie, 0.0f), std::nextafter(tie, 1e9f)})
      for (float sign : {1.0f, -1.0f})
        points.push_back(sign * value);
  }
  for (float value : {464.0f, 480.0f, 1e30f, 1e-30f, 0x1p-149f})
    for (float sign : {1.0f, -1.0f})
      points.push_back(sign * value);
  points.resize((points.size() + 2 * threads - 1) / (2 * threads) * 2 *
                threads);
  return points;
}

TEST(Fp8, floatsBecomeCodes) {
  std::vector<float> points = pointsToRound();
  for (const target::Target *target : target::allTargets()) {
    SCOPED_TRACE(std::string(target->name));
    std::vector<uint8_t> codes(points.size());
    run(*target, points, codes, 8, 2, [&](Kernel &k, Global x, Global y) {
      std::vector<Int> words = k.load(x, 2);
      storeBytes(k, y, packE4m3(k.asReal(words[0]), k.asReal(words[1])), 2);
    });
    for (size_t i = 0; i < points.size(); ++i)
      ASSERT_EQ(codes[i], quant::floatToE4m3(points[i])) << points[i];
  }
}
