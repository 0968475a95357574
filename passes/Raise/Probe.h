// Finds out what a subgraph means by running it: the arguments of a model are
// given small concrete values (batch, past, new tokens, paddings), a value is
// evaluated, and the result is compared with a formula. Masks, positions and
// rotary tables are recognised by what they compute, however an exporter wrote
// them.
//
// A claim is proven on a set of cases that tell the formulas apart; a value
// that depends on anything else (token ids, weights' data beyond the
// evaluator's limit) is refused, never guessed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_PROBE_H
#define QOPT_PASSES_RAISE_PROBE_H

#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <set>

namespace qopt::passes {

/// One concrete situation of a language model or encoder.
struct ProbeCase {
  int64_t batch = 1;
  int64_t past = 0;   ///< tokens in the cache, paddings included
  int64_t fresh = 1;  ///< new tokens of each row, paddings included
  int64_t source = 6; ///< positions of what an encoder made, all of them real
  /// [batch, past + fresh], 1 = a real token, 0 = padding.
  std::vector<int64_t> real;
  /// [batch, fresh]: what is fed as position_ids.
  std::vector<int64_t> positions;

  int64_t total() const { return past + fresh; }
  bool isReal(int64_t row, int64_t column) const {
    return real[row * total() + column] != 0;
  }
  /// Real tokens of a row before a column.
  int64_t realBefore(int64_t row, int64_t column) const;

  enum class Padding { None, Left, Right };
  /// Rows of different lengths; positions count real tokens (1 at paddings).
  static ProbeCase make(int64_t batch, int64_t past, int64_t fresh,
                        Padding padding);
};

/// The arguments of a function by their role; null where there is none.
struct ModelInputs {
  mlir::Value tokens; ///< [batch, fresh]: input_ids, or [batch, fresh, hidden]:
                      ///< inputs_embeds
  mlir::Value mask;   ///< [batch, total]: attention_mask
  mlir::Value positions;               ///< [batch, fresh]: position_ids
  llvm::SmallVector<mlir::Value> past; ///< [batch, heads, past, size]
  /// Keys and values of what an encoder made: [batch, heads, source, size].
  llvm::SmallVector<mlir::Value> sources;
  mlir::Value sourceMask; ///< [batch, source]: encoder_attention_mask

  /// By the names that exporters agree on (argument attribute qopt.name); what
  /// has another name, by what it looks like and is used for.
  static ModelInputs of(mlir::func::FuncOp func);
};

/// "past_key_values.3.encoder.key", and so on: keys or values that a decoder's
/// layer attends to across sequences.
struct SourceName {
  int64_t layer = 0; ///< that attend so, counted from 0
  bool isKey = false;
};
std::optional<SourceName> parseSourceName(llvm::StringRef name);

/// The names and sizes of an argument's dimensions (attribute onnx.dims).
llvm::ArrayRef<mlir::Attribute> dimensionsOf(mlir::func::FuncOp func,
                                             mlir::Value argument);

/// Evaluates values of one function in concrete situations.
class Probe {
public:
  explicit Probe(mlir::func::FuncOp func);
  Probe(mlir::func::FuncOp func, ModelInputs inputs);

  const ModelInputs &inputs() const { return roles; }
  bool hasPast() const { return !roles.past.empty(); }
  /// The case with the batch and lengths that the function fixes statically in
  /// place of the asked ones.
  ProbeCase fit(int64_t batch, int64_t past, int64_t fresh,
                ProbeCase::Padding padding) const;
  /// An evaluator whose arguments are bound: mask and positions with data,
  /// tokens and cache with their shapes.
  onnx::Evaluator evaluatorFor(const ProbeCase &probeCase) const;
  StatusOr<onnx::HostTensor> evaluate(mlir::Value value,
                                      const ProbeCase &probeCase) const {
    return evaluatorFor(probeCase).evaluate(value);
  }
  /// Cases that tell causal from bidirectional, padded from unpadded and short
  /// windows apart, with paddings on the left or the right of the tokens.
  std::vector<ProbeCase> casesPaddedLeft() const;
  std::vector<ProbeCase> casesPaddedRight() const;

private:
  /// Shapes of arguments without a role (token_type_ids), by the names of
  /// their dimensions.
  void bindOthers(onnx::Evaluator &evaluator, const ProbeCase &probeCase) const;

  /// [batch, heads, past, size] of a cache argument; heads and size that its
  /// type does not know are those of what is appended to it.
  onnx::HostTensor::Shape cacheShape(mlir::Value cache,
                                     const ProbeCase &probeCase) const;

