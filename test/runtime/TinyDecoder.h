// A decoder of one layer with random weights, as an artifact and as plain
// loops: what the engine's tests run and compare with. Hidden size 32, two
// heads of 16 on one key head, rotary embedding, vocabulary 50, context 100.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_TINYDECODER_H
#define QOPT_TEST_RUNTIME_TINYDECODER_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::test {

struct TinyDecoder {
  static constexpr int64_t hidden = 32, heads = 2, headSize = 16,
                           vocabulary = 50, context = 100, page = 16;
  static constexpr float epsilon = 1e-5f;

  std::vector<float> embedding, normScale, qkv, output, head, frequencies;
  /// Of the cache; pages of it hold whole groups.
  quant::Format keyFormat = quant::floatFormat(quant::ElementType::F32);

  explicit TinyDecoder(unsigned seed = 1);

  /// `endToken` -1: none.
  Status write(const std::string &path, int32_t endToken = -1,
               const std::string &tokenizer = "") const;

  /// Logits [tokens, vocabulary] of every position, in f64.
  std::vector<double> logits(const std::vector<int32_t> &tokens) const;
  /// The greedy continuation of a prompt.
  std::vector<int32_t> greedy(std::vector<int32_t> prompt, int count) const;
};

} // namespace qopt::test

#endif // QOPT_TEST_RUNTIME_TINYDECODER_H
