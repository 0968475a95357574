// What tuning is made of: steps that find the least of a function, and the
// divergence of predictions with its gradient.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/Adam.h"
#include "lib/Calibrate/Divergence.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt::calibrate;

TEST(Adam, theFirstStepIsTheRateWhateverTheGradient) {
  AdamState state(3);
  stepAdam(state, {5, -1e-4f, 0}, 10, {.rate = 0.25f});
  EXPECT_FLOAT_EQ(state.parameters[0], -0.25f);
  EXPECT_FLOAT_EQ(state.parameters[1], 0.25f);
  EXPECT_EQ(state.parameters[2], 0);
  EXPECT_EQ(state.step, 1);
}

TEST(Adam, findsTheLeastOfAQuadraticFunction) {
  AdamState state(2); // (a − 0.3)² + 100 (b + 0.1)²
  for (int step = 0; step < 400; ++step)
    stepAdam(
        state,
        {2 * (state.parameters[0] - 0.3f), 200 * (state.parameters[1] + 0.1f)},
        400, {.rate = 0.01f});
  EXPECT_NEAR(state.parameters[0], 0.3f, 1e-3f);
  EXPECT_NEAR(state.parameters[1], -0.1f, 1e-3f);
}

TEST(Adam, stepsBecomeSmaller) {
  AdamState state(1);
  std::vector<float> steps;
  for (int step = 0; step < 8; ++step) {
    float before = state.parameters[0];
    stepAdam(state, {1}, 8, {.rate = 1});
    steps.push_back(before - state.parameters[0]);
  }
  for (size_t i = 1; i < steps.size(); ++i)
    EXPECT_LT(steps[i], steps[i - 1]);
  EXPECT_NEAR(steps[4], 0.5f, 1e-5f); // half way along half a cosine
}

/// Σ p (log p − log q) as it is written, in f64.
static double divergence(const std::vector<float> &a,
                         const std::vector<float> &b) {
  auto logs = [](const std::vector<float> &x) {
    double sum = 0;
    for (float value : x)
      sum += std::exp(double(value));
    std::vector<double> result;
    for (float value : x)
      result.push_back(value - std::log(sum));
    return result;
  };
  std::vector<double> p = logs(a), q = logs(b);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i)
    sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum;
}

TEST(Divergence, isTheFormulaAndItsGradientTheDifferenceQuotient) {
  const std::vector<float> reference = {0.5f, -1, 2, 0.25f},
                           logits = {1, 0.5f, 1.5f, -0.75f};
  const float factor = 0.5f;
  std::vector<float> gradient = logits;
  double sum =
      divergenceGradients(reference.data(), gradient.data(), 1, 4, factor, 1);
  EXPECT_NEAR(sum, divergence(reference, logits), 1e-6);
  for (size_t i = 0; i < logits.size(); ++i) {
    std::vector<float> above = logits, below = logits;
    above[i] += 1e-2f;
    below[i] -= 1e-2f;
    double quotient =
        (divergence(reference, above) - divergence(reference, below)) / 2e-2;
    EXPECT_NEAR(gradient[i], factor * quotient, 1e-4);
  }
}

TEST(Divergence, ofItselfIsNothing) {
  const std::vector<float> reference = {100, -100, 3, 1, 2, 3};
  std::vector<float> logits = {101, -99, 4, 5, 6, 7}; // 1 and 4 more: the same
  EXPECT_NEAR(divergenceGradients(reference.data(), logits.data(), 2, 3, 1, 1),
              0, 1e-6);
  for (float value : logits)
    EXPECT_NEAR(value, 0, 1e-6);
}

TEST(Divergence, doesNotDependOnThreads) {
  std::vector<float> reference, logits;
  for (int i = 0; i < 64 * 50; ++i) {
    reference.push_back(float((i * 7919) % 101) / 25);
    logits.push_back(float((i * 104729) % 97) / 25);
  }
  std::vector<float> other = logits;
  double one =
      divergenceGradients(reference.data(), logits.data(), 64, 50, 0.1f, 1);
  double four =
      divergenceGradients(reference.data(), other.data(), 64, 50, 0.1f, 4);
  EXPECT_EQ(one, four);
  EXPECT_EQ(logits, other);
}
