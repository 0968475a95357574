// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CalibrationSamples.h"
#include <algorithm>
#include <functional>
#include <numeric>

namespace qopt::calibrate {

TokenSamples::TokenSamples(TokenWindows windows)
    : windows(std::move(windows)), positions(size_t(this->windows.length())) {
  std::iota(positions.begin(), positions.end(), 0);
}

std::optional<TensorView> TokenSamples::input(int64_t sample,
                                              const std::string &name) const {
  if (name != "tokens" && name != "positions")
    return std::nullopt;
  std::span<const int32_t> ids = name == "positions"
                                     ? std::span<const int32_t>(positions)
                                     : windows[sample];
  // Inputs are only read.
  return TensorView{name,
                    DType::I32,
                    {int64_t(ids.size())},
                    const_cast<int32_t *>(ids.data())};
}

void ArraySamples::add(std::vector<SampledArray> inputs,
                       std::vector<int64_t> chosen) {
  for (int64_t sample : chosen)
    places.push_back({files.size(), sample});
  files.push_back(std::move(inputs));
}

static int64_t elementsOfSample(const SampledArray &input) {
  return std::accumulate(input.shape.begin(), input.shape.end(), int64_t(1),
                         std::multiplies<int64_t>());
}

static bool holdsIds(const SampledArray &input) {
  DType type = input.values.type();
  return type == DType::I32 || type == DType::I64;
}

int64_t ArraySamples::length() const {
  int64_t longest = 1;
  for (const SampledArray &input : files.front())
    if (holdsIds(input))
      longest = std::max(longest, elementsOfSample(input));
  return longest;
}

int64_t ArraySamples::rowsOf(int64_t columns) const {
  int64_t rows = length();
  // Patches of an image become vectors of about as many elements.
  for (const SampledArray &input : files.front())
    if (!holdsIds(input))
      rows = std::max(rows, elementsOfSample(input) / columns);
  return rows;
}

std::optional<TensorView> ArraySamples::input(int64_t sample,
                                              const std::string &name) const {
  const Place &place = places[size_t(sample)];
  for (const SampledArray &input : files[place.file]) {
    if (input.values.name() != name)
      continue;
    size_t bytes =
        size_t(elementsOfSample(input)) * sizeOf(input.values.type());
    return TensorView{name, input.values.type(), input.shape,
                      input.values.as<uint8_t>() +
                          size_t(place.sample) * bytes};
  }
  return std::nullopt;
}

std::vector<int64_t> spreadSamples(int64_t count, int64_t most) {
  int64_t taken = std::min(count, most);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < taken; ++i)
    chosen.push_back(i * count / taken);
  return chosen;
}

} // namespace qopt::calibrate
