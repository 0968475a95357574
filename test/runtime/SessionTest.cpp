// Graph sessions: results against plain loops, and one clear error for each way
// to call them wrongly.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Session.h"

#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "runtime/host/LinearLayout.h"

#include <cmath>
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;
using qopt::test::FunctionBuilder;

namespace {

constexpr int64_t columns = 40, outputs = 20;

class SessionTest : public ::testing::Test {
protected:
  void SetUp() override {
    for (int64_t i = 0; i < outputs * columns; ++i)
      weight.push_back(std::sin(float(i)));
    for (int64_t i = 0; i < columns; ++i)
      scale.push_back(1.f + 0.01f * float(i));
  }

  // y = linear(rms_norm(x)), swapped [outputs, rows] in a second result.
  Status write(const std::string &path) {
    FunctionBuilder f("main", plan::FunctionKind::Graph);
    uint32_t rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "batch");
    uint32_t k = f.constant(columns), n = f.constant(outputs);
    uint32_t zero = f.constant(0), one = f.constant(1);
    uint32_t x =
        f.value(plan::DType::F32, {rows, k}, plan::Storage::Input, "x");
    uint32_t ids =
        f.value(plan::DType::I64, {rows}, plan::Storage::Input, "ids");
    uint32_t y =
        f.value(plan::DType::F32, {rows, n}, plan::Storage::Output, "y");
    uint32_t swapped =
        f.value(plan::DType::F32, {n, rows}, plan::Storage::Output, "swapped");
    uint32_t cast =
        f.value(plan::DType::F16, {rows}, plan::Storage::Output, "ids16");

    plan::RmsNormT norm;
    norm.x = x, norm.scale = f.floats(scale), norm.y = f.arena({rows, k});
    norm.epsilon = 1e-6f;
    uint32_t normed = norm.y;
    f.step(std::move(norm), "norm");
    quant::Format format = quant::floatFormat(quant::ElementType::F32);
    host::LinearLayout layout = *host::linearLayout(format, outputs, columns);
    std::vector<uint8_t> packed(size_t(layout.packedBytes()));
    host::packWeight(
        layout,
        {reinterpret_cast<const uint8_t *>(weight.data()), nullptr, nullptr},
        packed.data());
    plan::LinearT linear;
    linear.x = normed, linear.y = y, linear.weight = f.weight(packed);
    linear.n = outputs, linear.k = columns;
    linear.format = runtime::fromFormat(format);
    linear.layout = plan::WeightLayout::HostTiled;
    f.step(std::move(linear), "fc");
    plan::CopyT copy;
    copy.x = y, copy.y = swapped;
    copy.shape = {n, rows};
    copy.x_strides = {one, n}, copy.y_strides = {rows, one};
    copy.x_offset = copy.y_offset = zero;
    f.step(std::move(copy), "transpose");
    plan::CastT convert;
    convert.x = ids, convert.y = cast;
    f.step(std::move(convert), "cast");
    return f.write(path);
  }

  std::unique_ptr<Session> session() {
    std::string path = folder.file("graph.qopt");
    Status written = write(path);
    EXPECT_TRUE(written.ok()) << written.message();
    auto opened = Artifact::open(path);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    artifact = *opened;
    auto created = Session::create(artifact);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return std::move(*created);
  }

  static Tensor someInput(int64_t rows) {
    Tensor x("x", DType::F32, {rows, columns});
    for (int64_t i = 0; i < x.elements(); ++i)
      x.as<float>()[i] = std::cos(float(i) * 0.3f);
    return x;
  }
  static Tensor someIds(int64_t rows) {
    Tensor ids("ids", DType::I64, {rows});
    for (int64_t i = 0; i < rows; ++i)
      ids.as<int64_t>()[i] = i + 1;
    return ids;
  }

  double expected(const Tensor &x, int64_t row, int64_t n) const {
    const float *values = x.as<float>() + row * columns;
    double sum = 0, dot = 0;
    for (int64_t k = 0; k < columns; ++k)
      sum += double(values[k]) * double(values[k]);
    double inverse = 1 / std::sqrt(sum / columns + 1e-6);
    for (int64_t k = 0; k < columns; ++k)
      dot += double(values[k]) * inverse * double(scale[size_t(k)]) *
             double(weight[size_t(n * columns + k)]);
    return dot;
  }

