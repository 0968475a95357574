// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/KeyRotation.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace qopt::ir {

std::optional<KeyRotation> keyRotationOf(Operation *attention) {
  auto given = attention->getAttrOfType<DictionaryAttr>(keyRotationAttribute);
  if (!given)
    return std::nullopt;
  KeyRotation rotation;
  llvm::append_range(
      rotation.frequencies,
      given.getAs<DenseF32ArrayAttr>("frequencies").asArrayRef());
  rotation.scale = given.getAs<FloatAttr>("scale").getValue().convertToFloat();
  rotation.interleaved = given.contains("interleaved");
  return rotation;
}

void setKeyRotation(Operation *attention, const KeyRotation &rotation) {
  Builder builder(attention->getContext());
  NamedAttrList parts;
  parts.set("frequencies", builder.getDenseF32ArrayAttr(rotation.frequencies));
  parts.set("scale", builder.getF32FloatAttr(rotation.scale));
  if (rotation.interleaved)
    parts.set("interleaved", builder.getUnitAttr());
  attention->setAttr(keyRotationAttribute,
                     parts.getDictionary(attention->getContext()));
}

LogicalResult verifyKeyRotation(Operation *op, Attribute attribute) {
  auto attention = dyn_cast<CachedAttentionOp>(op);
  if (!attention)
    return op->emitOpError("\"")
           << keyRotationAttribute << "\" is of a cached_attention alone";
  auto given = dyn_cast<DictionaryAttr>(attribute);
  auto frequencies =
      given ? given.getAs<DenseF32ArrayAttr>("frequencies") : nullptr;
  auto scale = given ? given.getAs<FloatAttr>("scale") : nullptr;
  if (!frequencies || !scale || !scale.getType().isF32())
    return op->emitOpError("\"")
           << keyRotationAttribute << "\" is " << attribute
           << "; expected {frequencies = array<f32: …>, scale = 1.0 : f32}";
  int64_t size = attention.getCache().getType().getHeadSize();
  if (frequencies.empty() || frequencies.size() > size / 2)
    return op->emitOpError("keys of ")
           << size << " channels have " << frequencies.size()
           << " frequencies; expected 1 to " << size / 2;
  return success();
}

} // namespace qopt::ir
