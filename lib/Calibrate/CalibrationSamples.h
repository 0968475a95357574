// What a model is calibrated on, one sample after the other: a window of tokens
// for a decoder, an array for each input of a graph. Whoever runs the model
// asks for the values of its arguments by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_CALIBRATIONSAMPLES_H
#define QOPT_LIB_CALIBRATE_CALIBRATIONSAMPLES_H

#include "lib/Tokens/TokenWindows.h"
#include "qopt/Tensor.h"
#include <optional>

namespace qopt::calibrate {

/// Every eighth sample, a window of a text or inputs of a graph, is
/// held out: no algorithm sees it, the choice between their results does.
inline bool isHeldOut(int64_t sample) { return sample % 8 == 7; }
/// So many or more have one that is held out.
inline constexpr int64_t windowsToHoldOut = 8;

class CalibrationSamples {
public:
  virtual ~CalibrationSamples() = default;

  virtual int64_t count() const = 0;
  /// Tokens of a sample; of one without token ids 1.
  virtual int64_t length() const = 0;
  /// About how many vectors of `columns` elements a linear reads of a sample.
  virtual int64_t rowsOf(int64_t columns) const = 0;
  /// The argument `name`, as long as this lives; nothing where it has none.
  virtual std::optional<TensorView> input(int64_t sample,
                                          const std::string &name) const = 0;
};

/// Windows of a text, as an uncached decoder reads them (UncacheDecoder):
/// "tokens" and "positions".
class TokenSamples : public CalibrationSamples {
public:
  explicit TokenSamples(TokenWindows windows);

  int64_t count() const override { return windows.count(); }
  int64_t length() const override { return windows.length(); }
  int64_t rowsOf(int64_t) const override { return windows.length(); }
  std::optional<TensorView> input(int64_t sample,
                                  const std::string &name) const override;

private:
  TokenWindows windows;
  std::vector<int32_t> positions;
};

/// An input of every sample of a file, named like it.
struct SampledArray {
  Tensor values;              ///< one sample after the other
  std::vector<int64_t> shape; ///< of each
};

/// The inputs of a graph, from several files that follow each other.
class ArraySamples : public CalibrationSamples {
public:
  /// All inputs as one file has them, of which the samples `chosen` are taken,
  /// in this order. Shapes are the same in all files.
  void add(std::vector<SampledArray> inputs, std::vector<int64_t> chosen);

  int64_t count() const override { return int64_t(places.size()); }
  int64_t length() const override;
  int64_t rowsOf(int64_t columns) const override;
  std::optional<TensorView> input(int64_t sample,
                                  const std::string &name) const override;

private:
  struct Place {
    size_t file;
    int64_t sample;
  };
  std::vector<std::vector<SampledArray>> files;
  std::vector<Place> places;
};

/// Some of others, in this order; `all` stay.
class SelectedSamples : public CalibrationSamples {
public:
  SelectedSamples(const CalibrationSamples &all, std::vector<int64_t> chosen)
      : all(all), chosen(std::move(chosen)) {}

  int64_t count() const override { return int64_t(chosen.size()); }
  int64_t length() const override { return all.length(); }
  int64_t rowsOf(int64_t columns) const override { return all.rowsOf(columns); }
  std::optional<TensorView> input(int64_t sample,
                                  const std::string &name) const override {
    return all.input(chosen[size_t(sample)], name);
  }

private:
  const CalibrationSamples &all;
  std::vector<int64_t> chosen;
};

/// At most `most` of `count` samples, evenly spread, in their order.
std::vector<int64_t> spreadSamples(int64_t count, int64_t most);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_CALIBRATIONSAMPLES_H
