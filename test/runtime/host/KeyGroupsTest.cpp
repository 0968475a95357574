// Keys in groups of positions with a scale a channel: attention over prompts
// and single tokens, whatever the steps, against a plain f64 softmax of what
// the format says each key is, in the order of a GPU's sums, too; and that the
// cache does not depend on the steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/KeyGroups.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/RotaryAppend.h"
#include "test/runtime/host/TwoSequences.h"

#include <algorithm>
#include <array>

namespace qopt::host {
namespace {

struct GroupCase {
  quant::ElementType type;
  int64_t group;
  bool offsets = false;
  int64_t window = 0;
};

/// New tokens of the two sequences in each step.
using Steps = std::vector<std::vector<int32_t>>;

class KeyGroupsTest : public TwoSequences<GroupCase> {
protected:
  static constexpr int64_t maxTokens = 400;

  void SetUp() override {
    layout.pageTokens = 64;
    layout.key = quant::groupFormat(GetParam().type, GetParam().group,
                                    GetParam().offsets ? quant::ZeroType::Float
                                                       : quant::ZeroType::None);
    makeCache(quant::ElementType::F32);
  }

  void makeCache(quant::ElementType values) {
    layout.value = quant::floatFormat(values);
    fill(maxTokens);
    // Channels of very unequal sizes, one of them of zeros, and of means that
    // offsets are good for.
    for (std::vector<float> &keys : key)
      for (size_t i = 0; i < keys.size(); ++i)
        keys[i] = (keys[i] + float(i % 3)) * float(i % size) / 4;
  }

  /// What the key of a position reads as in a sequence of `length`.
  float keyAt(int s, int64_t position, int64_t channel, int64_t length) const {
    auto half = [&](int64_t p) {
      float x = key[s][size_t(p * keyHeads * size + channel)];
      return quant::halfToFloat(quant::floatToHalf(x));
    };
    int64_t start = position - position % layout.keyGroup();
    if (start + layout.keyGroup() > length)
      return half(position);
    std::vector<float> keys;
    for (int64_t p = start; p < start + layout.keyGroup(); ++p)
      keys.push_back(half(p));
    auto [least, most] = std::minmax_element(keys.begin(), keys.end());
    bool nibbles = layout.key.element == quant::ElementType::Int4;
    float steps = nibbles ? 7 : 127, range = std::max(*most, -*least);
    if (GetParam().offsets)
      steps = nibbles ? 15 : 255, range = *most - *least;
    auto rounded = [](float x) {
      return quant::halfToFloat(quant::floatToHalf(x));
    };
    float scale = rounded(range / steps), offset = 0;
    if (GetParam().offsets)
      offset = rounded(*least + (steps + 1) / 2 * scale);
    float code =
        scale > 0 ? std::nearbyint((half(position) - offset) * (1 / scale)) : 0;
    if (GetParam().offsets)
      code = std::clamp(code, -(steps + 1) / 2, (steps - 1) / 2);
    return scale * code + offset;
  }

  /// Runs the steps in a new cache; the results of all tokens, by sequence.
  std::array<std::vector<float>, 2> run(const Steps &steps) {
    clear();
    std::array<std::vector<float>, 2> results;
    std::vector<int32_t> contexts = {0, 0};
    for (const std::vector<int32_t> &count : steps) {
      std::vector<float> y = step(contexts, count);
      size_t first = size_t(count[0] * heads * size);
      results[0].insert(results[0].end(), y.begin(), y.begin() + long(first));
      results[1].insert(results[1].end(), y.begin() + long(first), y.end());
      for (size_t s = 0; s < 2; ++s)
        contexts[s] += count[s];
    }
    return results;
  }

  std::vector<float> step(const std::vector<int32_t> &contexts,
                          const std::vector<int32_t> &count) {
    Step step(*this, contexts, count);
    step.attention.options = {0.1f, true, GetParam().window, 0};
    step.attention.order = order;
    ThreadPool pool(2);
    return step.run(pool);
  }

  /// Of token `position`, in a step after which the sequence has `length`.
  std::vector<double> expected(int s, int64_t position, int64_t length) const {
    std::vector<double> result;
    int64_t first = GetParam().window
                        ? std::max<int64_t>(position + 1 - GetParam().window, 0)
                        : 0;
    for (int64_t h = 0; h < heads; ++h) {
      int64_t kv = h / (heads / keyHeads);
      const float *q = query[s].data() + (position * heads + h) * size;
      std::vector<double> y(size, 0.0);
      double sum = 0;
      for (int64_t j = first; j <= position; ++j) {
        double score = 0;
        for (int64_t i = 0; i < size; ++i)
          score += double(q[i]) * keyAt(s, j, kv * size + i, length);
        double p = std::exp(0.1 * score);
        sum += p;
        for (int64_t i = 0; i < size; ++i)
          y[size_t(i)] += p * value[s][size_t((j * keyHeads + kv) * size + i)];
      }
      for (double v : y)
        result.push_back(v / sum);
    }
    return result;
  }

