// Every kernel of gemm gives the product of the canonical codes: on the
// emulator, with all of its checks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../SkinnyLinear/HostProduct.h"
#include "Build.h"

#include "lib/Kernels/Gemm/GemmOrder.h"
#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

namespace {
/// Where y differs from the reference by more than a correct kernel may, or an
/// empty string.
std::string difference(const gemm::Case &test, const std::vector<uint8_t> &y,
                       const skinny_linear::Arrays &arrays) {
  skinny_linear::Expected expected =
      skinny_linear::expectedOf(test.layer, arrays);
  std::vector<float> got = skinny_linear::decode(test.problem.output, y.data(),
                                                 int64_t(expected.y.size()));
  int64_t columns = test.problem.outputColumns();
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::fabs(got[i] - expected.y[i]) <= expected.bound[i]))
      return "token " + std::to_string(int64_t(i) / columns) + " column " +
             std::to_string(int64_t(i) % columns) + ": expected " +
             std::to_string(expected.y[i]) + " ± " +
             std::to_string(expected.bound[i]) + ", got " +
             std::to_string(got[i]);
  return "";
}

/// Whether the host's kernels can follow the case: what stands behind its sums
/// is a bias and a residual.
bool followsOrder(const gemm::Case &test) {
  const auto &epilogue = test.layer.epilogue;
  return test.problem.activation != quant::ElementType::Int8 &&
         std::all_of(epilogue.begin(), epilogue.end(), [](const auto &part) {
           return part == "bias" || part == "residual";
         });
}

/// y by the host, in the order of the case's sums.
std::vector<float> hostResult(const gemm::Case &test,
                              const skinny_linear::Arrays &arrays) {
  std::vector<host::LinearSumOrder> orders;
  for (size_t i = 0; i < test.problem.segments.size(); ++i)
    orders.push_back(sumOrderOf(test.problem, test.schedule, i, /*most=*/0));
  return skinny_linear::hostProduct(test.layer, arrays, arrays.x, orders);
}
} // namespace

class Product : public testing::TestWithParam<const char *> {};

TEST_P(Product, isThatOfTheCodes) {
  auto test = gemm::parseCase(GetParam());
  ASSERT_TRUE(test.ok()) << test.status().message();
  auto kernel = compileCase(*test);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  skinny_linear::Arrays arrays = makeArrays(test->layer);
  auto y = runCase(*test, *kernel, arrays);
  ASSERT_TRUE(y.ok()) << y.status().message();
  EXPECT_EQ(difference(*test, *y, arrays), "");
  if (!followsOrder(*test))
    return;
  std::vector<float> host = hostResult(*test, arrays);
  EXPECT_EQ(skinny_linear::decode(test->problem.output, y->data(),
                                  int64_t(host.size())),
            host);
}

// Sizes of 1, prime, one below and above tiles, strips, stages and units.
INSTANTIATE_TEST_SUITE_P(Sizes, Product,
                         testing::Values("tokens=1 k=64 rows=16:f16",
                                         "tokens=128 k=128 rows=128:f16",
                                         "tokens=65 k=1 rows=1:f16",
                                         "tokens=67 k=63 rows=17:f16",
                                         "tokens=127 k=65 rows=127:f16",
                                         "tokens=129 k=192 rows=129:f16",
                                         "tokens=130 k=127 rows=257:int4_g128",
                                         "tokens=257 k=129 rows=63:int8",
                                         "tokens=100 k=8 rows=300:int4_g32",
                                         "tokens=2200 k=72 rows=24:f16",
                                         "tokens=70 k=1024 rows=64:int4_g64"));

