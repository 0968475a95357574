// The precision plan: the format of every weight and of every layer's cache,
// how it was quantized, what
// that is predicted to cost, and what the alternatives would have cost. A file
// that people read, compare and edit, and that compiles the same again:
//
//   {
//     "schema": "qopt-plan-1",
//     "target": "host",
//     "budget": "4.25 bits per weight",
//     "bits": 4.2497, "bytes": 14772224, "predicted_kl": 0.0213,
//     "calibration": {"text": "books.txt", "sha256": "…", "tokens": 65536,
//                     "algorithm": "best", "seed": 0, "window": 512,
//                     "inputs": "unquantized"},
//     "tuning": {"steps": 100, "kept": 88, "tokens": 4096,
//                "kl_before": 0.0214, "kl_after": 0.0201},
//     "activations": "f32", "kv": "f16",
//     "tensors": [
//       {"name": "model.layers.0.mlp.gate_proj.weight", "weights": ["…", "…"],
//        "columns": 512, "format": "int8_g32_sf32", "bytes": 640,
//        "predicted_kl": 0.00003, "reason": "…", "alternatives": […]},
//       …],
//     "caches": [
//       {"name": "cache.0.key", "heads": 4, "channels": 64, "format": "int8",
//        "recent": 32, "first": 16, "bytes": 264, "predicted_kl": 0.00003,
//        "step_us": 0.21, "stored": "before_rotary",
//        "reason": "…",
//        "statistics": {"largest": 11.2, "rms": 1.3, "outliers": 1,
//                       "channels": [{"head": 0, "channel": 7, "times": 9.1}]},
//        "before_rotary": {…}},
//       …],
//     "weights": [
//       {"name": "model.layers.0.mlp.down_proj.weight", "rows": 512,
//        "columns": 1408, "source": "f16", "format": "int4_asym_g128",
//        "algorithm": "kronecker", "bytes": 374528, "predicted_kl": 0.00052,
//        "reason": "…",
//        "alternatives": [{"format": "int3_asym_g128", …}, …]},
//       …]
//   }
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PRECISIONPLAN_H
#define QOPT_LIB_DRIVER_PRECISIONPLAN_H

