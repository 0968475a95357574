// Every kind of step of a graph reaches its kernel with the right operands: one
// function for each, compared with plain loops. What kernels compute at their
// edges is tested beside them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "lib/Quant/Algorithm.h"
#include "qopt/Session.h"
#include "runtime/host/LinearLayout.h"
#include "runtime/host/SumOrder.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <utility>

using namespace qopt;
using qopt::test::FunctionBuilder;

namespace {

using Values = std::vector<float>;

class StepsTest : public ::testing::Test {
protected:
  StepsTest() : f("main", plan::FunctionKind::Graph) {
    rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "rows");
  }

  Values randomValues(int64_t count) {
    Values values(static_cast<size_t>(count));
    for (float &value : values)
      value = float(random() % 2001) / 1000.f - 1.f;
    return values;
  }
  uint32_t input(std::vector<uint32_t> shape, const char *name = "x") {
    return f.value(plan::DType::F32, std::move(shape), plan::Storage::Input,
                   name);
  }
  uint32_t output(std::vector<uint32_t> shape) {
    return f.value(plan::DType::F32, std::move(shape), plan::Storage::Output,
                   "y");
  }
  /// An arena value of quantized rows.
  uint32_t quantized(std::vector<uint32_t> shape) {
    uint32_t id = f.arena(std::move(shape), plan::DType::U8);
    f.function->values[id]->quantized =
        runtime::fromFormat(*quant::parseFormat("int8_g32_sf32"));
    return id;
  }

  StatusOr<std::vector<Tensor>> run(const std::vector<TensorView> &inputs) {
    std::string path = folder.file("steps.qopt");
    QOPT_RETURN_IF_ERROR(f.write(path));
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      return artifact.status();
    auto session = Session::create(*artifact);
    if (!session.ok())
      return session.status();
    return (*session)->run(inputs);
  }
  /// Runs on one f32 input and gives the one f32 result.
  Values result(const Values &x, std::vector<int64_t> shape) {
    TensorView view = {"x", DType::F32, std::move(shape),
                       const_cast<float *>(x.data())};
    auto results = run({view});
    EXPECT_TRUE(results.ok()) << results.status().message();
    if (!results.ok())
      return {};
    const Tensor &y = results->front();
    return {y.as<float>(), y.as<float>() + y.elements()};
  }
  static void expectNear(const Values &found, const Values &expected,
                         float tolerance) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], tolerance) << "at " << i;
  }

  std::mt19937 random{9};
  FunctionBuilder f;
  uint32_t rows;
  qopt::test::TemporaryFolder folder;
};

/// 2^32 positions times 2^32 frequencies are no element in 64 bits; nothing of
/// the inputs is read.
TEST_F(StepsTest, SizesThatWrapAroundAreRefused) {
  plan::RotaryTableT table;
  uint32_t columns = f.symbol(plan::SymbolKind::InputDim, 1, 0, 0, "columns");
  table.positions =
      f.value(plan::DType::I32, {rows}, plan::Storage::Input, "p");
  table.inverse_frequencies = input({columns}, "f");
  table.cos = output({f.constant(0)});
  table.sin = output({f.constant(0)});
  f.step(std::move(table));
  std::vector<int64_t> large = {int64_t(1) << 32};
  int32_t nothing = 0;
  auto results = run(
      {{"p", DType::I32, large, &nothing}, {"f", DType::F32, large, &nothing}});
  EXPECT_EQ(results.status().code(), StatusCode::InvalidArgument);
  EXPECT_NE(
      results.status().message().find("more elements than can be counted"),
      std::string::npos)
      << results.status().message();
}

TEST_F(StepsTest, QuantizeAndDequantize) {
  uint32_t columns = f.constant(50);
  uint32_t x = input({rows, columns}), y = output({rows, columns});
  plan::QuantizeActivationsT quantize;
  quantize.x = x, quantize.y = quantized({rows, columns});
  plan::DequantizeT dequantize;
  dequantize.x = quantize.y, dequantize.y = y;
  f.step(std::move(quantize));
  f.step(std::move(dequantize));
  Values values = randomValues(3 * 50);
  expectNear(result(values, {3, 50}), values, 1.f / 254 + 1e-6f);
}

