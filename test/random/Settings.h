// What is asked of the compiler for a program, and of its runs. They are part
// of the program's text, as attributes of its module:
//
//   module attributes {random.options = ["--target", "cuda", "--kv", "int8"],
//                      random.runs = [[0, 5, 1], [1, 1]]}
//
// The options are qopt-compile's. A run of a graph is a number of tokens; one
// of a decoder is a step, in which each sequence has so many new tokens (0:
// none, or it has not begun yet).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_SETTINGS_H
#define QOPT_TEST_RANDOM_SETTINGS_H

#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::programs {

enum class Target : uint8_t { Host, Cuda };

struct Settings {
  Target target = Target::Host;
  std::string activations;          ///< --activations
  std::string cache;                ///< --kv
  std::string sumOrder;             ///< --sum-order
  std::vector<std::string> formats; ///< --format, NAME=FORMAT
  /// Of a graph one number each.
  std::vector<std::vector<int64_t>> runs;
  bool operator==(const Settings &) const = default;

  /// As a caller of the compiler has them.
  CompileOptions options() const;
  /// As a command line has them, one word after the other.
  std::vector<std::string> words() const;
  /// The inverse; InvalidArgument names the word.
  static StatusOr<Settings> parse(const std::vector<std::string> &words);
};

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_SETTINGS_H