INSTANTIATE_TEST_SUITE_P(
    Formats, Product,
    testing::Values(
        "tokens=70 k=320 rows=80:int4", "tokens=70 k=320 rows=80:int4_g32",
        "tokens=70 k=320 rows=80:int4_g64", "tokens=70 k=320 rows=80:int4_g128",
        "tokens=70 k=320 rows=80:int4_g256",
        "tokens=70 k=320 rows=80:int4_asym_g32",
        "tokens=70 k=320 rows=80:int4_asym_g64",
        "tokens=70 k=320 rows=80:int4_asym_g128",
        "tokens=70 k=320 rows=80:int4_asym_g128_zf",
        "tokens=70 k=320 rows=80:int4_asym",
        "tokens=70 k=257 rows=80:int8_asym_zf",
        "tokens=70 k=320 rows=80:int3_asym_zf_sf16",
        "tokens=100 k=704 rows=200:int6_asym panels=2 column_warps=2 slices=2",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int8_asym",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int5_asym_zf",
        "tokens=70 k=192 rows=64:int4_asym,32:int8,48:int2_asym_g64",
        "tokens=70 k=320 rows=80:int8", "tokens=70 k=320 rows=80:int8_tensor",
        "tokens=70 k=320 rows=80:int8_g32",
        "tokens=70 k=320 rows=80:int8_asym_g64",
        "tokens=70 k=320 rows=80:fp8_e4m3_g128",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:fp8_e4m3_g64",
        "act=bf16 out=bf16 tokens=70 k=320 rows=80:bf16",
        "act=bf16 out=bf16 tokens=70 k=320 rows=80:int8",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int8_g64",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int8_asym_g64",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4_g128",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4_asym_g32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4_asym_g32_zf",
        "tokens=70 k=320 rows=80:int4_g16",
        "tokens=70 k=257 rows=80:int4_asym_g16",
        "tokens=70 k=320 rows=80:int4_asym_g16_sf32",
        "tokens=70 k=320 rows=80:int8_asym_g16_zf_sf32",
        "tokens=70 k=320 rows=80:int3_asym_g16_s6",
        "tokens=70 k=320 rows=80:lut4_g16",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4_asym_g16",
        "act=bf16 out=bf16 tokens=70 k=320 rows=80:fp8_e4m3_g16",
        "tokens=70 k=192 rows=64:int4_g16,32:int8,48:int4_asym_g16_sf32",
        "tokens=70 k=320 rows=80:fp8_e4m3",
        "tokens=70 k=320 rows=80:fp8_e4m3_g32",
        "arch=sm_80 tokens=70 k=320 rows=80:fp8_e4m3",
        "act=bf16 out=bf16 tokens=70 k=320 rows=80:fp8_e4m3_g64",
        "tokens=70 k=320 rows=80:int6_g32", "tokens=70 k=320 rows=80:int6",
        "tokens=70 k=320 rows=80:int5_asym_g64",
        "tokens=70 k=320 rows=80:int3_g32",
        "tokens=70 k=320 rows=80:int3_asym_g128_zf",
        "tokens=70 k=320 rows=80:int2_g64",
        "tokens=70 k=320 rows=80:int4_g32_s6",
        "tokens=70 k=320 rows=80:int4_asym_g32_s6",
        "tokens=70 k=320 rows=80:int3_asym_g64_s8",
        "tokens=70 k=320 rows=80:lut4_g128", "tokens=70 k=320 rows=80:lut4",
        "tokens=70 k=320 rows=80:lut4_g32_s6",
        "tokens=70 k=320 rows=80:lut3_g64",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int6_asym_g32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int5_g32_s6",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int2_asym_g32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:lut4_g32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:lut3_g32_s6",
        "out=f32 tokens=70 k=8 rows=80:int4_g32_sf32",
        "tokens=70 k=320 rows=80:int4_g32_sf32",
        "tokens=70 k=320 rows=80:int4_g256_sf32",
        "tokens=70 k=320 rows=80:int4_asym_g32_sf32",
        "tokens=70 k=320 rows=80:int4_asym_g128_zf_sf32",
        "out=f32 tokens=70 k=31 rows=80:int8_g32_sf32",
        "out=f32 tokens=70 k=64 rows=80:int8_g32_sf32 exponent=-12",
        "out=f32 tokens=70 k=64 rows=80:int4_asym_g32_sf32 exponent=9",
        "act=bf16 out=f32 tokens=70 k=64 rows=80:int4_g32_sf32 exponent=60",
        "tokens=70 k=320 rows=80:int8_asym_g64_zf_sf32",
        "out=f32 tokens=70 k=8 rows=80:fp8_e4m3_g32_sf32",
        "tokens=70 k=320 rows=80:int6_g64_sf32",
        "tokens=70 k=320 rows=80:int5_asym_g32_sf32",
        "tokens=70 k=320 rows=80:int3_g32_sf32",
        "out=f32 tokens=70 k=8 rows=80:int2_g32_sf32",
        "out=f32 tokens=70 k=8 rows=80:lut4_g32_sf32",
        "tokens=70 k=320 rows=80:lut3_g64_sf32",
        "act=bf16 out=f32 tokens=70 k=8 rows=80:int4_g32_sf32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:int4_asym_g32_zf_sf32",
        "act=bf16 out=bf16 tokens=70 k=320 rows=80:fp8_e4m3_g64_sf32",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:lut4_g32_sf32",
        "tokens=70 k=192 rows=64:int4_g32_sf32,32:int8,48:int4_asym_g64_sf32",
        "tokens=70 k=192 rows=64:lut4_g64,32:int3_g32,48:lut4_g32_s6",
        "tokens=70 k=192 rows=64:int4_g128,32:int8,50:f16",
        "tokens=70 k=192 rows=64:fp8_e4m3,32:int8,50:f16",
        "tokens=70 k=320 rows=80:mxfp4",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:mxfp4",
        "tokens=70 k=320 rows=80:nvfp4",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:nvfp4",
        "tokens=70 k=192 rows=64:nvfp4,48:fp4_e2m1_g64_se4m3",
        "arch=sm_80 tokens=70 k=192 rows=64:f16,32:lut4",
        "arch=sm_80 tokens=70 k=320 rows=64:int3,32:f16,32:nf4",
        "tokens=70 k=320 rows=80:fp4_e2m1_g64",
        "tokens=70 k=320 rows=80:nf4_g64",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:nf4",
        "out=f32 tokens=70 k=320 rows=80:nf4_g128_sbf16",
        "out=f32 tokens=70 k=320 rows=80:fp8_e5m2",
        "act=bf16 out=f32 tokens=70 k=320 rows=80:fp8_e5m2_g64",
        "tokens=70 k=320 rows=80:fp8_e4m3_b128",
        "tokens=70 k=320 rows=80:fp8_e4m3_g32_se8m0",
        "tokens=70 k=320 rows=80:int4_restricted_g32_sbf16",
        "tokens=70 k=192 rows=64:mxfp4,32:lut4_g32,48:nf4_g32"));

