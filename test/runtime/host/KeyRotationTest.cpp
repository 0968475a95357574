// Keys that are stored ahead of their rotation: attention to them is that to a
// cache in f32 whose keys were rotated in f64 before they were appended, for
// two sequences, in several steps, and at positions beyond 32K.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/KeyRotation.h"
#include "test/runtime/host/TwoSequences.h"

namespace qopt::host {
namespace {

struct RotationCase {
  const char *key;
  int64_t rotated;
  bool interleaved = false;
  int64_t recent = 0, first = 0;
  int32_t from = 0; ///< first position of either sequence
  int64_t window = 0;
  float most = 2e-5f; ///< what the format costs
};

class KeyRotationTest : public TwoSequences<RotationCase, 32> {
protected:
  void SetUp() override {
    layout.pageTokens = 64;
    layout.value = quant::floatFormat(quant::ElementType::F32);
    fill(GetParam().from + 200);
    for (int64_t i = 0; i < GetParam().rotated / 2; ++i)
      frequencies.push_back(float(std::pow(10000.0, -2.0 * double(i) / 32)));
    rotation = {int64_t(frequencies.size()), frequencies.data(), 1.25f,
                GetParam().interleaved};
    tables = keyRotationTables(rotation);
    rotation.tables = &tables;
  }

  void rotateAll() {
    const int64_t count = rotation.count;
    for (std::vector<float> &keys : key)
      for (int64_t row = 0; row < int64_t(keys.size()) / size; ++row)
        for (int64_t i = 0; i < count; ++i) {
          double angle = double(row / keyHeads) * frequencies[size_t(i)];
          double cos = 1.25 * std::cos(angle), sin = 1.25 * std::sin(angle);
          bool pairs = rotation.interleaved;
          float &a = keys[size_t(row * size + (pairs ? 2 * i : i))];
          float &b = keys[size_t(row * size + (pairs ? 2 * i + 1 : count + i))];
          double x = a, y = b;
          a = float(x * cos - y * sin);
          b = float(x * sin + y * cos);
        }
  }

  /// What the tokens of all steps but the first get, which reads positions that
  /// nobody wrote where it does not begin at 0.
  std::vector<float> run(const KeyRotation &rotated, ThreadPool &pool) {
    clear();
    std::vector<int32_t> contexts = {GetParam().from, GetParam().from};
    std::vector<float> results;
    for (const std::vector<int32_t> &count :
         {std::vector<int32_t>{140, 97}, {1, 1}, {30, 1}, {1, 20}}) {
      Step step(*this, contexts, count);
      step.attention.options.scale = 0.2f;
      step.attention.options.window = GetParam().window;
      step.attention.keyRotation = rotated;
      std::vector<float> y = step.run(pool);
      if (contexts[0] > GetParam().from || GetParam().from == 0)
        results.insert(results.end(), y.begin(), y.end());
      for (size_t s = 0; s < 2; ++s)
        contexts[s] += count[s];
    }
    return results;
  }

  std::vector<float> frequencies;
  KeyRotationTables tables;
  KeyRotation rotation;
};

TEST_P(KeyRotationTest, IsThatOfKeysRotatedBefore) {
  std::vector<float> plain[2] = {key[0], key[1]};
  ThreadPool pool(1);
  rotateAll();
  layout.key = quant::floatFormat(quant::ElementType::F32);
  std::vector<float> expected = run({}, pool);
  std::copy(plain, plain + 2, key);
  layout.key = *quant::parseFormat(GetParam().key);
  layout.recent = GetParam().recent;
  layout.first = GetParam().first;
  forEveryTarget([&] {
    std::vector<float> found =
        withThreads([&](ThreadPool &pool) { return run(rotation, pool); });
    ASSERT_EQ(found.size(), expected.size());
    float worst = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(std::isfinite(found[i])) << i;
      worst = std::max(worst, std::abs(found[i] - expected[i]));
    }
    EXPECT_LE(worst, GetParam().most);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Formats, KeyRotationTest,
    testing::Values(RotationCase{"f32", 32}, RotationCase{"f32", 32, true},
                    RotationCase{"f32", 12}, RotationCase{"f32", 12, true},
                    RotationCase{"f32", 32, false, 0, 0, 40000, 90},
                    RotationCase{"f16", 32, false, 0, 0, 0, 0, 4e-3f},
                    RotationCase{"bf16", 32, false, 0, 0, 0, 50, 4e-2f},
                    RotationCase{"int8", 32, true, 0, 0, 0, 0, 4e-2f},
                    RotationCase{"fp8_e4m3", 32, false, 0, 0, 0, 0, 0.3f},
                    RotationCase{"int8_g32", 12, false, 0, 0, 0, 0, 6e-2f},
                    RotationCase{"int8_asym_g64_zf", 32, false, 64, 16, 0, 0,
                                 6e-2f},
                    RotationCase{"f32", 32, true, 32, 16, 0, 0, 4e-3f},
                    RotationCase{"int8_g32", 32, false, 32, 0, 0, 90, 6e-2f}));

} // namespace
} // namespace qopt::host