  mlir::func::FuncOp func;
  ModelInputs roles;
};

/// The integers in (1, 2^20] that a value is computed from: lengths beyond
/// which its formula may change (windows, original context lengths).
std::set<int64_t> harvestLengths(mlir::Value value);

/// Which of a boolean mask's values lets a query attend.
enum class MaskSense { TrueAttends, TrueBlocks };

/// What a mask lets a query at index q = past + s see of key t.
struct MaskKind {
  bool causal = false;           ///< t <= q
  std::optional<int64_t> window; ///< q - t < window
  bool padding = false; ///< keys that attention_mask marks 0 are blocked
  /// The claims hold for paddings behind the tokens only, as
  /// GroupQueryAttention wants them; else for paddings before them too.
  bool rightPadded = false;
  /// Added to the score of head h: slope[h] · (t - q), up to a constant of the
  /// row; empty where nothing is added.
  llvm::SmallVector<double> slopes;
  /// Where what is added is no multiple of the distance: for each head the
  /// numbers for distances from 0 on, the last for all beyond, up to a constant
  /// of the row. Causal masks only.
  llvm::SmallVector<llvm::SmallVector<double>> biases;

  /// Everything is seen and nothing added.
  bool isNone() const {
    return !causal && !window && !padding && slopes.empty() && biases.empty();
  }
};

/// Classifies a mask: boolean, or a float that is added to scores, of a shape
/// that broadcasts to [B, H, S, T] or is [B·H, S or 1, T]. Only rows of real
/// queries are compared.
StatusOr<MaskKind> classifyMask(const Probe &probe, mlir::Value mask,
                                MaskSense sense = MaskSense::TrueAttends);

/// Whether a mask hides nothing of an encoder's positions, which are all real,
/// from any query, and adds the same to all of a query's scores. Unsupported
/// says what it does instead.
Status checkSourceMask(const Probe &probe, mlir::Value mask);

/// Where positions come from.
enum class PositionSource {
  PositionIds,  ///< the argument
  PastAndIndex, ///< past length + index: paddings count
  MaskSum,      ///< real tokens before it, by attention_mask
};

struct PositionKind {
  PositionSource source = PositionSource::PositionIds;
  int64_t offset = 0;       ///< position = source + offset
  bool rightPadded = false; ///< as in MaskKind
};

/// Classifies an integer value of shape [B, S], [1, S] or [S] as positions of
/// the new tokens.
StatusOr<PositionKind> classifyPositions(const Probe &probe,
                                         mlir::Value positions);

/// How the columns of a rotary table belong to the R/2 frequencies.
enum class TableLayout {
  Half,     ///< R/2 columns, one a frequency
  Halves,   ///< R columns, f(j mod R/2): for the half-split rotation
  Repeated, ///< R columns, f(j div 2): for the interleaved rotation
};

/// cos = scale · cos(position · f), sin = scale · sin(position · f).
struct RotaryKind {
  std::vector<float> inverseFrequencies; ///< f, R/2 of them
  double scale = 1;
  PositionSource source = PositionSource::PositionIds;
  TableLayout layout = TableLayout::Half;
  bool rightPadded = false; ///< as in MaskKind
};

/// Classifies the tables that a rotary embedding multiplies with: shape [B or
/// 1, …, S, …, columns] with ones between.
StatusOr<RotaryKind> classifyRotary(const Probe &probe, mlir::Value cosine,
                                    mlir::Value sine);

/// Classifies constant tables [positions, columns] that are looked up by
/// position; the source says nothing then. All rows are compared.
StatusOr<RotaryKind> classifyRotaryCache(mlir::Value cosine, mlir::Value sine);

/// How a rotation pairs channels: which one turns into which.
enum class RotationKind {
  Halves,      ///< (−x[R/2:], x[:R/2])
  Interleaved, ///< (−x[1], x[0], −x[3], x[2], …)
};

/// Whether `turned` is `x`, a tensor of rank 4, with its last axis turned by a
/// quarter; found out by turning numbers.
std::optional<RotationKind> classifyRotation(const Probe &probe,
                                             mlir::Value turned, mlir::Value x);

/// "causal, window 5, padding", "rotary 8 frequencies, scale 1, halves,
/// position_ids", …: for reports and tests.
std::string describe(const MaskKind &kind);
std::string describe(const PositionKind &kind);
std::string describe(const RotaryKind &kind);

} // namespace qopt::passes

#endif // QOPT_PASSES_RAISE_PROBE_H
