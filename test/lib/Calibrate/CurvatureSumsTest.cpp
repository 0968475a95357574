// Shows what the sums of a curvature are made of: quadratic forms of tokens,
// gradients of labels that the model draws itself, and states that come back
// from their file as they went there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CurvatureFactor.h"
#include "lib/Calibrate/QuadraticForm.h"
#include "lib/Calibrate/SampledLabels.h"
#include "lib/Calibrate/TokenStates.h"
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <numeric>

using namespace qopt;
using namespace qopt::calibrate;

namespace {

TEST(QuadraticForm, IsTheSumOverTheMatrix) {
  constexpr int64_t size = 70, tokens = 65;
  std::vector<float> x(size * tokens), matrix(size * size);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(int(i * 7 % 11) - 5);
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j)
      matrix[size_t(i * size + j)] = float((i + j) % 5) + (i == j ? 50.f : 0.f);
  std::vector<float> forms = quadraticForms(x.data(), tokens, size, matrix, 2);
  ASSERT_EQ(forms.size(), size_t(tokens));
  for (int64_t t = 0; t < tokens; ++t) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j)
        sum += double(x[size_t(t * size + i)]) * matrix[size_t(i * size + j)] *
               x[size_t(t * size + j)];
    EXPECT_NEAR(forms[size_t(t)], sum, 1e-4 * std::abs(sum));
  }
}

TEST(QuadraticForm, IsTheSquareWithoutAMatrix) {
  std::vector<float> x = {3, 4, 0, 1, 2, 2};
  EXPECT_EQ(quadraticForms(x.data(), 2, 3, {}, 1), (std::vector<float>{25, 9}));
}

TEST(CurvatureFactor, IsOneStepOfPowerIterationAfterTheOther) {
  // Two tokens, two elements: M = Σ w x xᵀ.
  std::vector<float> x = {1, 2, 3, 1}, weights = {2, 1};
  for (bool isDiagonal : {false, true}) {
    CurvatureFactor factor(2, isDiagonal);
    EXPECT_EQ(factor.forms(x.data(), 2, 1), (std::vector<float>{5, 10}));
    factor.add(x.data(), 2, weights, 1);
    factor.add(x.data(), 2, weights, 1);
    std::vector<float> once = isDiagonal ? std::vector<float>{11, 9}
                                         : std::vector<float>{11, 7, 7, 9};
    std::vector<float> mean = factor.mean();
    for (size_t i = 0; i < once.size(); ++i)
      EXPECT_FLOAT_EQ(mean[i], once[i] / 2); // four tokens, twice the sums
    double norm = 0;
    for (float value : once)
      norm += value * value;
    norm = std::sqrt(norm);
    CurvatureFactor next(2, isDiagonal, factor.normalized());
    double of00 = once.front() / norm, of11 = once.back() / norm,
           of01 = isDiagonal ? 0 : 7 / norm;
    std::vector<float> forms = next.forms(x.data(), 2, 1);
    EXPECT_NEAR(forms[0], of00 + 4 * of01 + 4 * of11, 1e-5);
    EXPECT_NEAR(forms[1], 9 * of00 + 6 * of01 + of11, 1e-5);
    EXPECT_EQ(next.mean(), std::vector<float>(once.size()));
  }
}

TEST(CurvatureFactor, OfNothingIsZero) {
  CurvatureFactor factor(2, true);
  EXPECT_EQ(factor.normalized(), (std::vector<float>{0, 0}));
}

/// Logits of one row whose softmax is p.
std::vector<float> rows(const std::vector<float> &p, int64_t count) {
  std::vector<float> logits;
  for (int64_t i = 0; i < count; ++i)
    for (float probability : p)
      logits.push_back(std::log(probability) + 3);
  return logits;
}

TEST(SampledLabels, AreDrawnByTheirProbability) {
  const std::vector<float> p = {0.5f, 0.25f, 0.125f, 0.125f};
  constexpr int64_t tokens = 20000;
  std::vector<float> gradients = rows(p, tokens);
  likelihoodGradients(gradients.data(), tokens, 4, {7, 0}, 2);
  std::vector<int64_t> counts(4);
  for (int64_t t = 0; t < tokens; ++t) {
    double sum = 0;
    for (int64_t i = 0; i < 4; ++i) {
      float g = gradients[size_t(4 * t + i)];
      sum += g;
      bool isLabel = g < 0;
      counts[size_t(i)] += isLabel;
      EXPECT_NEAR(g, p[size_t(i)] - float(isLabel), 1e-6);
    }
    EXPECT_NEAR(sum, 0, 1e-6);
  }
  for (size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(double(counts[i]) / tokens, p[i], 0.015);
}

TEST(SampledLabels, DependOnSeedAndPlaceAlone) {
  const std::vector<float> p = {0.5f, 0.5f};
  auto drawn = [&](LabelStream stream, int64_t tokens, unsigned threads) {
    std::vector<float> gradients = rows(p, tokens);
    likelihoodGradients(gradients.data(), tokens, 2, stream, threads);
    return gradients;
  };
  std::vector<float> all = drawn({1, 0}, 64, 1);
  EXPECT_EQ(all, drawn({1, 0}, 64, 3));
  EXPECT_NE(all, drawn({2, 0}, 64, 1));
  std::vector<float> end = drawn({1, 40}, 24, 1);
  EXPECT_TRUE(std::equal(end.begin(), end.end(), all.begin() + 80));
}

TEST(TokenStates, ComeBackAsTheyWere) {
  std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "qopt-token-states";
  std::filesystem::remove(path);
  {
    auto states = TokenStates::create(path.string());
    ASSERT_TRUE(states.ok()) << states.status().message();
    for (int32_t sequence : {2, 0, 1}) {
      Tensor values("x", DType::F32, {3, 5});
      std::iota(values.as<float>(), values.as<float>() + 15,
                float(100 * sequence));
      ASSERT_TRUE(states->write(sequence, values.view()).ok());
    }
    for (int32_t sequence : {0, 1, 2}) {
      auto values = states->read(sequence, "hidden");
      ASSERT_TRUE(values.ok()) << values.status().message();
      EXPECT_EQ(values->name(), "hidden");
      EXPECT_EQ(values->shape(), (std::vector<int64_t>{3, 5}));
      EXPECT_EQ(values->as<float>()[14], float(100 * sequence + 14));
    }
    EXPECT_FALSE(states->read(3, "hidden").ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(TokenStates, NameTheFileThatCannotBeMade) {
  auto states = TokenStates::create("/none/such/file");
  ASSERT_FALSE(states.ok());
  EXPECT_EQ(states.status().code(), StatusCode::Unwritable);
  EXPECT_NE(states.status().message().find("/none/such/file"),
            std::string::npos);
}

} // namespace