#include "lib/Quant/CacheFormat.h"
#include "qopt/Status.h"
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qopt::driver {

/// One way to store a weight, a tensor, or the keys or values of a layer.
struct PlannedFormat {
  std::string format;    ///< as lib/Quant spells it
  std::string algorithm; ///< that gives its codes; empty: rounded by itself
  int64_t bytes = 0;     ///< scales and zero points included
  double divergence = 0; ///< KL per token that it is predicted to cost
  /// What a decode step is predicted to take more than with the fastest
  /// alternative, where a budget on latency had it predicted.
  std::optional<double> seconds = std::nullopt;
  /// Of a weight whose activations are chosen, too: that with each format of
  /// these that its linear can read; `seconds` is that with the chosen one.
  std::map<std::string, double> secondsBy = {};
  /// Of a cache: its latest and first positions that are in f16 as well.
  int64_t recent = 0, first = 0;

  int64_t positions() const { return recent + first; }
  /// The format, with its words where it is one of a cache.
  std::string spell() const;
};

struct PlannedWeight {
  std::string name;
  int64_t rows = 0, columns = 0;
  std::string source; ///< the file's own format
  PlannedFormat chosen;
  std::string reason;
  std::vector<PlannedFormat> alternatives; ///< all that were scored, by size
  /// While formats are chosen: weights of one launch, which takes them in one
  /// format only, have one name here. Of no file.
  std::string launch = "";
};

/// What keys or values were like on a text.
struct VectorRecord {
  /// A channel that is many times as large as the median of its head.
  struct Channel {
    int64_t head = 0, channel = 0;
    double times = 0;
  };
  double largest = 0, effective = 0; ///< |x|, and its root mean square
  int64_t outliers = 0;              ///< such channels
  std::vector<Channel> channels;     ///< the largest of these
};

/// The keys or the values of a layer of the cache.
struct PlannedCache {
  std::string name;                ///< "cache.LAYER.key" or "cache.LAYER.value"
  int64_t heads = 0, channels = 0; ///< of a head
  /// Channels that a position of a head takes in memory as it was chosen, with
  /// those that pad it; of a file that does not say so, `channels`.
  int64_t row = 0;
  /// While formats are chosen: each of them has the row that a GPU gives it. Of
  /// no file.
  bool padsAsGpu = false;
  PlannedFormat chosen;        ///< bytes are those of a position in codes
  bool isBeforeRotary = false; ///< keys that are stored ahead of their rotation
  std::string reason;
  std::vector<PlannedFormat> alternatives; ///< all that were scored, by size
  /// Measured on the text of calibration (CacheStatistics.h).
  std::optional<VectorRecord> statistics = std::nullopt,
                              beforeRotary = std::nullopt;

  bool isValue() const { return name.ends_with(".value"); }
};

/// A tensor that linears read.
struct PlannedActivation {
  std::string name; ///< of the first weight that it is multiplied by
  std::vector<std::string> weights; ///< all of them
  int64_t columns = 0;
  PlannedFormat chosen; ///< bytes are those of a token
  std::string reason;
  std::vector<PlannedFormat> alternatives; ///< all that were scored
};

/// A source of a manifest, and what was taken of it.
struct SourceRecord {
  std::string file; ///< its name, without folders
  std::string domain, slice, sha256;
  double weight = 1;
  int64_t windows = 0;
};

/// What the codes were calibrated on; `text` is empty where there was nothing.
struct CalibrationRecord {
  std::string text;   ///< path, as it was given
  std::string sha256; ///< of its bytes; of a manifest, with its sources'
  int64_t tokens = 0; ///< at most, as it was asked
  std::string algorithm;
  uint64_t seed = 0;  ///< of labels that are drawn from the model
  int64_t window = 0; ///< tokens of each; 0: not recorded
  std::string inputs; ///< of layers, as the option says; empty: the usual ones
  std::vector<SourceRecord> sources; ///< of a manifest
};

/// Exchanges that were measured behind the choice (PlanMoves.h).
struct MoveRecord {
  struct Tried {
    std::string smaller, smallerFormat; ///< what got fewer bits, and which
    std::string larger, largerFormat;   ///< what got more
    double divergence = 0;              ///< of the model with both, measured
    bool kept = false;
  };
  int64_t tokens = 0; ///< that they were measured on; 0: there were none
  double before = 0, after = 0; ///< KL per token, measured
  std::vector<Tried> tried;
};

/// Steps of tuning behind calibration (Tuning.h).
struct TuneRecord {
  int64_t steps = 0;  ///< that were asked for; 0: none
  int64_t kept = 0;   ///< the one whose values the artifact has; 0: none has
  int64_t tokens = 0; ///< that decided, and no step saw
  double before = 0, after = 0; ///< KL per token on these
};

struct PrecisionPlan {
  std::string target; ///< "host" or "cuda"
  std::string budget; ///< for people; empty: formats were asked for
  /// What prices of formats in a step of the host are of: name and digest of
  /// its rates. Empty: there were none.
  std::string rates;
  CalibrationRecord calibration;
  std::string activations, cache; ///< as the options say; empty: the default
  MoveRecord moves;
  TuneRecord tuning;
  std::vector<PlannedActivation> tensors; ///< in the order of their use
  std::vector<PlannedCache> caches;       ///< of a decoder, by layer
  std::vector<PlannedWeight> weights;

  int64_t bytes() const; ///< of the weights
  int64_t elements() const;
  double bitsPerWeight() const;
  /// The sum over weights, tensors and caches, of figures as they are written.
  double divergence() const;

  const PlannedWeight *find(const std::string &weight) const;
  PlannedWeight *find(const std::string &weight);
};

/// A number as plans have it, with six digits.
double asWritten(double value);

/// Why a weight has its format, and how its codes came about.
std::string reasonOf(const PlannedWeight &weight);

/// Without folders in the path of the text: the same wherever it was made.
PrecisionPlan withoutFolders(PrecisionPlan plan);

/// The file, with a line for each weight and each alternative.
std::string toJson(const PrecisionPlan &plan);
/// One of its weights.
std::string toJson(const PlannedWeight &weight);

/// Reads what toJson has written, called `name` in messages. InvalidArgument
/// names the entry which is missing or of another kind than expected.
StatusOr<PrecisionPlan> parsePlan(const std::string &text,
                                  const std::string &name);
StatusOr<PlannedWeight> parseWeight(const std::string &text);

/// Reads a plan from `path`. NotFound, or as parsePlan.
StatusOr<PrecisionPlan> readPlan(const std::string &path);

/// Writes it, complete or not at all.
Status writePlan(const PrecisionPlan &plan, const std::string &path);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PRECISIONPLAN_H
