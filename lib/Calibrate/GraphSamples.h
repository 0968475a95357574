// The inputs of a graph that it is calibrated or measured on, from .npz files:
// an array for each input, called like it, with samples one behind the other:
//
//   input_ids [batch, sequence]     in the file [samples, sequence], a row of a
//                                   batch each, or [samples, batch, sequence]
//
// All samples of all files have one shape, as all windows of a text do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_GRAPHSAMPLES_H
#define QOPT_LIB_CALIBRATE_GRAPHSAMPLES_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "qopt/Artifact.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qopt::calibrate {

/// Whether `path` is meant as arrays of a graph: it ends in .npz.
bool isArrayFile(const std::string &path);

class GraphSamplesReader {
public:
  /// For the inputs of a graph, which `option` names files of.
  GraphSamplesReader(const std::vector<TensorSpec> &signature,
                     std::string option);

  struct Source {
    int64_t samples;    ///< that were taken
    std::string sha256; ///< of the file's bytes
  };
  /// Adds samples of a file, of at most `tokens` tokens together but one at
  /// least, spread over it; of a model without token ids a sample is one.
  /// InvalidArgument names the file, the array, what is expected and what is
  /// there: inputs that are missing or unknown, of another type or shape, of
  /// different numbers of samples, without any, or that are no numbers.
  StatusOr<Source> read(const std::string &path, int64_t tokens);

  /// All that was read.
  std::shared_ptr<const CalibrationSamples> samples() const { return all; }

private:
  struct Input {
    TensorSpec spec;
    std::vector<int64_t> fixed; ///< sizes of the model; -1: any
    std::vector<int64_t> sizes; ///< of the samples; -1: not known yet
  };
  struct File;

  Status checkNames(const File &file) const;
  StatusOr<std::vector<int64_t>> shapeOf(const File &file, const Input &input,
                                         const Tensor &array) const;
  Status takeShape(const File &file, Input &input,
                   const std::vector<int64_t> &shape);

  std::string option;
  std::vector<Input> inputs;
  std::map<std::string, int64_t> named; ///< sizes that have a name
  std::shared_ptr<ArraySamples> all = std::make_shared<ArraySamples>();
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_GRAPHSAMPLES_H