// One column, less than any group, in every format.
INSTANTIATE_TEST_SUITE_P(
    OneColumn, Product,
    testing::Values(
        "out=f32 tokens=65 k=1 rows=16:int4,16:int4_g32,16:int4_asym_g64_zf,"
        "17:int4_g256",
        "out=f32 tokens=65 k=1 rows=16:int8,16:int8_tensor,16:int8_asym_g64,"
        "17:int8_g32",
        "out=f32 tokens=65 k=1 rows=16:fp8_e4m3,16:fp8_e4m3_g32,16:lut4,"
        "16:lut4_g32_s6,17:lut3_g64",
        "out=f32 tokens=65 k=1 rows=16:int6,16:int5_g32,16:int3_asym_g32_zf,"
        "16:int2_g128,17:f16",
        "out=f32 tokens=65 k=1 rows=16:int4_asym_g32_s6,16:int3_g64_s8,"
        "16:int4_g32_sf32,17:int4_asym_g128_zf_sf32",
        "out=f32 tokens=65 k=1 rows=16:int4_g16,16:int8_asym_g16_sf32,"
        "17:lut4_g16_s6",
        "act=bf16 out=f32 tokens=65 k=1 rows=16:int4_asym_g32,16:int8_g64,"
        "16:fp8_e4m3_g128,16:lut3_g32_s6,17:bf16",
        "act=bf16 out=f32 tokens=65 k=1 rows=16:int6_g32_s6,16:int5,"
        "16:int2_asym_g32,16:lut4_g32_sf32,17:int8_asym_g32_sf32",
        "act=int8 out=f32 tokens=65 k=1 rows=16:int8,17:int8_tensor"));