TEST_F(StepsTest, LayerNormWithBias) {
  uint32_t columns = f.constant(24);
  Values scale = randomValues(24), bias = randomValues(24);
  plan::LayerNormT norm;
  norm.x = input({rows, columns}), norm.y = output({rows, columns});
  norm.scale = f.floats(scale), norm.bias = int32_t(f.floats(bias));
  norm.epsilon = 1e-5f;
  f.step(std::move(norm));
  Values x = randomValues(2 * 24), expected(x.size());
  for (size_t r = 0; r < 2; ++r) {
    double mean = 0, variance = 0;
    for (size_t c = 0; c < 24; ++c)
      mean += double(x[r * 24 + c]) / 24;
    for (size_t c = 0; c < 24; ++c)
      variance += std::pow(double(x[r * 24 + c]) - mean, 2) / 24;
    for (size_t c = 0; c < 24; ++c)
      expected[r * 24 + c] =
          float((double(x[r * 24 + c]) - mean) / std::sqrt(variance + 1e-5) *
                    double(scale[c]) +
                double(bias[c]));
  }
  expectNear(result(x, {2, 24}), expected, 1e-5f);
}

TEST_F(StepsTest, RmsNormWithAScaleForEachHead) {
  plan::RmsNormT norm;
  norm.x = input({rows, f.constant(4)});
  norm.y = output({rows, f.constant(4)});
  norm.scale = f.floats({1, 2, 3, 4});
  norm.heads = 2;
  f.step(std::move(norm));
  // Two tokens of two heads, whose root mean square is 1.
  expectNear(result({1, -1, 1, 1, -1, 1, 1, -1}, {2, 4}),
             {1, -2, 3, 4, -1, 2, 3, -4}, 1e-5f);
}

TEST_F(StepsTest, RmsNormOfASumKeepsTheSum) {
  uint32_t columns = f.constant(16);
  uint32_t x = input({rows, columns});
  uint32_t y = output({rows, columns});
  uint32_t sum =
      f.value(plan::DType::F32, {rows, columns}, plan::Storage::Output, "sum");
  plan::RmsNormT norm;
  norm.x = x, norm.residual = int32_t(x), norm.sum = int32_t(sum), norm.y = y;
  norm.scale = f.floats(Values(16, 1.f));
  f.step(std::move(norm));
  Values values(16, 2.f);
  TensorView view = {"x", DType::F32, {1, 16}, values.data()};
  auto results = run({view});
  ASSERT_TRUE(results.ok()) << results.status().message();
  EXPECT_NEAR((*results)[0].as<float>()[3], 1.f, 1e-5f);
  EXPECT_EQ((*results)[1].as<float>()[3], 4.f);
}

TEST_F(StepsTest, GatedActivationOfTwoHalves) {
  uint32_t columns = f.constant(20), both = f.constant(40);
  plan::GatedActivationT gated;
  gated.gate = input({rows, both}), gated.y = output({rows, columns});
  gated.kind = plan::ActivationKind::Relu;
  f.step(std::move(gated));
  Values x = randomValues(3 * 40), expected(3 * 20);
  for (size_t r = 0; r < 3; ++r)
    for (size_t c = 0; c < 20; ++c)
      expected[r * 20 + c] = std::max(x[r * 40 + c], 0.f) * x[r * 40 + 20 + c];
  expectNear(result(x, {3, 40}), expected, 1e-6f);
}

TEST_F(StepsTest, GatedActivationOfSeparateRowsIntoQuantized) {
  uint32_t columns = f.constant(20), both = f.constant(40);
  uint32_t x = input({rows, both});
  plan::GatedActivationT gated;
  gated.up = int32_t(f.view(x, f.constant(0), {rows, columns}, 20, 40));
  gated.gate = f.view(x, f.constant(80), {rows, columns}, 20, 40);
  gated.y = quantized({rows, columns});
  gated.kind = plan::ActivationKind::Sigmoid;
  plan::DequantizeT dequantize;
  dequantize.x = gated.y, dequantize.y = output({rows, columns});
  f.step(std::move(gated));
  f.step(std::move(dequantize));
  Values values = randomValues(2 * 40), expected(2 * 20);
  for (size_t r = 0; r < 2; ++r)
    for (size_t c = 0; c < 20; ++c)
      expected[r * 20 + c] =
          values[r * 40 + c] / (1.f + std::exp(-values[r * 40 + 20 + c]));
  expectNear(result(values, {2, 40}), expected, 1.f / 200);
}

