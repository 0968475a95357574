// The step linear with a share: its operands reach the kernel, and what does
// not fit is refused.
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

/// A linear whose weight has rows of 1 + row; x and the share are columns of
/// one input [rows, k + 2], the share the last but one.
class RoutedTest : public ::testing::Test {
protected:
  static constexpr int64_t n = 17, k = 3, columns = k + 2;
  plan::LinearT linear;

  RoutedTest() : f("main", plan::FunctionKind::Graph) {
    rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "rows");
    uint32_t all = f.value(plan::DType::F32, {rows, f.constant(columns)},
                           plan::Storage::Input, "x");
    Values values;
    for (int64_t i = 0; i < n * k; ++i)
      values.push_back(float(1 + i / k));
    quant::Format format = *quant::parseFormat("f32");
    host::LinearLayout layout = *host::linearLayout(format, n, k);
    std::vector<uint8_t> packed(size_t(layout.packedBytes()));
    host::packWeight(
        layout,
        {reinterpret_cast<const uint8_t *>(values.data()), nullptr, nullptr},
        packed.data());
    linear.x = f.view(all, f.constant(0), {rows, f.constant(k)}, k, columns);
    linear.share = int32_t(
        f.view(all, f.constant(4 * k), {rows, f.constant(1)}, 1, columns));
    linear.gathered = int32_t(f.arena({rows, f.constant(k)}));
    linear.weight = f.weight(packed);
    linear.y = f.value(plan::DType::F32, {rows, f.constant(n)},
                       plan::Storage::Output, "y");
    linear.n = n, linear.k = k;
    linear.format = runtime::fromFormat(format);
    linear.layout = plan::WeightLayout::HostTiled;
  }
  StatusOr<std::vector<Tensor>> runStep(Values x = Values(columns, 1.f)) {
    f.step(std::move(linear));
    std::string path = folder.file("routed.qopt");
    QOPT_RETURN_IF_ERROR(f.write(path));
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      return artifact.status();
    auto session = Session::create(*artifact);
    if (!session.ok())
      return session.status();
    int64_t count = int64_t(x.size()) / columns;
    return (*session)->run({{"x", DType::F32, {count, columns}, x.data()}});
  }
  std::string message() { return runStep().status().message(); }

  FunctionBuilder f;
  uint32_t rows;
  qopt::test::TemporaryFolder folder;
};

TEST_F(RoutedTest, RowsWithAShareAreComputed) {
  auto results = runStep({1, 1, 1, 0,  9, //
                          2, 2, 1, 7,  9, //
                          1, 1, 1, 0,  9, //
                          0, 1, 0, -1, 9});
  ASSERT_TRUE(results.ok()) << results.status().message();
  const float sums[] = {0, 5, 0, 1};
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t i = 0; i < n; ++i)
      EXPECT_EQ((*results)[0].as<float>()[row * n + i],
                sums[row] * float(1 + i));
}

TEST_F(RoutedTest, AResidualIsRefused) {
  linear.residual = int32_t(f.floats(Values(n, 1.f)));
  EXPECT_EQ(message(),
            "step linear in 'main': it has a share; expected no residual, no "
            "order of sums, and a place for gathered rows");
}

TEST_F(RoutedTest, NoPlaceForRowsIsRefused) {
  linear.gathered = -1;
  EXPECT_NE(message().find("a place for gathered rows"), std::string::npos);
}

TEST_F(RoutedTest, AShareOfAnotherSizeIsRefused) {
  linear.share = int32_t(f.floats({1, 2}));
  EXPECT_EQ(message(), "step linear in 'main': its share is F32 [2]; "
                       "expected F32 with 1 rows of 1");
}

TEST_F(RoutedTest, ASmallerPlaceForRowsIsRefused) {
  linear.gathered = int32_t(f.arena({rows, f.constant(k - 1)}));
  EXPECT_NE(message().find("its gathered rows"), std::string::npos);
}

} // namespace