INSTANTIATE_TEST_SUITE_P(
    Int8Activations, Product,
    testing::Values("act=int8 tokens=128 k=128 rows=128:int8",
                    "act=int8 out=f32 tokens=67 k=257 rows=47:int8",
                    "act=int8 tokens=129 k=272 rows=131:int8_tensor",
                    "act=int8 tokens=70 k=256 rows=64:int8 epilogue=gated",
                    "act=int8 tokens=70 k=1024 rows=72:int8 slices=3 "
                    "epilogue=bias+residual"));

INSTANTIATE_TEST_SUITE_P(
    Epilogues, Product,
    testing::Values(
        "tokens=70 k=128 rows=72:f16 epilogue=bias+residual",
        "tokens=70 k=128 rows=75:int4_g64 epilogue=bias+residual",
        "tokens=70 k=128 rows=72:int8 epilogue=silu",
        "tokens=70 k=128 rows=208:int4_g128 epilogue=gated",
        "tokens=70 k=128 rows=74:int8 epilogue=gated+residual",
        "tokens=70 k=128 rows=80:int8 epilogue=pairs+bias",
        "tokens=70 k=128 rows=74:int8 epilogue=pairs+residual",
        "tokens=70 k=128 rows=96:int4_g128,48:int8 epilogue=gated",
        "act=bf16 out=f32 tokens=70 k=128 rows=72:bf16 epilogue=bias"));

INSTANTIATE_TEST_SUITE_P(
    Schedules, Product,
    testing::Values(
        "tokens=300 k=256 rows=300:f16 row_warps=4 token_warps=2 slices=1",
        "tokens=300 k=256 rows=300:int4_g128 row_warps=2 token_warps=4 "
        "strips_per_warp=4 "
        "slices=1",
        "tokens=200 k=256 rows=200:int8 strips_per_warp=2 slices=1",
        "tokens=200 k=704 rows=200:int4_g128 slices=4",
        "tokens=70 k=704 rows=72:f16 slices=4 epilogue=residual",
        "tokens=70 k=512 rows=72:f16 stages=2 slices=1",
        "tokens=100 k=704 rows=200:int4_g128 panels=2 slices=1",
        "tokens=100 k=704 rows=200:int4_asym_g32 panels=2 slices=2",
        "tokens=100 k=129 rows=200:int8_g64 panels=2 slices=1 spread=0",
        "tokens=100 k=386 rows=200:f16 panels=2 column_warps=2 stages=2 "
        "slices=1",
        "tokens=70 k=704 rows=200:int4_g128 panels=2 column_warps=2 slices=1",
        "tokens=70 k=704 rows=200:int4_g32 panels=2 column_warps=2 slices=3",
        "tokens=100 k=704 rows=200:int4_asym_g16 panels=2 slices=2",
        "tokens=70 k=704 rows=200:int4_asym_g16_sf32 panels=2 column_warps=2 "
        "slices=2",
        "arch=sm_80 tokens=130 k=320 rows=130:int4_g16",
        "tokens=70 k=704 rows=200:int4_asym_g64 panels=2 column_warps=2 "
        "slices=1",
        "tokens=70 k=704 rows=200:int4_asym_g32_sf32 panels=2 column_warps=2 "
        "slices=2",
        "tokens=70 k=704 rows=200:int4_asym_g64_zf_sf32 panels=2 "
        "column_warps=2 slices=1",
        "arch=sm_80 tokens=130 k=320 rows=130:int4_g64_sf32 panels=2 slices=1 "
        "stages=2",
        "tokens=140 k=320 rows=90:int8 panels=2 column_warps=2 slices=1 "
        "strips_per_warp=2 spread=0",
        "tokens=70 k=192 rows=64:int4_g128,32:int8,50:f16 panels=2 "
        "column_warps=2 stages=2 slices=1 epilogue=residual",
        "arch=sm_80 tokens=130 k=320 rows=130:int4_asym_g32",
        "arch=sm_80 tokens=130 k=320 rows=130:f16 slices=2",
        "arch=sm_80 act=bf16 out=bf16 tokens=130 k=320 rows=130:int4_g128",
        "arch=sm_80 act=int8 tokens=130 k=320 rows=130:int8"));

