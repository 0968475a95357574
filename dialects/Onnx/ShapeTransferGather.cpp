// Shape functions of operators that read and write at computed places.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

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

static Status inferTensorScatter(ShapeTransfer &transfer) {
  const TensorFacts &cache = transfer.facts(0);
  if (cache.dims.size() != transfer.facts(1).dims.size())
    return transfer.error("cache and update differ in rank");
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
  int64_t bits = op.getBits(), block = op.getBlockSize();
  if ((bits != 4 && bits != 8) || block < 16 || (block & (block - 1)))
    return transfer.error("bits " + Twine(bits) + " and block_size " +
                          Twine(block) +
                          " are not allowed; expected 4 or 8 bits and a power "
                          "of two from 16");
  Dims full = data.dims;
  if (data.elementType.isInteger(8))
    full.back() =
        transfer.dims.multiply(full.back(), transfer.constant(8 / bits));
  Dims scales = full;
  if (auto size = constantValue(full[*quantize])) {
    scales[*quantize] = transfer.constant(llvm::divideCeil(*size, block));
    if (transfer.facts(2).dims != scales)
      return transfer.error("scales have shape " +
                            transfer.spell(transfer.facts(2).dims) +
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
      .Case<ScatterElementsOp, ScatterNDOp>(
          [&](auto) { return inferScatter(t); })
      .Case([&](TensorScatterOp) { return inferTensorScatter(t); })
      .Case([&](NonZeroOp) { return inferNonZero(t); })
      .Case([&](OneHotOp op) { return inferOneHot(t, op); })
      .Case([&](MSGatherBlockQuantizedOp op) {
        return inferGatherBlockQuantized(t, op);
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