TEST_F(StepsTest, ActivationAlone) {
  uint32_t columns = f.constant(7);
  plan::ActivationT activation;
  activation.x = input({rows, columns}), activation.y = output({rows, columns});
  activation.kind = plan::ActivationKind::Tanh;
  f.step(std::move(activation));
  Values x = randomValues(14), expected;
  for (float value : x)
    expected.push_back(std::tanh(value));
  expectNear(result(x, {2, 7}), expected, 1e-5f);
}

TEST_F(StepsTest, LinearOnQuantizedActivationsWithBias) {
  constexpr int64_t n = 20, k = 64;
  quant::Format format = quant::groupFormat(quant::ElementType::Int4, 32);
  Values weight = randomValues(n * k), bias = randomValues(n);
  std::vector<uint8_t> codes(size_t(quant::codeBytes(format, n, k)));
  std::vector<uint8_t> scales(size_t(quant::scaleBytes(format, n, k)));
  // Any codes will do: what they mean is what dequantizeRows says.
  for (uint8_t &code : codes)
    code = uint8_t(random());
  for (int64_t i = 0; i < n * 2; ++i)
    quant::storeScale(format, 0.1f + float(i % 5) * 0.02f, scales.data(), i);
  quant::StoredRows stored = {codes.data(), scales.data(), nullptr};
  quant::dequantizeRows(format, stored, n, k, weight.data());
  host::LinearLayout layout = *host::linearLayout(format, n, k);
  std::vector<uint8_t> packed(size_t(layout.packedBytes()));
  host::packWeight(layout, stored, packed.data());

  uint32_t x = input({rows, f.constant(k)});
  plan::QuantizeActivationsT quantize;
  quantize.x = x, quantize.y = quantized({rows, f.constant(k)});
  plan::LinearT linear;
  linear.x = quantize.y, linear.weight = f.weight(packed);
  linear.bias = int32_t(f.floats(bias));
  linear.y = output({rows, f.constant(n)});
  linear.n = n, linear.k = k;
  linear.format = runtime::fromFormat(format);
  linear.layout = plan::WeightLayout::HostTiled;
  f.step(std::move(quantize));
  f.step(std::move(linear));
  Values values = randomValues(3 * k), expected;
  for (int64_t r = 0; r < 3; ++r)
    for (int64_t i = 0; i < n; ++i) {
      float sum = bias[size_t(i)];
      for (int64_t c = 0; c < k; ++c)
        sum += values[size_t(r * k + c)] * weight[size_t(i * k + c)];
      expected.push_back(sum);
    }
  expectNear(result(values, {3, k}), expected, 0.1f);
}

TEST_F(StepsTest, EmbeddingFromCanonicalStorageAndIdsOutOfRange) {
  Values table = randomValues(5 * 6);
  std::vector<uint8_t> bytes(table.size() * 4);
  std::memcpy(bytes.data(), table.data(), bytes.size());
  plan::EmbeddingT embedding;
  embedding.ids =
      f.value(plan::DType::I64, {rows}, plan::Storage::Input, "ids");
  embedding.weight = f.weight(bytes);
  embedding.rows = 5, embedding.columns = 6;
  embedding.format =
      runtime::fromFormat(quant::floatFormat(quant::ElementType::F32));
  embedding.y = output({rows, f.constant(6)});
  f.step(std::move(embedding), "embed_tokens");
  std::string path = folder.file("embedding.qopt");
  ASSERT_TRUE(f.write(path).ok());
  auto artifact = Artifact::open(path);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  auto session = Session::create(*artifact);
  int64_t ids[] = {4, 0, 2};
  TensorView view = {"ids", DType::I64, {3}, ids};
  auto results = (*session)->run({view});
  ASSERT_TRUE(results.ok()) << results.status().message();
  for (size_t c = 0; c < 6; ++c)
    EXPECT_EQ((*results)[0].as<float>()[12 + c], table[2 * 6 + c]);
  ids[1] = 5;
  results = (*session)->run({view});
  EXPECT_EQ(results.status().message(),
            "embedding of 'embed_tokens': id 5 at index 1 is outside the table "
            "of 5 rows");
}