/// Whatever order warps and blocks run in, the bits are the same.
TEST(Gemm, sumsHaveOneOrder) {
  auto test =
      gemm::parseCase("tokens=70 k=704 rows=72:int4_g64 slices=4 seed=3");
  ASSERT_TRUE(test.ok()) << test.status().message();
  auto kernel = compileCase(*test);
  ASSERT_TRUE(kernel.ok());
  skinny_linear::Arrays arrays = makeArrays(test->layer);
  std::vector<uint8_t> first;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    auto y = runCase(*test, *kernel, arrays, seed);
    ASSERT_TRUE(y.ok()) << y.status().message();
    if (seed == 1)
      first = *y;
    EXPECT_EQ(*y, first);
  }
}

/// Other slices, other bits: the host's order says something.
TEST(Gemm, slicesAreOfTheOrder) {
  auto test = gemm::parseCase("out=f32 tokens=70 k=704 rows=200:int4_g32 "
                              "panels=2 column_warps=2 slices=3");
  ASSERT_TRUE(test.ok()) << test.status().message();
  skinny_linear::Arrays arrays = makeArrays(test->layer);
  std::vector<float> sliced = hostResult(*test, arrays);
  test->schedule.slices = 1;
  std::vector<float> whole = hostResult(*test, arrays);
  EXPECT_NE(whole, sliced);
  test->schedule.columnWarps = 1;
  EXPECT_NE(hostResult(*test, arrays), whole);
}

/// Nor does a token's result depend on how many others there are.
TEST(Gemm, tokensDoNotDependOnEachOther) {
  std::string text = "k=320 rows=72:int4_g64 slices=1 m=128 tokens=";
  auto few = gemm::parseCase(text + "66"), many = gemm::parseCase(text + "200");
  ASSERT_TRUE(few.ok() && many.ok());
  auto kernel = compileCase(*many);
  ASSERT_TRUE(kernel.ok());
  skinny_linear::Arrays arrays = makeArrays(many->layer);
  auto all = runCase(*many, *kernel, arrays);
  arrays.x.resize(66 * 320);
  auto part = runCase(*few, *kernel, arrays);
  ASSERT_TRUE(all.ok() && part.ok());
  all->resize(part->size());
  EXPECT_EQ(*part, *all);
}

/// The bound of the comparison is tight enough to notice that one kernel's
/// weights are another's.
TEST(Gemm, aWrongWeightIsSeen) {
  auto test = gemm::parseCase("tokens=70 k=256 rows=32:int4_g128");
  ASSERT_TRUE(test.ok());
  auto kernel = compileCase(*test);
  ASSERT_TRUE(kernel.ok());
  skinny_linear::Arrays arrays = makeArrays(test->layer);
  auto y = runCase(*test, *kernel, arrays);
  ASSERT_TRUE(y.ok());
  arrays.segments[0].codes[1000] ^= 0x10;
  EXPECT_NE(difference(*test, *y, arrays), "");
}