  void check(const std::vector<Tensor> &results, const Tensor &x) const {
    int64_t rows = x.shape()[0];
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[1].shape(), (std::vector<int64_t>{outputs, rows}));
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t n = 0; n < outputs; ++n) {
        float y = results[0].as<float>()[row * outputs + n];
        EXPECT_NEAR(y, expected(x, row, n), 1e-4);
        EXPECT_EQ(results[1].as<float>()[n * rows + row], y);
      }
    const uint16_t halves[] = {0x3c00, 0x4000, 0x4200};
    for (int64_t row = 0; row < std::min<int64_t>(rows, 3); ++row)
      EXPECT_EQ(results[2].as<uint16_t>()[row], halves[row]);
  }

  std::string error(std::vector<TensorView> inputs) {
    auto results = session()->run(inputs);
    EXPECT_FALSE(results.ok());
    EXPECT_EQ(results.status().code(), StatusCode::InvalidArgument);
    return results.status().message();
  }

  qopt::test::TemporaryFolder folder;
  std::vector<float> weight, scale;
  std::shared_ptr<const Artifact> artifact;
};

TEST_F(SessionTest, RunsAnyBatchInAnyOrderOfInputs) {
  auto session = this->session();
  for (int64_t rows : {3, 1, 17, 3, 0}) {
    Tensor x = someInput(rows), ids = someIds(rows);
    auto results = session->run({ids.view(), x.view()});
    ASSERT_TRUE(results.ok()) << results.status().message();
    check(*results, x);
  }
}

TEST_F(SessionTest, WritesIntoTheCallersMemory) {
  auto session = this->session();
  Tensor x = someInput(2), ids = someIds(2);
  std::vector<Tensor> results = {Tensor("y", DType::F32, {2, outputs}),
                                 Tensor("swapped", DType::F32, {outputs, 2}),
                                 Tensor("ids16", DType::F16, {2})};
  std::vector<TensorView> views;
  for (const Tensor &result : results)
    views.push_back(result.view());
  Status status = session->run({x.view(), ids.view()}, views);
  ASSERT_TRUE(status.ok()) << status.message();
  check(results, x);
  views[0].shape = {3, outputs};
  status = session->run({x.view(), ids.view()}, views);
  EXPECT_NE(status.message().find("output \"y\" has shape [3, 20]; expected "
                                  "[2, 20]"),
            std::string::npos);
}

TEST_F(SessionTest, TellsTheSignature) {
  session();
  ASSERT_EQ(artifact->inputs().size(), 2u);
  EXPECT_EQ(artifact->inputs()[0].name, "x");
  EXPECT_EQ(artifact->inputs()[0].shape,
            (std::vector<std::string>{"batch", "40"}));
  EXPECT_EQ(artifact->outputs()[1].name, "swapped");
  EXPECT_FALSE(artifact->isDecoder());
}

TEST_F(SessionTest, WrongInputsAreNamed) {
  Tensor x = someInput(2), ids = someIds(2);
  EXPECT_EQ(error({x.view()}), "input \"ids\" is missing");
  TensorView other = ids.view();
  other.name = "mask";
  EXPECT_EQ(error({x.view(), ids.view(), other}),
            "no input is named \"mask\"; the model has \"x\", \"ids\"");
  TensorView typed = ids.view();
  typed.type = DType::I32;
  EXPECT_EQ(error({x.view(), typed}),
            "input \"ids\" has type i32; expected i64");
  EXPECT_EQ(error({x.view(), someIds(3).view()}),
            "input \"ids\" has shape [3]; expected [batch] = [2]");
  TensorView flat = x.view();
  flat.shape = {80};
  EXPECT_EQ(error({flat, ids.view()}),
            "input \"x\" has shape [80]; expected 2 dimensions");
  TensorView empty = x.view();
  empty.data = nullptr;
  EXPECT_EQ(error({empty, ids.view()}), "input \"x\" has no data");
}

TEST_F(SessionTest, SessionsOnOneArtifactRunOnSeveralThreads) {
  session();
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 4; ++i)
    threads.emplace_back([this, i] {
      auto own = Session::create(artifact);
      Tensor x = someInput(i + 1), ids = someIds(i + 1);
      for (int trial = 0; trial < 20; ++trial) {
        auto results = (*own)->run({x.view(), ids.view()});
        ASSERT_TRUE(results.ok());
        check(*results, x);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
