// Shape functions of operators that read and write at computed places.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

/// Indices that are numbers must be places of an axis of this size.
static void requirePlaces(ShapeTransfer &transfer, ArrayRef<int64_t> places,
                          AffineExpr size) {
  int64_t last = -1; // that must be there, counted from either end
  for (int64_t place : places)
    last = std::max(last, place < 0 ? -(place + 1) : place);
  last = std::min(last, SymbolicDims::largestNumber);
  transfer.require(ir::SizeRelation::AtMost, transfer.constant(last + 1), size);
}

/// The sizes of `inner` are at most those of `outer`, but for one axis.
static void requireWithin(ShapeTransfer &transfer, const Dims &inner,
                          const Dims &outer, int64_t axis) {
  for (auto [index, size] : llvm::enumerate(inner))
    if (static_cast<int64_t>(index) != axis)
      transfer.require(ir::SizeRelation::AtMost, size, outer[index]);
}

static void requireSame(ShapeTransfer &transfer, ArrayRef<AffineExpr> a,
                        ArrayRef<AffineExpr> b) {
  for (auto [left, right] : llvm::zip(a, b))
    transfer.require(ir::SizeRelation::Equal, left, right);
}

static Status inferGatherAxis(ShapeTransfer &transfer, int64_t wanted) {
  const TensorFacts &data = transfer.facts(0), &indices = transfer.facts(1);
  StatusOr<int64_t> axis = transfer.axis(wanted, data.dims.size());
  if (!axis)
    return axis.status();
  Dims sizes(data.dims.begin(), data.dims.begin() + *axis);
  llvm::append_range(sizes, indices.dims);
  sizes.append(data.dims.begin() + *axis + 1, data.dims.end());
  std::optional<Dims> content;
  auto places = transfer.integers(1);
  if (places)
    requirePlaces(transfer, *places, data.dims[*axis]);
  if (data.content && data.dims.size() == 1 && places) {
    int64_t size = data.content->size();
    content.emplace();
    for (int64_t place : *places) {
      if (place < -size || place >= size)
        return transfer.error("index " + Twine(place) +
                              " is out of range; data has " + Twine(size) +
                              " elements");
      content->push_back((*data.content)[place < 0 ? place + size : place]);
    }
  }
  return transfer.result(0, data.elementType, sizes, content);
}

static Status inferGatherElements(ShapeTransfer &transfer,
                                  GatherElementsOp op) {
  const TensorFacts &data = transfer.facts(0), &indices = transfer.facts(1);
  if (data.dims.size() != indices.dims.size())
    return transfer.error("data and indices differ in rank");
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), data.dims.size());
  if (!axis)
    return axis.status();
  if (auto places = transfer.integers(1))
    requirePlaces(transfer, *places, data.dims[*axis]);
  requireWithin(transfer, indices.dims, data.dims, *axis);
  return transfer.result(0, data.elementType, indices.dims);
}

static Status inferGatherND(ShapeTransfer &transfer, GatherNDOp op) {
  const TensorFacts &data = transfer.facts(0), &indices = transfer.facts(1);
  int64_t batch = op.getBatchDims(), rank = data.dims.size();
  int64_t indexRank = indices.dims.size();
  if (indexRank < 1 || batch < 0 || batch >= std::min(rank, indexRank))
    return transfer.error("batch_dims " + Twine(batch) +
                          " does not fit data of rank " + Twine(rank) +
                          " and indices of rank " + Twine(indexRank));
  std::optional<int64_t> tuple = constantValue(indices.dims.back());
  if (!tuple || *tuple < 1 || batch + *tuple > rank)
    return transfer.error("the indices' last size must be known and between 1 "
                          "and " +
                          Twine(rank - batch) + "; got " +
                          transfer.spell(indices.dims));
  requireSame(transfer, ArrayRef(indices.dims).take_front(batch),
              ArrayRef(data.dims).take_front(batch));
  Dims sizes(indices.dims.begin(), indices.dims.end() - 1);
  sizes.append(data.dims.begin() + batch + *tuple, data.dims.end());
  return transfer.result(0, data.elementType, sizes);
}

static Status inferScatter(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  if (transfer.facts(2).elementType != data.elementType)
    return transfer.error("data and updates have different element types");
  return transfer.result(0, data.elementType, data.dims);
}

static Status inferScatterElements(ShapeTransfer &transfer,
                                   ScatterElementsOp op) {
  const Dims &data = transfer.facts(0).dims, &indices = transfer.facts(1).dims;
  const Dims &updates = transfer.facts(2).dims;
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), data.size());
  if (!axis)
    return axis.status();
  if (indices.size() != data.size() || updates.size() != data.size())
    return transfer.error("data, indices and updates differ in rank");
  requireSame(transfer, indices, updates);
  requireWithin(transfer, indices, data, *axis);
  if (auto places = transfer.integers(1))
    requirePlaces(transfer, *places, data[*axis]);
  return inferScatter(transfer);
}

