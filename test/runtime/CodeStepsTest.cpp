// Codes of a model on their way to a linear: the steps from_codes and linear,
// and what they refuse of an artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "qopt/Session.h"
#include "runtime/host/LinearLayout.h"

#include <gtest/gtest.h>

using namespace qopt;
using qopt::test::FunctionBuilder;

namespace {

using Values = std::vector<float>;

/// A linear of three codes of 1, 2, 3 with scale 0.5 and zero point 1, and
/// rows of codes 1 + row with scale 2.
class CodesTest : public ::testing::Test {
protected:
  static constexpr int64_t n = 17, k = 3;
  plan::FromCodesT take;
  plan::LinearT linear;

  CodesTest() : f("main", plan::FunctionKind::Graph) {
    const uint8_t codes[k] = {1, 2, 3}, one = 1;
    take.x = f.constantBytes(plan::DType::U8, k, codes, k);
    take.zero = f.constantBytes(plan::DType::U8, 1, &one, 1);
    take.scale = f.floats({0.5f});
    take.y = quantized({f.constant(1), f.constant(k)}, "int8_asym");
    quant::Format format = *quant::parseFormat("int8");
    std::vector<uint8_t> rowCodes;
    for (int64_t i = 0; i < n * k; ++i)
      rowCodes.push_back(uint8_t(1 + i / k));
    Values scales(n, 2.f);
    quant::StoredRows stored = {
        rowCodes.data(), reinterpret_cast<const uint8_t *>(scales.data()),
        nullptr};
    host::LinearLayout layout =
        *host::linearLayout(format, n, k)->withRowSums();
    std::vector<uint8_t> packed(size_t(layout.packedBytes()));
    host::packWeight(layout, stored, packed.data());
    linear.x = take.y, linear.weight = f.weight(packed);
    linear.y = f.value(plan::DType::F32, {f.constant(1), f.constant(n)},
                       plan::Storage::Output, "y");
    linear.n = n, linear.k = k;
    linear.format = runtime::fromFormat(format);
    linear.layout = plan::WeightLayout::HostTiledSums;
  }
  /// An arena value of quantized rows.
  uint32_t quantized(std::vector<uint32_t> shape, const char *format) {
    uint32_t id = f.arena(std::move(shape), plan::DType::U8);
    f.function->values[id]->quantized =
        runtime::fromFormat(*quant::parseFormat(format));
    return id;
  }
  StatusOr<std::vector<Tensor>> runSteps() {
    f.step(std::move(take));
    f.step(std::move(linear));
    std::string path = folder.file("codes.qopt");
    QOPT_RETURN_IF_ERROR(f.write(path));
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      return artifact.status();
    auto session = Session::create(*artifact);
    if (!session.ok())
      return session.status();
    return (*session)->run({});
  }
  std::string message() { return runSteps().status().message(); }

  FunctionBuilder f;
  qopt::test::TemporaryFolder folder;
};

TEST_F(CodesTest, LinearOfCodesWithAZeroPoint) {
  auto results = runSteps();
  ASSERT_TRUE(results.ok()) << results.status().message();
  for (int64_t i = 0; i < n; ++i) // (0 + 1 + 2) (1 + i) · (0.5 · 2)
    EXPECT_EQ((*results)[0].as<float>()[i], float(3 * (1 + i)));
}

TEST_F(CodesTest, AWeightWithoutSumsIsRefused) {
  linear.layout = plan::WeightLayout::HostTiled;
  std::vector<uint8_t> packed(size_t(
      host::linearLayout(*quant::parseFormat("int8"), n, k)->packedBytes()));
  linear.weight = f.weight(packed);
  EXPECT_EQ(message(),
            "step linear in 'main': its activations have zero points; expected "
            "a weight with the layout host_tiled_sums");
}

TEST_F(CodesTest, AFormatWithoutSumsIsRefused) {
  linear.format = runtime::fromFormat(*quant::parseFormat("int4"));
  EXPECT_EQ(message(),
            "step linear in 'main': activations with a zero point need weights "
            "of int8 with one scale a row, got format \"int4\"");
}

TEST_F(CodesTest, AZeroPointOfAnotherTypeIsRefused) {
  const int8_t one = 1;
  take.zero = f.constantBytes(plan::DType::I8, 1, &one, 1);
  EXPECT_NE(message().find("its zero point"), std::string::npos);
}

TEST_F(CodesTest, CodesOfAnotherTypeAreRefused) {
  take.x = f.floats({1, 2, 3});
  EXPECT_EQ(message(), "step from_codes in 'main': its codes must be i8 or u8");
}

TEST_F(CodesTest, CodesWithoutZeroPointsAreRefused) {
  linear.x = take.y = quantized({f.constant(1), f.constant(k)}, "int8");
  EXPECT_EQ(message(), "step from_codes in 'main': its result must be "
                       "quantized, with zero points");
}

TEST_F(CodesTest, ZeroPointsAreNotMadeOfValues) {
  plan::QuantizeActivationsT quantize;
  quantize.x = f.floats({1, 2, 3}), quantize.y = take.y;
  f.step(std::move(quantize));
  EXPECT_EQ(message(),
            "step quantize_activations in 'main': its result has zero points, "
            "which from_codes alone writes");
}

} // namespace
