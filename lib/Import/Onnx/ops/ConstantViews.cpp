// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ops/ConstantViews.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Import/Onnx/Tensors.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace qopt::import {

ElementsAttr viewOf(ElementsAttr all, RankedTensorType type, size_t offset,
                    StringRef name) {
  auto stored = ir::StoredElements::of(all);
  if (ir::areAbsent(all) || !stored)
    return ir::absentElements(type, name);
  ArrayRef<char> bytes =
      stored->bytes().slice(offset, static_cast<size_t>(ir::storedSize(type)));
  auto resource = dyn_cast<DenseResourceElementsAttr>(all);
  if (!resource)
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  // The context keeps the whole as long as the part.
  AsmResourceBlob view(
      bytes, alignmentOf(bytes.data()), [](void *, size_t, size_t) {},
      resource.getRawHandle().getBlob()->isMutable());
  return DenseResourceElementsAttr::get(type, name, std::move(view));
}

StringRef keyOf(ElementsAttr constant, StringRef otherwise) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant);
  return resource ? StringRef(resource.getRawHandle().getKey()) : otherwise;
}

} // namespace qopt::import
