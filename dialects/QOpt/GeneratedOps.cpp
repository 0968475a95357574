// Constraints and shapes of calls of generated kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace qopt::ir;

LogicalResult GeneratedOp::verify() {
  int64_t dynamic = 0;
  for (Value output : getOutputs())
    dynamic += cast<RankedTensorType>(output.getType()).getNumDynamicDims();
  ArrayRef<int64_t> places = getResultSizes();
  if (static_cast<int64_t>(places.size()) != dynamic) // (C1)
    return emitOpError("has ")
           << places.size() << " result sizes; expected " << dynamic
           << ", one for each dynamic dimension of the results";
  int64_t count = getSizes().size();
  for (int64_t place : places) // (C2)
    if (place < 0 || place >= count)
      return emitOpError("takes a result size from place ")
             << place << "; expected a place among its " << count << " sizes";
  return success();
}

LogicalResult GeneratedOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getKernelAttr());
  if (!function) // (C3)
    return emitOpError("names no kernel: ") << getKernel();
  size_t buffers = getInputs().size() + getNumResults();
  size_t expected = buffers + getSizes().size() + 2;
  if (function.getNumArguments() == expected)
    return success();
  InFlightDiagnostic error = emitOpError("passes ")
                             << buffers << " buffers and " << getSizes().size()
                             << " sizes to a kernel of "
                             << function.getNumArguments()
                             << " arguments; expected " << expected;
  error.attachNote(function.getLoc()) << "the kernel is here";
  return error;
}

LogicalResult
GeneratedOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  ArrayRef<int64_t> places = getResultSizes();
  for (Value output : getOutputs()) {
    SmallVector<OpFoldResult> &shape = shapes.emplace_back();
    for (int64_t size : cast<RankedTensorType>(output.getType()).getShape()) {
      if (!ShapedType::isDynamic(size)) {
        shape.push_back(builder.getIndexAttr(size));
        continue;
      }
      shape.push_back(getSizes()[places.front()]);
      places = places.drop_front();
    }
  }
  return success();
}
