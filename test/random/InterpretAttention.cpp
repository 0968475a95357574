// Attention, by a cache or dense.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Codes.h"
#include "Interpreter.h"

#include <algorithm>

using namespace mlir;

namespace qopt::programs {

/// One head of one token.
struct Interpreter::Query {
  const Real *numbers;
  int64_t size;
  double scale, softcap;
  bool scaledKeys; ///< a GPU multiplies queries by the scales of keys first
};

/// A position that it sees; sizes are of the terms that numbers are sums of.
struct Interpreter::Entry {
  const Real *key, *value;
  const double *keySizes, *valueSizes;
  double bias;
  size_t origin; ///< equal where it is the same token once more
};

/// For each position the first one with the same numbers: it is the same token,
/// and a device makes the same error in it.
static std::vector<size_t> originsOf(const Real *numbers, int64_t positions,
                                     int64_t stride, int64_t size) {
  std::map<std::vector<double>, size_t> first;
  std::vector<size_t> origins;
  for (int64_t j = 0; j < positions; ++j) {
    std::vector<double> row;
    for (int64_t d = 0; d < size; ++d)
      row.push_back(numbers[j * stride + d].value);
    origins.push_back(
        first.try_emplace(std::move(row), size_t(j)).first->second);
  }
  return origins;
}

/// The origins of entries as numbers from 0 on, and how many these are.
template <typename Entry>
static std::pair<std::vector<size_t>, size_t>
tokensOf(const std::vector<Entry> &entries) {
  std::map<size_t, size_t> numbers;
  std::vector<size_t> tokens;
  for (const Entry &entry : entries)
    tokens.push_back(
        numbers.try_emplace(entry.origin, numbers.size()).first->second);
  return {tokens, numbers.size()};
}

/// result = Σ softmax(scores) · values.
void Interpreter::attend(const Query &query, const std::vector<Entry> &entries,
                         Real *result) const {
  double narrow = precision.gpu ? precision.narrow : 0, most = -1e300,
         least = 1e300, sum = 0;
  std::vector<double> scores, errors; // of each share, relative
  for (const Entry &entry : entries) {
    Real score;
    double squares = 0;
    for (int64_t d = 0; d < query.size; ++d) {
      score = score + query.numbers[d] * entry.key[d];
      double size = query.numbers[d].value * entry.keySizes[d];
      squares += size * size;
    }
    score.add((sumError(query.size) + (query.scaledKeys ? narrow : 0)) *
              std::sqrt(squares));
    score = {score.value * query.scale, score.error * std::abs(query.scale)};
    if (query.softcap > 0)
      score = {query.softcap * std::tanh(score.value / query.softcap),
               score.error + query.softcap * 4e-6};
    score.add(4 * roundoff * (std::abs(entry.bias) + score.most()));
    score.value += entry.bias;
    scores.push_back(score.value);
    most = std::max(most, score.value);
    least = std::min(least, score.value);
    errors.push_back(score.error);
  }
  for (double &score : scores)
    sum += score = std::exp(score - most);
  double own = 4e-6 + 4 * roundoff * std::min(most - least, 90.0);
  for (double &error : errors)
    error = std::expm1(reach * together(error, own)) / reach;
  // Probabilities, times scales of values, end in f16 at 2^-25 and meet codes
  // of up to 128.
  double lost = precision.gpu && precision.half
                    ? 0x1p-18 * std::sqrt(double(entries.size()))
                    : 0;
  own = sumError(int64_t(entries.size())) + narrow;
  // A mean is no nearer than its numbers are: those of tokens that are alike
  // are rounded alike, as far back as they have been. Errors of scores that are
  // alike cancel where values are; those of the same token add up.
  auto [token, tokens] = tokensOf(entries);
  std::vector<double> ofScores(tokens);
  for (int64_t d = 0; d < query.size; ++d) {
    double mean = 0, squares = 0, ofValues = 0;
    for (size_t j = 0; j < entries.size(); ++j)
      mean += scores[j] / sum * entries[j].value[d].value;
    std::fill(ofScores.begin(), ofScores.end(), 0);
    for (size_t j = 0; j < entries.size(); ++j) {
      const Real &value = entries[j].value[d];
      double share = scores[j] / sum, each = own * entries[j].valueSizes[d];
      ofValues += share * value.error;
      ofScores[token[j]] += share * errors[j] * std::abs(value.value - mean);
      squares += share * share * each * each;
    }
    for (double error : ofScores)
      squares += error * error;
    result[d] = {mean, together(ofValues, std::sqrt(squares))};
    result[d].add(lost);
  }
}

qopt::Status Interpreter::append(ir::KVAppendOp op) {
  const Bounded &keys = of(op.getK()), &values = of(op.getV());
  Layer &layer = cache[int64_t(op.getLayer())];
  auto width = size_t(keys.shape[1] * keys.shape[2]);
  size_t token = 0;
  for (const Slice &slice : batch->slices) {
    for (auto [all, from] :
         {std::pair(&layer.keys, &keys), {&layer.values, &values}}) {
      std::vector<Real> &sequence = (*all)[slice.sequence];
      sequence.resize(size_t(slice.first) * width); // as far as it was
      auto begin = from->numbers.begin() + int64_t(token * width);
      sequence.insert(sequence.end(), begin,
                      begin + slice.tokens * int64_t(width));
    }
    token += size_t(slice.tokens);
  }
  return {};
}

/// What keys are kept in until they have codes, and the latest positions.
static quant::ElementType wideType(Precision precision) {
  return precision.gpu && !precision.half ? quant::ElementType::BF16
                                          : quant::ElementType::F16;
}

/// The numbers of one head, [positions, size], in 16 bits.
static std::vector<Real> headOf(const std::vector<Real> &all, int64_t head,
                                ir::KVCacheType type,
                                quant::ElementType element) {
  int64_t size = type.getHeadSize(), width = size * type.getKvHeads(),
          positions = int64_t(all.size()) / width;
  std::vector<Real> result;
  for (int64_t j = 0; j < positions; ++j)
    for (int64_t d = 0; d < size; ++d)
      result.push_back(
          stored(all[size_t(j * width + head * size + d)], element));
  return result;
}

static std::vector<double> sizesOf(const std::vector<Real> &numbers) {
  std::vector<double> sizes;
  for (const Real &x : numbers)
    sizes.push_back(std::abs(x.value));
  return sizes;
}

/// Heads of `size` numbers become codes, with a scale for each `group` of them.
static void encodeHeads(const quant::Format &format, std::vector<Real> &numbers,
                        std::vector<double> &sizes, int64_t size,
                        int64_t group) {
  for (size_t begin = 0; begin < numbers.size(); begin += size_t(size))
    encode({numbers.data() + begin, size_t(size)}, group, &sizes[begin],
           [&](auto run) { return cacheGrid(format, run); });
}

Interpreter::Entries Interpreter::keysOf(const std::vector<Real> &all,
                                         int64_t head, ir::KVCacheType type,
                                         int64_t layer) const {
  quant::Format format = type.keyOf(layer);
  Entries entries;
  entries.wide = headOf(all, head, type, wideType(precision));
  entries.wideSizes = sizesOf(entries.wide);
  int64_t size = type.getHeadSize(), group = format.groupSize;
  // Groups are made of what was kept in 16 bits.
  entries.codes = group ? entries.wide
                        : headOf(all, head, type,
                                 format.isFloat() ? format.element
                                                  : quant::ElementType::F32);
  entries.codeSizes = sizesOf(entries.codes);
  if (!format.isFloat() && !group)
    encodeHeads(format, entries.codes, entries.codeSizes, size, size);
  int64_t positions = int64_t(entries.codes.size()) / size;
  for (int64_t begin = 0; group && begin + group <= positions; begin += group)
    for (int64_t d = 0; d < size; ++d) {
      auto place = [&](int64_t j) { return size_t((begin + j) * size + d); };
      std::vector<Real> channel;
      for (int64_t j = 0; j < group; ++j)
        channel.push_back(entries.codes[place(j)]);
      std::vector<double> sizes(channel.size());
      encode(channel, group, sizes.data(),
             [&](auto run) { return cacheGrid(format, run); });
      for (int64_t j = 0; j < group; ++j) {
        entries.codes[place(j)] = channel[size_t(j)];
        entries.codeSizes[place(j)] = sizes[size_t(j)];
      }
    }
  return entries;
}

Interpreter::Entries Interpreter::valuesOf(const std::vector<Real> &all,
                                           int64_t head, ir::KVCacheType type,
                                           int64_t layer) const {
  quant::Format format = type.valueOf(layer);
  Entries entries;
  entries.wide = headOf(all, head, type, wideType(precision));
  entries.wideSizes = sizesOf(entries.wide);
  entries.codes =
      headOf(all, head, type,
             format.isFloat() ? format.element : quant::ElementType::F32);
  entries.codeSizes = sizesOf(entries.codes);
  if (!format.isFloat())
    encodeHeads(format, entries.codes, entries.codeSizes, type.getHeadSize(),
                format.groupSize ? format.groupSize : type.getHeadSize());
  return entries;
}

qopt::Status Interpreter::cachedAttention(ir::CachedAttentionOp op) {
  ir::KVCacheType type = op.getCache().getType();
  auto number = int64_t(op.getLayer());
  Layer &layer = cache[number];
  Bounded result = of(op.getQ());
  int64_t heads = result.shape[1], size = type.getHeadSize(),
          shared = heads / type.getKvHeads(), token = 0;
  auto window = int64_t(op.getWindow().value_or(0));
  bool groups = type.keyOf(number).groupSize > 0;
  for (const Slice &slice : batch->slices) {
    for (int64_t head = 0; head < heads; ++head) {
      Entries keys =
          keysOf(layer.keys[slice.sequence], head / shared, type, number);
      const std::vector<Real> &all = layer.values[slice.sequence];
      Entries values = valuesOf(all, head / shared, type, number);
      int64_t width = size * type.getKvHeads();
      std::vector<size_t> origins =
          originsOf(all.data() + head / shared * size,
                    int64_t(all.size()) / width, width, size);
      double slope =
          op.getAlibiSlopes() ? (*op.getAlibiSlopes())[size_t(head)] : 0;
      for (int64_t i = 0; i < slice.tokens; ++i) {
        int64_t at = slice.first + i;
        std::vector<Entry> seen;
        for (int64_t j = window ? std::max<int64_t>(0, at - window + 1) : 0;
             j <= at; ++j) {
          bool wide =
              type.recentOf(number) > 0 &&
              (j > at - type.recentOf(number) || j < type.firstOf(number));
          auto place = size_t(j * size);
          const Entries &k = keys, &v = values;
          seen.push_back({(wide ? k.wide : k.codes).data() + place,
                          (wide ? v.wide : v.codes).data() + place,
                          (wide ? k.wideSizes : k.codeSizes).data() + place,
                          (wide ? v.wideSizes : v.codeSizes).data() + place,
                          slope * double(j - at), origins[size_t(j)]});
        }
        Real *row = result.row((token + i) * heads + head);
        std::vector<Real> query(row, row + size);
        attend({query.data(), size, op.getScale().convertToDouble(),
                op.getSoftcap() ? op.getSoftcap()->convertToDouble() : 0,
                groups},
               seen, row);
      }
    }
    token += slice.tokens;
  }
  keep(op.getResult(), std::move(result));
  return {};
}

/// q [1, S, H, D], k and v [1, KV, T, D], without a mask.
qopt::Status Interpreter::attention(ir::AttentionOp op) {
  if (op.getMask() || of(op.getQ()).shape[0] != 1)
    return unknown(op);
  const Bounded &q = of(op.getQ()), &k = of(op.getK()), &v = of(op.getV());
  int64_t queries = q.shape[1], heads = q.shape[2], size = q.shape[3],
          shared = heads / k.shape[1], positions = k.shape[2];
  auto window = int64_t(op.getWindow().value_or(0));
  std::vector<double> keySizes = sizesOf(k.numbers),
                      valueSizes = sizesOf(v.numbers);
  Bounded result;
  result.shape = q.shape;
  result.numbers.resize(q.numbers.size());
  for (int64_t head = 0; head < heads; ++head) {
    std::vector<size_t> origins =
        originsOf(v.numbers.data() + head / shared * positions * size,
                  positions, size, size);
    for (int64_t i = 0; i < queries; ++i) {
      int64_t at = i + positions - queries;
      std::vector<Entry> seen;
      for (int64_t j = 0; j < positions; ++j) {
        if (op.getCausal() && (j > at || (window && j <= at - window)))
          continue;
        auto place = size_t((head / shared * positions + j) * size);
        seen.push_back({k.numbers.data() + place, v.numbers.data() + place,
                        keySizes.data() + place, valueSizes.data() + place, 0,
                        origins[size_t(j)]});
      }
      attend({q.row(i * heads + head), size, op.getScale().convertToDouble(),
              op.getSoftcap() ? op.getSoftcap()->convertToDouble() : 0,
              /*scaledKeys=*/precision.gpu},
             seen, result.row(i * heads + head));
    }
  }
  keep(op.getResult(), std::move(result));
  return {};
}

} // namespace qopt::programs
