// What the host's kernels take on one machine: a GPU's description is data of
// lib/Target, a processor's is measured where it stands (bench/describe_host)
// and given as a file (--host-rates); without one, that of the machine which
// bench/RESULTS.md names:
//
//   {"schema": "qopt-host-1", "name": "xeon-2", "part": "Intel Xeon, 2
//   threads",
//    "call_us": 0.5, "score_ps": 400,
//    "reads":   [{"bytes": 1048576, "gb_s": 90}, …],
//    "rows":    [{"kernel": "norm", "call_us": 0.3, "element_ns": 0.1}, …],
//    "linears": [{"weights": "int8", "reads": "int8_g32_sf32",
//                 "weight_ps": [[1, 20], [4, 25], …]}, …],
//    "caches":  [{"part": "keys", "format": "f16", "unpack_ps": 20,
//                 "product_ps": 30}, …]}
//
// All numbers are of all threads together, as the machine serves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_HOSTRATES_H
#define QOPT_LIB_DRIVER_HOSTRATES_H

#include "lib/Calibrate/CacheProbe.h"
#include "lib/Quant/Format.h"
#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

#include "llvm/ADT/StringRef.h"

#include <string>
#include <utility>
#include <vector>

namespace qopt::driver {

struct HostRates {
  /// Kernels that treat elements of a token alike.
  struct Row {
    std::string kernel; ///< norm, activation, quantize, rotary or rotary_table
    double call = 0;    ///< s
    double element = 0; ///< s
  };
  /// A product with a weight that the cache holds.
  struct Linear {
    quant::Format weights, reads;
    /// Tokens, rising from 1, and the seconds of one weight for them together;
    /// between two of them it is on the line through both.
    std::vector<std::pair<double, double>> times;
  };
  /// Attention to keys or values: their part of a position.
  struct Cache {
    calibrate::CachePart part;
    quant::Format format;
    double unpack = 0;  ///< s, of a stored channel
    double product = 0; ///< s, of a channel of a head of queries
  };

  std::string name;   ///< "xeon-2"
  std::string part;   ///< for people
  std::string digest; ///< SHA-256 of the file, 64 digits
  double call = 0;    ///< s, of a linear or an attention without work
  double score = 0;   ///< s, of a position that a head attends to
  /// Bytes that are read again and again, rising, and how many in a second.
  std::vector<std::pair<double, double>> reads;
  std::vector<Row> rows;
  std::vector<Linear> linears;
  std::vector<Cache> caches;

  /// Bytes in a second where so many are read in turn: between two that were
  /// measured on the line of logarithms.
  double readRate(double bytes) const;
  /// Null where no kernel is called so.
  const Row *row(llvm::StringRef kernel) const;
  /// Seconds of one weight for `tokens`. Of a format that was not measured
  /// those of the nearest with the same elements and activations: zero points
  /// count most, then levels of scales, then the size of groups. Unsupported
  /// where no such elements were measured.
  StatusOr<double> weightSeconds(const quant::Format &weights,
                                 const quant::Format &reads,
                                 double tokens) const;
  /// Likewise of the cache.
  StatusOr<Cache> cache(calibrate::CachePart part,
                        const quant::Format &format) const;

  /// "xeon-2 sha256 0123456789abcdef…", as plans and artifacts name it.
  std::string spell() const { return name + " sha256 " + digest; }
};

/// Reads a description, called `file` in messages. InvalidArgument names what
/// is missing or of another kind than expected.
StatusOr<HostRates> parseHostRates(llvm::StringRef text,
                                   const std::string &file);

/// Those of --host-rates, else the committed ones. NotFound, or as above.
StatusOr<HostRates> hostRatesOf(const CompileOptions &options);

/// InvalidArgument for --host-rates that cannot be read, or with another
/// target.
Status checkHostRates(const CompileOptions &options);

/// The committed description, as describe_host has printed it.
extern const char *const usualHostRates;

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_HOSTRATES_H