TEST_F(StepsTest, AttentionWithABroadcastMask) {
  constexpr int64_t heads = 2, size = 8, tokens = 3;
  uint32_t h = f.constant(heads), d = f.constant(size), s = f.constant(tokens);
  uint32_t one = f.constant(1);
  uint32_t x = input({rows, s, h, d});
  // k and v are the same numbers in another order: [B, KV, T, D] with one head.
  uint32_t kv = f.arena({rows, one, s, d});
  plan::CopyT copy;
  copy.x = x, copy.y = kv;
  copy.shape = {rows, s, d};
  copy.x_strides = {f.constant(tokens * heads * size), f.constant(heads * size),
                    one};
  copy.y_strides = {f.constant(tokens * size), d, one};
  copy.x_offset = copy.y_offset = f.constant(0);
  f.step(std::move(copy));
  const bool mask[tokens] = {true, false, true};
  plan::AttentionT attention;
  attention.q = x, attention.k = kv, attention.v = kv;
  uint32_t flags = f.constantBytes(plan::DType::Bool, tokens, mask, tokens);
  attention.mask = int32_t(flags);
  attention.y = output({rows, s, h, d});
  attention.scale = 0.5f;
  f.step(std::move(attention));

  Values values = randomValues(tokens * heads * size), expected;
  auto at = [&](int64_t t, int64_t head, int64_t c) {
    return double(values[size_t((t * heads + head) * size + c)]);
  };
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t head = 0; head < heads; ++head) {
      double weight[tokens] = {}, total = 0;
      for (int64_t j : {0, 2}) {
        double score = 0;
        for (int64_t c = 0; c < size; ++c)
          score += at(t, head, c) * at(j, 0, c);
        total += weight[j] = std::exp(0.5 * score);
      }
      for (int64_t c = 0; c < size; ++c)
        expected.push_back(
            float((weight[0] * at(0, 0, c) + weight[2] * at(2, 0, c)) / total));
    }
  expectNear(result(values, {1, tokens, heads, size}), expected, 1e-5f);
}

/// All attend to one key: its value gets the sum of what arrives.
TEST_F(StepsTest, AttentionGradientOfOneKey) {
  constexpr int64_t heads = 2, size = 8, tokens = 3;
  uint32_t h = f.constant(heads), d = f.constant(size), s = f.constant(tokens);
  uint32_t one = f.constant(1);
  uint32_t x = input({rows, s, h, d}), key = input({rows, one, one, d}, "k");
  plan::AttentionGradientT step;
  step.q = step.y = step.gradient = x;
  step.k = step.v = key;
  step.q_gradient = f.arena({rows, s, h, d});
  step.k_gradient = f.arena({rows, one, one, d});
  step.v_gradient = output({rows, one, one, d});
  step.scale = 0.5f;
  f.step(std::move(step));

  Values values = randomValues(tokens * heads * size), k = randomValues(size);
  Values expected(size);
  for (size_t i = 0; i < values.size(); ++i)
    expected[i % size] += values[i];
  TensorView views[] = {
      {"x", DType::F32, {1, tokens, heads, size}, values.data()},
      {"k", DType::F32, {1, 1, 1, size}, k.data()}};
  auto results = run({views[0], views[1]});
  ASSERT_TRUE(results.ok()) << results.status().message();
  const float *y = results->front().as<float>();
  expectNear(Values(y, y + size), expected, 1e-6f);
}

TEST_F(StepsTest, AttentionGradientOfAnotherSizeIsRefused) {
  uint32_t h = f.constant(2), d = f.constant(8), one = f.constant(1);
  uint32_t x = input({rows, one, h, d}), key = f.arena({rows, one, one, d});
  plan::CopyT copy;
  copy.x = x, copy.y = key;
  copy.shape = {rows, d};
  copy.x_strides = {f.constant(16), one}, copy.y_strides = {d, one};
  copy.x_offset = copy.y_offset = f.constant(0);
  f.step(std::move(copy));
  plan::AttentionGradientT step;
  step.q = step.y = step.gradient = x;
  step.k = step.v = key;
  step.q_gradient = f.arena({rows, one, h, d});
  step.k_gradient = f.arena({rows, one, h, d});
  step.v_gradient = output({rows, one, one, d});
  f.step(std::move(step));
  Values values = randomValues(16);
  auto results = run({{"x", DType::F32, {1, 1, 2, 8}, values.data()}});
  EXPECT_EQ(results.status().code(), StatusCode::InvalidArgument);
  EXPECT_NE(results.status().message().find(
                "k's gradient is F32 [1, 1, 2, 8]; expected F32 with 8"),
            std::string::npos)
      << results.status().message();
}