  void check(const Steps &steps, double tolerance = 3e-6) {
    std::array<std::vector<double>, 2> wanted;
    std::array<int64_t, 2> contexts = {0, 0};
    for (const std::vector<int32_t> &count : steps)
      for (size_t s = 0; s < 2; ++s) {
        int64_t length = contexts[s] + count[s];
        for (; contexts[s] < length; ++contexts[s]) {
          std::vector<double> row = expected(int(s), contexts[s], length);
          wanted[s].insert(wanted[s].end(), row.begin(), row.end());
        }
      }
    forEveryTarget([&] {
      std::array<std::vector<float>, 2> results = run(steps);
      for (size_t s = 0; s < 2; ++s) {
        SCOPED_TRACE(s);
        expectClose(results[s], wanted[s], tolerance);
      }
    });
  }

  const AttentionSumOrder *order = nullptr;
};

TEST_P(KeyGroupsTest, promptsAndSingleTokens) {
  // Begins and ends of groups in every place of a step; one step fills groups
  // that an earlier one began, whole ones, and begins another.
  Steps steps = {{5, 64}, {58, 1}, {1, 31}, {0, 33}, {1, 140}, {130, 0}};
  for (int i = 0; i < 6; ++i)
    steps.push_back({1, 1});
  check(steps);
}

TEST_P(KeyGroupsTest, tokenByToken) { check(Steps(70, {1, 1})); }

TEST_P(KeyGroupsTest, aSequenceAloneHasTheSameResults) {
  Steps together = {{70, 3}, {1, 100}, {1, 1}},
        alone = {{70, 0}, {1, 0}, {1, 0}};
  EXPECT_EQ(run(together)[0], run(alone)[0]);
}

TEST_P(KeyGroupsTest, theCacheDoesNotDependOnTheSteps) {
  std::vector<uint8_t> after[2];
  Steps inOne = {{150, 97}}, inMany = {{40, 1}, {1, 30}, {60, 65}, {49, 1}};
  for (int i = 0; i < 2; ++i) {
    run(i ? inMany : inOne);
    after[i].assign(pages, pages + 2 * perSequence * layout.pageBytes());
  }
  EXPECT_EQ(after[0], after[1]);
}

TEST_P(KeyGroupsTest, rotaryAppendEqualsItsParts) {
  int32_t starts[] = {0, 75}, contexts[] = {0};
  RaggedBatch batch{1,           starts,      contexts, table.data(),
                    perSequence, slots.data()};
  std::vector<float> cos = randomValues(75 * size / 2, 1),
                     sin = randomValues(75 * size / 2, 2);
  RotaryArguments rotation;
  rotation.tokens = rotation.tableRows = 75;
  rotation.heads = keyHeads;
  rotation.headSize = rotation.rotated = size;
  rotation.cos = cos.data();
  rotation.sin = sin.data();
  rotation.input = key[0].data();
  rotation.inputStride = rotation.outputStride = keyHeads * size;
  std::vector<float> rotated(75 * keyHeads * size);
  rotation.output = rotated.data();
  ThreadPool pool(2);
  rotary(rotation, pool);
  std::vector<uint8_t> after[2];
  for (int i = 0; i < 2; ++i) {
    run({});
    KvAppendArguments append{layout,         batch,           pages,
                             rotated.data(), keyHeads * size, value[0].data(),
                             keyHeads * size};
    if (i == 0) {
      kvAppend(append, pool);
    } else {
      append.key = key[0].data();
      RotaryAppendArguments both{rotation, append};
      both.queries.heads = 0;
      rotaryAppend(both, pool);
    }
    after[i] = memory;
  }
  EXPECT_EQ(after[0], after[1]);
}

/// There queries, these times the scales of a group, probabilities and values
/// are halves.
TEST_P(KeyGroupsTest, inTheOrderOfAGpu) {
  makeCache(quant::ElementType::F16);
  for (auto *arrays : {query, value})
    for (int s = 0; s < 2; ++s)
      for (float &x : arrays[s])
        x = quant::halfToFloat(quant::floatToHalf(x));
  AttentionSumOrder ofOneWarp, ofTwo;
  ofOneWarp.tile = ofTwo.tile = 32;
  ofTwo.warps = 2;
  Steps steps = {{40, 70}, {1, 1}, {30, 0}, {0, 31}};
  order = &ofOneWarp;
  check(steps, 1e-2);
  auto results = run(steps);
  order = &ofTwo;
  EXPECT_NE(run(steps), results);
}

TEST_P(KeyGroupsTest, tilesOfAnOrderLieInOneGroup) {
  AttentionSumOrder order;
  order.tile = 48;
  EXPECT_NE(isValid(order, layout)
                .message()
                .find("tiles of 48 positions for keys in groups of " +
                      std::to_string(layout.keyGroup())),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, KeyGroupsTest,
    testing::Values(GroupCase{quant::ElementType::Int4, 32},
                    GroupCase{quant::ElementType::Int8, 32},
                    GroupCase{quant::ElementType::Int4, 64},
                    GroupCase{quant::ElementType::Int4, 32, true},
                    GroupCase{quant::ElementType::Int8, 64, true},
                    GroupCase{quant::ElementType::Int4, 32, true, 40}));

} // namespace
} // namespace qopt::host
