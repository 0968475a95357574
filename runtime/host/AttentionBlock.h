// What the attention kernels pass among themselves: a block of queries with its
// running softmax, and one chunk of keys and values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ATTENTIONBLOCK_H
#define QOPT_RUNTIME_HOST_ATTENTIONBLOCK_H

#include "lib/Quant/Element.h"
#include "runtime/host/Attention.h"

#include <limits>

namespace qopt::host {

constexpr int64_t groupKeys = 16;
constexpr int64_t chunkKeys = 256;
constexpr float minusInfinity = -std::numeric_limits<float>::infinity();

/// One query and what it sees.
struct QueryRow {
  int64_t first = 0, last = 0; ///< keys [first, last) take part
  float slope = 0;             ///< ALiBi: slope · (key − position) is added
  int64_t position = 0;
  const float *biases = nullptr; ///< of distances, or null
  int64_t distances = 0;
  const float *added = nullptr; ///< mask of key 0, or null
  const bool *attend = nullptr;
  int64_t maskStride = 0;
};

/// A block of queries with its running softmax.
struct QueryBlock {
  int64_t count = 0;
  int64_t headSize = 0;
  int64_t valueSize = 0;
  const ScoreOptions *options = nullptr;
  const QueryRow *rows = nullptr;
  const float *query = nullptr; ///< [count][headSize]
  float *scores = nullptr;      ///< [count][chunkKeys]
  float *maxima = nullptr;      ///< [count]
  float *sums = nullptr;        ///< [count]
  float *output = nullptr;      ///< [count][valueSize]
};

/// Keys and values of one chunk: pointers to its groups.
struct KeyChunk {
  int64_t start = 0; ///< number of the first key
  int64_t keys = 0;  ///< up to chunkKeys; the last group may be short
  const void *keyGroups[chunkKeys / groupKeys];
  const void *valueGroups[chunkKeys / groupKeys];
  /// [chunkKeys], what keys and values of each position are multiplied with;
  /// null: with one.
  const float *keyScales = nullptr, *valueScales = nullptr;
};

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ATTENTIONBLOCK_H