TEST_F(StepsTest, RotaryTableOfWidePositions) {
  uint32_t four = f.constant(4);
  plan::RotaryTableT table;
  table.positions =
      f.value(plan::DType::I64, {rows}, plan::Storage::Input, "positions");
  table.inverse_frequencies = f.floats({1.f, 0.5f, 0.25f, 0.125f});
  table.cos = output({rows, four});
  table.sin =
      f.value(plan::DType::F32, {rows, four}, plan::Storage::Output, "sin");
  f.step(std::move(table), "rotary_emb");
  int64_t positions[] = {0, 7, int64_t(1) << 40};
  TensorView view = {"positions", DType::I64, {2}, positions};
  auto results = run({view});
  ASSERT_TRUE(results.ok()) << results.status().message();
  EXPECT_NEAR((*results)[0].as<float>()[5], std::cos(3.5f), 1e-6f);
  EXPECT_NEAR((*results)[1].as<float>()[5], std::sin(3.5f), 1e-6f);
  auto artifact = Artifact::open(folder.file("steps.qopt"));
  view.shape = {3};
  auto session = Session::create(*artifact);
  EXPECT_EQ((*session)->run({view}).status().message(),
            "rotary_table of 'rotary_emb': position 1099511627776 does not fit "
            "32 bits");
}

TEST_F(StepsTest, CheckedIndicesAreInRangeOrNamed) {
  plan::CheckIndicesT check;
  check.x = f.value(plan::DType::I64, {rows, f.constant(2)},
                    plan::Storage::Input, "places");
  check.limits = {rows, f.constant(5)};
  plan::CastT copy;
  copy.x = check.x;
  copy.y = f.value(plan::DType::I32, {rows, f.constant(2)},
                   plan::Storage::Output, "y");
  f.step(std::move(check), "gather");
  f.step(std::move(copy));
  int64_t places[] = {2, 4, -3, -5, 0, 0};
  TensorView view = {"places", DType::I64, {3, 2}, places};
  auto results = run({view});
  ASSERT_TRUE(results.ok()) << results.status().message();
  auto session = Session::create(*Artifact::open(folder.file("steps.qopt")));
  const struct {
    int64_t at, index, size;
  } wrong[] = {{0, 3, 3}, {2, -4, 3}, {1, 5, 5}, {3, INT64_MIN, 5}};
  for (auto [at, index, size] : wrong) {
    int64_t before = std::exchange(places[at], index);
    EXPECT_EQ((*session)->run({view}).status().message(),
              "check_indices of 'gather': index " + std::to_string(index) +
                  " at place " + std::to_string(at) +
                  " is outside of an axis of size " + std::to_string(size));
    places[at] = before;
  }
  EXPECT_TRUE((*session)->run({view}).ok());
}

/// The message of a call with this many rows where `relation` must hold of
/// rows and 4.
class RequirementTest : public StepsTest {
protected:
  std::string messageFor(plan::Relation relation, std::vector<int64_t> accepted,
                         int64_t refused) {
    uint32_t x = input({rows}), y = output({rows});
    f.require(relation, rows, f.constant(4), "node \"n\"");
    plan::CastT copy;
    copy.x = x, copy.y = y;
    f.step(std::move(copy));
    Values values(64);
    TensorView view = {"x", DType::F32, {refused}, values.data()};
    std::string message = run({view}).status().message();
    auto session = Session::create(*Artifact::open(folder.file("steps.qopt")));
    for (int64_t size : accepted) {
      view.shape = {size};
      EXPECT_TRUE((*session)->run({view}).ok()) << size;
    }
    return message;
  }
};

TEST_F(RequirementTest, Equal) {
  EXPECT_EQ(messageFor(plan::Relation::Equal, {4}, 3),
            "node \"n\": these inputs make the sizes rows = 3 and 4; expected "
            "equal sizes");
}

TEST_F(RequirementTest, Broadcast) {
  EXPECT_EQ(messageFor(plan::Relation::Broadcast, {4, 1}, 2),
            "node \"n\": these inputs make the sizes rows = 2 and 4; expected "
            "equal sizes, or 1 and any but 0");
}

TEST_F(RequirementTest, AtMost) {
  EXPECT_EQ(messageFor(plan::Relation::AtMost, {4, 3, 0}, 5),
            "node \"n\": these inputs make the sizes rows = 5 and 4; expected "
            "the first to be at most the second");
}

TEST_F(RequirementTest, MultipleOf) {
  EXPECT_EQ(messageFor(plan::Relation::MultipleOf, {4, 8, 0}, 6),
            "node \"n\": these inputs make the sizes rows = 6 and 4; expected "
            "a multiple of the second");
}