/// Updates are [tuples of indices.., what a tuple leaves of data..].
static Status inferScatterND(ShapeTransfer &transfer) {
  const Dims &data = transfer.facts(0).dims, &indices = transfer.facts(1).dims;
  const Dims &updates = transfer.facts(2).dims;
  auto tuple = indices.empty() ? std::nullopt : constantValue(indices.back());
  if (!tuple) // lowering refuses it
    return inferScatter(transfer);
  Dims expected(indices.begin(), indices.end() - 1);
  if (*tuple < 1 || *tuple > static_cast<int64_t>(data.size()))
    return transfer.error("the index tuples of " + transfer.spell(indices) +
                          " do not fit data " + transfer.spell(data));
  expected.append(data.begin() + *tuple, data.end());
  if (updates.size() != expected.size())
    return transfer.error("updates have shape " + transfer.spell(updates) +
                          "; expected " + transfer.spell(expected));
  requireSame(transfer, updates, expected);
  return inferScatter(transfer);
}

static Status inferTensorScatter(ShapeTransfer &transfer, TensorScatterOp op) {
  const TensorFacts &cache = transfer.facts(0);
  const Dims &update = transfer.facts(1).dims;
  if (cache.dims.size() != update.size())
    return transfer.error("cache and update differ in rank");
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), update.size());
  if (!axis)
    return axis.status();
  for (auto [index, size] : llvm::enumerate(update))
    transfer.require(static_cast<int64_t>(index) == *axis
                         ? ir::SizeRelation::AtMost
                         : ir::SizeRelation::Equal,
                     size, cache.dims[index]);
  if (transfer.present(2) && transfer.rank(2) == 1)
    transfer.require(ir::SizeRelation::Equal, transfer.facts(2).dims[0],
                     cache.dims[0]);
  return transfer.result(0, cache.elementType, cache.dims);
}

static Status inferNonZero(ShapeTransfer &transfer) {
  int64_t rank = transfer.rank(0);
  return transfer.result(0, IntegerType::get(transfer.op->getContext(), 64),
                         {transfer.constant(rank), transfer.unknown()});
}

static Status inferOneHot(ShapeTransfer &transfer, OneHotOp op) {
  const TensorFacts &indices = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), indices.dims.size() + 1);
  if (!axis)
    return axis.status();
  std::optional<Dims> depth = transfer.content(1);
  AffineExpr size = depth && depth->size() == 1 ? depth->front() : AffineExpr();
  Dims sizes = indices.dims;
  sizes.insert(sizes.begin() + *axis, size ? size : transfer.unknown());
  return transfer.result(0, transfer.facts(2).elementType, sizes);
}

/// data may hold several codes per byte along its last axis.
static Status inferGatherBlockQuantized(ShapeTransfer &transfer,
                                        MSGatherBlockQuantizedOp op) {
  const TensorFacts &data = transfer.facts(0), &indices = transfer.facts(1);
  StatusOr<int64_t> gather =
      transfer.axis(op.getGatherAxis(), data.dims.size());
  StatusOr<int64_t> quantize =
      transfer.axis(op.getQuantizeAxis(), data.dims.size());
  if (!gather)
    return gather.status();
  if (!quantize)
    return quantize.status();
  bool packed = data.elementType.isInteger(8);
  bool floats = isa<FloatType>(data.elementType);
  int64_t bits = packed ? op.getBits() : 4, block = op.getBlockSize();
  bool whole = floats && block == 0; // one block along the axis
  if ((bits != 2 && bits != 4 && bits != 8) ||
      (!whole && (block < 16 || (block & (block - 1)))))
    return transfer.error("bits " + Twine(bits) + " and block_size " +
                          Twine(block) +
                          " are not allowed; expected 2, 4 or 8 bits and a "
                          "power of two from 16");
  if (floats && transfer.present(3))
    return transfer.error("floating point codes have zero points");
  Dims full = data.dims;
  if (packed)
    full.back() =
        transfer.dims.multiply(full.back(), transfer.constant(8 / bits));
  Dims scales = full;
  if (auto size = constantValue(full[*quantize])) {
    scales[*quantize] =
        transfer.constant(whole ? 1 : llvm::divideCeil(*size, block));
    const Dims &given = transfer.facts(2).dims;
    if (floats && given.size() == scales.size()) // one for all along an axis
      for (auto [expected, found] : llvm::zip_equal(scales, given))
        if (constantValue(found) == 1)
          expected = found;
    if (given != scales)
      return transfer.error("scales have shape " + transfer.spell(given) +
                            "; expected " + transfer.spell(scales));
  }
  Dims sizes(full.begin(), full.begin() + *gather);
  llvm::append_range(sizes, indices.dims);
  sizes.append(full.begin() + *gather + 1, full.end());
  return transfer.result(0, transfer.facts(2).elementType, sizes);
}

std::optional<Status> inferGather(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](GatherOp op) { return inferGatherAxis(t, op.getAxis()); })
      .Case([&](GatherElementsOp op) { return inferGatherElements(t, op); })
      .Case([&](GatherNDOp op) { return inferGatherND(t, op); })
      .Case([&](ScatterElementsOp op) { return inferScatterElements(t, op); })
      .Case([&](ScatterNDOp) { return inferScatterND(t); })
      .Case([&](TensorScatterOp op) { return inferTensorScatter(t, op); })
      .Case([&](NonZeroOp) { return inferNonZero(t); })
      .Case([&](OneHotOp op) { return inferOneHot(t, op); })
      .Case([&](MSGatherBlockQuantizedOp op) {
        return inferGatherBlockQuantized(t, op);
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
