// One function for each kind of weight expression.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Driver/WeightEncodings.h"
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Grid.h"
#include "lib/Quant/algorithms/MatrixAlgorithm.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

using namespace mlir;

namespace qopt::driver {

/// Rows that one task takes: enough to be worth a thread, few enough to need
/// little memory in f32.
constexpr int64_t rowsPerTask = 64;

void CanonicalWeight::allocate() {
  auto roundUp = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  scaleOffset = roundUp(quant::codeBytes(format, rows, columns));
  zeroOffset = scaleOffset + roundUp(quant::scaleBytes(format, rows, columns));
  owned.assign(zeroOffset + quant::zeroBytes(format, rows, columns), 0);
  pointers = {codes(), format.isFloat() ? nullptr : scales(),
              quant::hasZeroArray(format) ? zeros() : nullptr};
}

quant::StoredRows CanonicalWeight::storedFrom(int64_t row) const {
  return quant::rowsFrom(format, pointers, columns, row);
}

const uint8_t *CanonicalWeight::keep(ir::StoredElements elements) {
  kept.push_back(std::move(elements));
  return reinterpret_cast<const uint8_t *>(kept.back().bytes().data());
}

/// Tasks of `together` rows.
static void forBlocks(unsigned threads, int64_t rows, int64_t together,
                      const std::function<void(int64_t, int64_t)> &body) {
  // More threads than processors would only wait.
  unsigned useful = std::min(threads, std::thread::hardware_concurrency());
  quant::forTasks(useful, (rows + together - 1) / together, [&](int64_t task) {
    int64_t first = task * together;
    body(first, std::min(first + together, rows));
  });
}

void forRows(unsigned threads, int64_t rows,
             const std::function<void(int64_t, int64_t)> &body) {
  forBlocks(threads, rows, rowsPerTask, body);
}

namespace {

/// Collects the first failure, by row, of tasks that run in any order, so that
/// the message does not depend on the threads.
class FirstFailure {
public:
  void report(int64_t row, Status status) {
    std::lock_guard lock(mutex);
    if (row < firstRow) {
      firstRow = row;
      first = std::move(status);
    }
  }
  Status status() const { return first; }

private:
  std::mutex mutex;
  int64_t firstRow = INT64_MAX;
  Status first;
};

Status notFinite(StringRef name, StringRef what, float value, int64_t row,
                 const std::string &place) {
  return Status(StatusCode::BadModel,
                "weight \"" + name.str() + "\" has the " + what.str() + " " +
                    (std::isnan(value) ? "nan" : "infinity") + " at row " +
                    std::to_string(row) + ", " + place +
                    "; export the model again with finite weights");
}

Status checkValues(const CanonicalWeight &weight, StringRef name,
                   unsigned threads) {
  FirstFailure failure;
  quant::StoredRows stored = weight.stored();
  int64_t stride = quant::bytesPerRow(weight.format, weight.columns);
  forRows(threads, weight.rows, [&](int64_t first, int64_t last) {
    std::vector<float> row(weight.columns);
    for (int64_t r = first; r < last; ++r) {
      quant::StoredRows one{stored.codes + r * stride, nullptr, nullptr};
      quant::dequantizeRows(weight.format, one, 1, weight.columns, row.data());
      for (int64_t c = 0; c < weight.columns; ++c)
        if (!std::isfinite(row[c])) {
          failure.report(r, notFinite(name, "value", row[c], r,
                                      "column " + std::to_string(c)));
          break;
        }
    }
  });
  return failure.status();
}

/// Of a weight that the file has quantized: its scales and its zero points,
/// where these are fractions.
Status checkParameters(const CanonicalWeight &weight, StringRef name) {
  const quant::Format &format = weight.format;
  int64_t groups = quant::groupsPerRow(format, weight.columns);
  bool tensor = format.granularity == quant::Granularity::Tensor;
  std::vector<float> numbers(static_cast<size_t>(groups));
  auto check = [&](StringRef what, auto load) {
    for (int64_t row = 0; row < (tensor ? 1 : weight.rows); ++row) {
      load(format, weight.storedFrom(row), weight.columns, numbers.data());
      for (int64_t group = 0; group < groups; ++group)
        if (float value = numbers[size_t(group)]; !std::isfinite(value))
          return notFinite(name, what, value, row,
                           "group " + std::to_string(group));
    }
    return Status();
  };
  QOPT_RETURN_IF_ERROR(check("scale", quant::loadScales));
  return format.zero == quant::ZeroType::Float
             ? check("zero point", quant::loadZeros)
             : Status();
}

/// Of a weight that the file has quantized: codes of fp8 that are no numbers.
Status checkCodes(const CanonicalWeight &weight, StringRef name) {
  if (!quant::isFp8(weight.format.element))
    return {};
  std::vector<float> numbers(static_cast<size_t>(weight.columns));
  for (int64_t row = 0; row < weight.rows; ++row) {
    quant::elementOf(weight.format.element)
        .decode(weight.storedFrom(row).codes, weight.columns, numbers.data());
    for (int64_t c = 0; c < weight.columns; ++c)
      if (!std::isfinite(numbers[size_t(c)]))
        return notFinite(name, "code", numbers[size_t(c)], row,
                         "column " + std::to_string(c));
  }
  return {};
}

/// Rows of a float matrix that the file stores column by column.
void transposeInto(CanonicalWeight &weight, const uint8_t *source,
                   unsigned threads) {
  weight.allocate();
  int64_t width =
      quant::bytesPerRow(weight.format, weight.columns) / weight.columns;
  uint8_t *target = weight.codes();
  forRows(threads, weight.rows, [&](int64_t first, int64_t last) {
    for (int64_t c = 0; c < weight.columns; ++c)
      for (int64_t r = first; r < last; ++r)
        std::memcpy(target + (r * weight.columns + c) * width,
                    source + (c * weight.rows + r) * width, width);
  });
}

/// The format of the file's own numbers.
quant::Format storedFormat(ir::WeightOp op) {
  if (!op.hasFactors())
    return op.getType().getFormat();
  Type element = op.getCodes().getShapedType().getElementType();
  return quant::floatFormat(element.isF16()    ? quant::ElementType::F16
                            : element.isBF16() ? quant::ElementType::BF16
                                               : quant::ElementType::F32);
}

/// The values of rows [first, last).
std::vector<float> rowsOf(const CanonicalWeight &source, int64_t first,
                          int64_t last) {
  std::vector<float> values((last - first) * source.columns);
  quant::dequantizeRows(source.format, source.storedFrom(first), last - first,
                        source.columns, values.data());
  return values;
}

/// The matrix with its rows and columns multiplied, in f32.
StatusOr<CanonicalWeight>
applyFactors(ir::WeightOp op, const CanonicalWeight &source, unsigned threads) {
  auto factors = [](std::optional<ElementsAttr> attribute, int64_t count) {
    return attribute ? llvm::to_vector(attribute->getValues<float>())
                     : SmallVector<float>(size_t(count), 1.0f);
  };
  SmallVector<float> rows = factors(op.getRowFactors(), source.rows);
  SmallVector<float> columns = factors(op.getColumnFactors(), source.columns);
  CanonicalWeight weight;
  weight.format = op.getType().getFormat();
  weight.rows = source.rows;
  weight.columns = source.columns;
  weight.allocate();
  float *out = reinterpret_cast<float *>(weight.codes());
  forRows(threads, weight.rows, [&](int64_t first, int64_t last) {
    std::vector<float> values = rowsOf(source, first, last);
    for (int64_t r = first; r < last; ++r)
      for (int64_t k = 0; k < weight.columns; ++k)
        out[r * weight.columns + k] =
            values[size_t((r - first) * weight.columns + k)] *
            (rows[size_t(r)] * columns[size_t(k)]);
  });
  QOPT_RETURN_IF_ERROR(checkValues(weight, op.getName(), threads));
  return weight;
}

StatusOr<CanonicalWeight> evaluateSource(ir::WeightOp op, unsigned threads) {
  ir::WeightType type = op.getType();
  CanonicalWeight weight;
  weight.format = storedFormat(op);
  weight.rows = type.getRows();
  weight.columns = type.getColumns();
  bool complete = true;
  auto bytes = [&](std::optional<ElementsAttr> attribute) -> const uint8_t * {
    auto stored = attribute ? ir::StoredElements::of(*attribute) : std::nullopt;
    complete &= bool(stored) == bool(attribute);
    return stored ? weight.keep(std::move(*stored)) : nullptr;
  };
  EncodedWeight source{bytes(op.getCodes()), bytes(op.getScales()),
                       bytes(op.getZeros()), op.getTransposed(),
                       op.getCodes().getElementType().isSignlessInteger()};
  if (!complete)
    return Status(StatusCode::Internal, "the IR lacks elements of weight \"" +
                                            op.getName().str() + "\"");
  if (op.getEncoding() == ir::Encoding::MatMulNBits) {
    decodeMatMulNBits(source, weight);
  } else if (op.getEncoding() == ir::Encoding::DequantizeLinear) {
    decodeDequantizeLinear(source, weight);
  } else if (op.getTransposed()) {
    transposeInto(weight, source.codes, threads);
  } else {
    weight.refer({source.codes, source.scales, source.zeros});
  }
  QOPT_RETURN_IF_ERROR(weight.format.isFloat()
                           ? checkValues(weight, op.getName(), threads)
                           : checkParameters(weight, op.getName()));
  if (!weight.format.isFloat())
    QOPT_RETURN_IF_ERROR(checkCodes(weight, op.getName()));
  if (op.hasFactors())
    return applyFactors(op, weight, threads);
  return weight;
}

/// The range of a whole matrix, for formats with one scale for all of it.
StatusOr<quant::ValueRange> rangeOf(const CanonicalWeight &source) {
  quant::ValueRange range;
  for (int64_t row = 0; row < source.rows; row += rowsPerTask) {
    int64_t last = std::min(row + rowsPerTask, source.rows);
    std::vector<float> values = rowsOf(source, row, last);
    QOPT_RETURN_IF_ERROR(quant::observeRange(
        {values.data(), row, last - row, source.columns}, range));
  }
  return range;
}

/// The largest value that tasks, in any order, have lost.
class LargestLoss {
public:
  void report(const quant::LostValue &found) {
    std::lock_guard lock(mutex);
    float now = std::fabs(found.value), before = std::fabs(lost.value);
    bool earlier =
        std::pair(found.row, found.column) < std::pair(lost.row, lost.column);
    if (now > before || (now == before && earlier))
      lost = found;
  }
  const quant::LostValue &value() const { return lost; }

private:
  std::mutex mutex;
  quant::LostValue lost;
};

/// A weight like `source`, of another format, without values yet.
CanonicalWeight emptyLike(const CanonicalWeight &source,
                          const quant::Format &format) {
  CanonicalWeight weight;
  weight.format = format;
  weight.rows = source.rows;
  weight.columns = source.columns;
  weight.allocate();
  return weight;
}

/// Where the rows from `first` on have their codes; with one scale for all of
/// the matrix every row has it.
quant::QuantizedRows rowsFrom(CanonicalWeight &weight, int64_t first) {
  const quant::Format &format = weight.format;
  bool perTensor = format.granularity == quant::Granularity::Tensor;
  int64_t own = perTensor ? 0 : first, columns = weight.columns;
  return {weight.codes() + first * quant::bytesPerRow(format, columns),
          weight.scales() + own * quant::scaleBytesPerRow(format, columns),
          weight.zeros() + own * quant::zeroBytesPerRow(format, columns)};
}

/// Infeasible where too much was lost for the matrix's range.
Status checkLoss(const LargestLoss &loss, const quant::Format &format,
                 const CanonicalWeight &source) {
  if (loss.value().value == 0)
    return Status();
  StatusOr<quant::ValueRange> whole = rangeOf(source);
  return whole ? quant::checkLost(format, loss.value(), *whole)
               : whole.status();
}

/// Fills `weight` from `source`. `range` is that of the matrix where the format
/// has one scale for all of it.
Status quantizeInto(CanonicalWeight &weight, const CanonicalWeight &source,
                    const quant::ValueRange &range, unsigned threads) {
  const quant::Format &format = weight.format;
  bool perTensor = format.granularity == quant::Granularity::Tensor;
  FirstFailure failure;
  LargestLoss loss;
  // With one scale every block of rows writes it.
  forBlocks(perTensor ? 1 : threads, weight.rows,
            std::max(rowsPerTask, quant::rowsPerBlock(format)),
            [&](int64_t first, int64_t last) {
              std::vector<float> values = rowsOf(source, first, last);
              quant::RowBlock block{values.data(), first, last - first,
                                    weight.columns};
              quant::QuantizedRows result = rowsFrom(weight, first);
              Status status =
                  quant::roundToNearest(format, block, range, result);
              if (status.ok())
                loss.report(quant::largestLost(format, block, result));
              else
                failure.report(first, std::move(status));
            });
  QOPT_RETURN_IF_ERROR(failure.status());
  return checkLoss(loss, format, source);
}

/// The source in a format, by an algorithm on whole matrices that knows nothing
/// of what the linear reads. Some rows at a time, where rows share nothing.
StatusOr<CanonicalWeight> quantizeBy(const quant::MatrixAlgorithm &algorithm,
                                     const CanonicalWeight &source,
                                     const quant::Format &format,
                                     unsigned threads) {
  CanonicalWeight weight = emptyLike(source, format);
  int64_t some = quant::isByRow(format)
                     ? llvm::alignTo(rowsPerTask * std::max(threads, 1u),
                                     quant::rowsPerBlock(format))
                     : source.rows;
  LargestLoss loss;
  for (int64_t first = 0; first < source.rows; first += some) {
    int64_t last = std::min(first + some, source.rows);
    std::vector<float> values = rowsOf(source, first, last);
    quant::MatrixView view{values.data(), last - first, source.columns, first};
    auto matrix = quant::quantizeMatrix(
        algorithm, quant::gridShape(format, view.rows, view.columns), view,
        quant::Metric(), {threads});
    QOPT_RETURN_IF_ERROR(matrix.status());
    quant::QuantizedRows result = rowsFrom(weight, first);
    quant::store(*matrix, result);
    loss.report(quant::largestLost(
        format, {values.data(), first, view.rows, view.columns}, result));
  }
  QOPT_RETURN_IF_ERROR(checkLoss(loss, format, source));
  return weight;
}

StatusOr<CanonicalWeight> evaluateQuantized(ir::QuantizeWeightOp op,
                                            unsigned threads) {
  auto source = evaluateWeight(op.getSource(), threads);
  if (!source)
    return source.status();
  const quant::Format &format = op.getType().getFormat();
  auto weight = op.getAlgorithm() == ir::Algorithm::RoundToNearest
                    ? quantizeToNearest(*source, format, threads)
                    : quantizeBy(*quant::findMatrixAlgorithm(
                                     ir::stringifyAlgorithm(op.getAlgorithm())),
                                 *source, format, threads);
  if (weight.ok())
    return weight;
  Status status = weight.status();
  return Status(status.code() == StatusCode::Infeasible ? status.code()
                                                        : StatusCode::BadModel,
                "weight \"" + weightNameOf(op.getSource()) +
                    "\": " + status.message());
}

/// The values of a weight of any formats, rows and columns exchanged.
StatusOr<CanonicalWeight> evaluateTransposed(ir::TransposeWeightOp op,
                                             unsigned threads) {
  ir::WeightType type = op.getResult().getType();
  CanonicalWeight weight;
  weight.format = type.getFormat();
  weight.rows = type.getRows();
  weight.columns = type.getColumns();
  std::vector<WeightPart> parts = partsOf(op.getSource());
  if (parts.size() == 1 && parts.front().range.format == weight.format) {
    auto source = evaluatePart(parts.front(), threads);
    if (!source)
      return source.status();
    transposeInto(weight, source->stored().codes, threads);
    return weight;
  }
  weight.allocate();
  float *target = reinterpret_cast<float *>(weight.codes());
  int64_t above = 0;
  for (const WeightPart &part : parts) {
    auto source = evaluatePart(part, threads);
    if (!source)
      return source.status();
    forRows(threads, source->rows, [&](int64_t first, int64_t last) {
      std::vector<float> values = rowsOf(*source, first, last);
      for (int64_t k = 0; k < weight.rows; ++k)
        for (int64_t n = first; n < last; ++n)
          target[k * weight.columns + above + n] =
              values[(n - first) * weight.rows + k];
    });
    above += source->rows;
  }
  return weight;
}

/// Sources of one format, one below the other.
StatusOr<CanonicalWeight> concatenate(const WeightPart &part, int64_t columns,
                                      unsigned threads) {
  CanonicalWeight weight;
  weight.format = part.range.format;
  weight.rows = part.range.rows;
  weight.columns = columns;
  weight.allocate();
  uint8_t *codes = weight.codes(), *scales = weight.scales(),
          *zeros = weight.zeros();
  for (Value source : part.sources) {
    auto rows = evaluateWeight(source, threads);
    if (!rows)
      return rows.status();
    auto take = [](uint8_t *&to, const uint8_t *from, int64_t bytes) {
      if (from && bytes)
        std::memcpy(to, from, bytes);
      to += bytes;
    };
    const quant::Format &format = weight.format;
    take(codes, rows->stored().codes,
         quant::codeBytes(format, rows->rows, rows->columns));
    take(scales, rows->stored().scales,
         quant::scaleBytes(format, rows->rows, rows->columns));
    take(zeros, rows->stored().zeros,
         quant::zeroBytes(format, rows->rows, rows->columns));
  }
  return weight;
}

} // namespace

StatusOr<CanonicalWeight> quantizeToNearest(const CanonicalWeight &source,
                                            const quant::Format &format,
                                            unsigned threads) {
  CanonicalWeight weight = emptyLike(source, format);
  quant::ValueRange range;
  if (format.granularity == quant::Granularity::Tensor) {
    StatusOr<quant::ValueRange> whole = rangeOf(source);
    QOPT_RETURN_IF_ERROR(whole.status());
    range = *whole;
  }
  QOPT_RETURN_IF_ERROR(quantizeInto(weight, source, range, threads));
  return weight;
}

StatusOr<CanonicalWeight> evaluateWeight(Value value, unsigned threads) {
  using Result = StatusOr<CanonicalWeight>;
  return llvm::TypeSwitch<Operation *, Result>(value.getDefiningOp())
      .Case([&](ir::WeightOp op) { return evaluateSource(op, threads); })
      .Case([&](ir::QuantizeWeightOp op) {
        return evaluateQuantized(op, threads);
      })
      .Case([&](ir::ConcatWeightsOp op) {
        return evaluatePart(partsOf(op.getResult()).front(), threads);
      })
      .Case([&](ir::TransposeWeightOp op) {
        return evaluateTransposed(op, threads);
      })
      .Case([&](ir::PackWeightOp op) {
        return evaluateWeight(op.getSource(), threads);
      })
      .Default([](Operation *) -> Result {
        return Status(StatusCode::Internal, "a weight is no weight expression");
      });
}

static void collectParts(Value weight, std::vector<WeightPart> &parts) {
  if (auto pack = weight.getDefiningOp<ir::PackWeightOp>())
    return collectParts(pack.getSource(), parts);
  if (auto concat = weight.getDefiningOp<ir::ConcatWeightsOp>()) {
    for (Value source : concat.getSources())
      collectParts(source, parts);
    return;
  }
  ir::RowRange range = cast<ir::WeightType>(weight.getType()).getRanges()[0];
  if (parts.empty() || parts.back().range.format != range.format)
    parts.push_back({{0, range.format}, {}});
  parts.back().range.rows += range.rows;
  parts.back().sources.push_back(weight);
}

std::vector<WeightPart> partsOf(Value weight) {
  std::vector<WeightPart> parts;
  collectParts(weight, parts);
  return parts;
}

StatusOr<CanonicalWeight> evaluatePart(const WeightPart &part,
                                       unsigned threads) {
  Value first = part.sources.front();
  if (part.sources.size() == 1)
    return evaluateWeight(first, threads);
  return concatenate(part, cast<ir::WeightType>(first.getType()).getColumns(),
                     threads);
}

void releaseSources(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto weight = dyn_cast_or_null<ir::WeightOp>(op)) {
    // Only whole pages of a mapped file, which is read again where something
    // else asks for them. Codes, folded weights and numbers of a protobuf field
    // are on the heap, mutable, and would be zeros.
    auto resource = dyn_cast<DenseResourceElementsAttr>(weight.getCodes());
    AsmResourceBlob *blob =
        resource ? resource.getRawHandle().getBlob() : nullptr;
    if (!blob || blob->isMutable())
      return;
    ArrayRef<char> bytes = blob->getData();
    auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    auto begin = reinterpret_cast<uintptr_t>(bytes.data());
    uintptr_t first = (begin + page - 1) / page * page;
    uintptr_t last = (begin + bytes.size()) / page * page;
    if (last > first)
      (void)madvise(reinterpret_cast<void *>(first), last - first,
                    MADV_DONTNEED);
    return;
  }
  for (Value operand : op ? op->getOperands() : ValueRange())
    releaseSources(operand);
}

std::string weightNameOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto weight = dyn_cast_or_null<ir::WeightOp>(op))
    return weight.getName().str();
  if (auto transpose = dyn_cast_or_null<ir::TransposeWeightOp>(op))
    return weightNameOf(transpose.getSource()) + " transposed";
  std::string name;
  for (Value operand : op ? op->getOperands() : ValueRange())
    name += (name.empty() ? "" : "+") + weightNameOf(operand);
  return name;
}

} // namespace qopt::driver