TEST_F(RequirementTest, AnEmptyInputIsNamed) {
  EXPECT_EQ(messageFor(plan::Relation::Equal, {4}, 0),
            "the model cannot run with input \"x\" of shape [0], which is "
            "empty: node \"n\": these inputs make the sizes rows = 0 and 4; "
            "expected equal sizes");
}

/// Of an order for at most 4 tokens: threads, width, warps in a butterfly.
static std::unique_ptr<plan::SumOrderT> orderOf(int64_t threads,
                                                int64_t width) {
  auto order = std::make_unique<plan::SumOrderT>();
  order->numbers = {4, threads, width, 0};
  return order;
}

TEST_F(StepsTest, OrdersOfSumsAreForSoManyTokens) {
  plan::RmsNormT norm;
  norm.x = input({rows, f.constant(40)});
  norm.y = output({rows, f.constant(40)});
  norm.scale = f.floats(Values(40, 1.f));
  norm.orders.push_back(orderOf(32, 8));
  f.step(std::move(norm), "model.norm");
  Values values(5 * 40, 1.f);
  TensorView view = {"x", DType::F32, {5, 40}, values.data()};
  EXPECT_EQ(run({view}).status().message(),
            "step rms_norm of 'model.norm' in 'main': it has 5 rows, for which "
            "its sums have no order of a GPU; expected at most 4");
}

TEST_F(StepsTest, OrdersOfSumsThatNoKernelHasAreRefused) {
  plan::RmsNormT norm;
  norm.x = input({rows, f.constant(40)});
  norm.y = output({rows, f.constant(40)});
  norm.scale = f.floats(Values(40, 1.f));
  norm.orders.push_back(orderOf(0, 8));
  f.step(std::move(norm), "model.norm");
  Values values(40, 1.f);
  TensorView view = {"x", DType::F32, {1, 40}, values.data()};
  EXPECT_EQ(run({view}).status().message(),
            "step rms_norm of 'model.norm' in 'main': an order of sums of 0 "
            "threads that read 8 elements; expected whole warps of a block");
}

TEST_F(StepsTest, OrdersOfSumsThatCorrectWeightsWithoutCodesAreRefused) {
  plan::LinearT linear;
  linear.x = input({rows, f.constant(32)});
  linear.y = output({rows, f.constant(16)});
  linear.n = 16, linear.k = 32;
  quant::Format format = quant::floatFormat(quant::ElementType::F32);
  host::LinearLayout layout = *host::linearLayout(format, 16, 32);
  linear.weight = f.weight(std::vector<uint8_t>(size_t(layout.packedBytes())));
  linear.format = runtime::fromFormat(format);
  linear.layout = plan::WeightLayout::HostTiled;
  auto order = std::make_unique<plan::SumOrderT>();
  host::LinearSumOrder numbers;
  numbers.corrects = true;
  host::LinearSumOrder::visitFields(numbers, [&](const char *, auto number) {
    order->numbers.push_back(int64_t(number));
  });
  linear.orders.push_back(std::move(order));
  f.step(std::move(linear), "head");
  Values values(32, 1.f);
  TensorView view = {"x", DType::F32, {1, 32}, values.data()};
  EXPECT_EQ(run({view}).status().message(),
            "step linear of 'head' in 'main': an order of sums for other "
            "weights than f32 of 16x32");
}

TEST_F(StepsTest, HeadsOfANormFitItsScaleAndItsInput) {
  plan::RmsNormT norm;
  norm.x = input({rows, f.constant(12)});
  norm.y = output({rows, f.constant(12)});
  norm.scale = f.floats(Values(6, 1.f));
  norm.heads = 4;
  f.step(std::move(norm), "model.norm");
  Values values(12);
  TensorView view = {"x", DType::F32, {1, 12}, values.data()};
  EXPECT_EQ(run({view}).status().message(),
            "step rms_norm of 'model.norm' in 'main': its scale does not fit "
            "its input");
}

TEST_F(StepsTest, AStepThatDoesNotFitItsKernelIsNamed) {
  plan::RmsNormT norm;
  norm.x = input({rows, f.constant(10)});
  norm.y = output({rows, f.constant(10)});
  norm.scale = f.floats(Values(4, 1.f));
  f.step(std::move(norm), "model.norm");
  Values values(10);
  TensorView view = {"x", DType::F32, {1, 10}, values.data()};
  EXPECT_EQ(run({view}).status().message(),
            "step rms_norm of 'model.norm' in 'main': its scale does not fit "
            "its input");
}

} // namespace