namespace {
/// A change of the `nth` place of `from` in a kernel's PTX, and the kinds of
/// finding that tell of it.
struct Defect {
  const char *name, *text, *from, *to;
  int nth;
};
} // namespace

static const char *const one = "tokens=70 k=704 rows=72:int4_g64 slices=1";
static const char *const sliced = "tokens=70 k=704 rows=72:int4_g64 slices=4";

static const Defect defects[] = {
    {"first stage read early", one, "bar.sync", "//", 0},
    {"stages reused early", one, "bar.sync", "//", 1},
    {"stages read early", one, "cp.async.wait_group \t2",
     "cp.async.wait_group 7", 0},
    {"copies of another stage", one, "cp.async.commit_group", "//", 1},
    {"sums counted before they are stored", sliced, "bar.sync", "//", 3},
    {"sums read without a fence", sliced, "atom.acq_rel", "atom.relaxed", 0},
    {"count read before it is there", sliced, "bar.sync", "//", 4},
};

/// Every wait and barrier is needed: without it, the emulator reports a race or
/// what comes of one.
TEST(Gemm, defectsAreSeen) {
  for (const Defect &defect : defects) {
    auto test = gemm::parseCase(defect.text);
    ASSERT_TRUE(test.ok());
    auto kernel = compileCase(*test);
    ASSERT_TRUE(kernel.ok());
    size_t at = kernel->ptx.find(defect.from);
    for (int i = 0; i < defect.nth; ++i)
      at = kernel->ptx.find(defect.from, at + 1);
    ASSERT_NE(at, std::string::npos) << defect.name;
    kernel->ptx.replace(at, std::string(defect.from).size(), defect.to);
    skinny_linear::Arrays arrays = makeArrays(test->layer);
    std::string found;
    for (uint64_t seed = 1; seed <= 4 && found.empty(); ++seed)
      found = runCase(*test, *kernel, arrays, seed).status().message();
    EXPECT_TRUE(found.find("race") != std::string::npos ||
                found.find("uninitialised") != std::string::npos ||
                found.find("async copy") != std::string::npos)
        << defect.name << ": " << found;
  }
}

/// No bank conflict where fragments are read and copies arrive; each line of
/// memory is moved once for each block that needs it.
TEST(Gemm, sharedMemoryHasNoConflicts) {
  for (const char *text :
       {"tokens=128 k=512 rows=128:f16 slices=1",
        "tokens=128 k=512 rows=128:int4_asym_g32 slices=1",
        "tokens=128 k=512 rows=128:int4_g32_sf32 slices=1",
        "act=int8 tokens=128 k=512 rows=128:int8 slices=1"}) {
    auto test = gemm::parseCase(text);
    ASSERT_TRUE(test.ok());
    auto kernel = compileCase(*test);
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ(kernel->ptx.find(".local"), std::string::npos);
    std::vector<std::string> lines = {""};
    for (char c : kernel->ptx)
      if (c == '\n')
        lines.emplace_back();
      else
        lines.back() += c;
    emulator::Statistics statistics;
    auto y = runCase(*test, *kernel, makeArrays(test->layer), 1, &statistics);
    ASSERT_TRUE(y.ok()) << y.status().message();
    auto isProduct = [](const std::string &line) {
      return line.find("mma.sync") != std::string::npos;
    };
    auto lastProduct = size_t(
        lines.rend() - std::find_if(lines.rbegin(), lines.rend(), isProduct));
    uint64_t accesses = 0;
    for (const auto &[line, counts] : statistics.conflicts)
      if (line <= lastProduct) {
        accesses += counts.accesses;
        EXPECT_EQ(counts.conflicts, 0u) << text << ": " << lines[line - 1];
      }
    EXPECT_GT(accesses, 100u);
  }
}
