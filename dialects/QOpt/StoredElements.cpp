// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::ir {

/// Bits that an element takes in a file; 0 for types that none has.
static unsigned storedBits(Type element) {
  if (element.isIndex())
    return 64;
  if (!element.isIntOrFloat())
    return 0;
  unsigned bits = element.getIntOrFloatBitWidth();
  if (bits == 1)
    return 8;
  return bits == 2 || bits == 4 || bits % 8 == 0 ? bits : 0;
}

/// The bits of element after element, which MLIR keeps a byte or a bit each.
static std::vector<char> packed(DenseElementsAttr dense, unsigned bits) {
  std::vector<char> bytes(
      llvm::divideCeil(uint64_t(dense.getNumElements()) * bits, 8));
  uint64_t position = 0;
  auto put = [&](const APInt &value) {
    bytes[position / 8] |= char(value.getZExtValue() << position % 8);
    position += bits;
  };
  if (isa<FloatType>(dense.getElementType()))
    for (const APFloat &value : dense.getValues<APFloat>())
      put(value.bitcastToAPInt());
  else
    for (const APInt &value : dense.getValues<APInt>())
      put(value);
  return bytes;
}

static std::vector<char> repeated(ArrayRef<char> element, int64_t count) {
  std::vector<char> bytes;
  bytes.reserve(element.size() * count);
  for (int64_t i = 0; i < count; ++i)
    bytes.insert(bytes.end(), element.begin(), element.end());
  return bytes;
}

uint64_t storedSize(ShapedType type) {
  return llvm::divideCeil(
      uint64_t(type.getNumElements()) * storedBits(type.getElementType()), 8);
}

ElementsAttr absentElements(ShapedType type, StringRef name) {
  AsmResourceBlob nothing(
      ArrayRef<char>(), /*alignment=*/1, [](void *, size_t, size_t) {},
      /*mutable=*/false);
  return cast<ElementsAttr>(
      DenseResourceElementsAttr::get(type, name, std::move(nothing)));
}

bool areAbsent(ElementsAttr attribute) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(attribute);
  if (!resource || resource.getType().getNumElements() == 0)
    return false;
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  return !blob || blob->getData().empty();
}

std::optional<StoredElements> StoredElements::of(ElementsAttr attribute) {
  ShapedType type = attribute.getShapedType();
  unsigned bits = storedBits(type.getElementType());
  if (bits == 0 || !type.hasStaticShape())
    return std::nullopt;
  uint64_t expected = storedSize(type);
  StoredElements elements;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return std::nullopt;
    elements.referred = blob->getData();
  } else if (auto dense = dyn_cast<DenseElementsAttr>(attribute)) {
    if (bits < 8 || type.getElementType().isInteger(1))
      elements.owned = packed(dense, bits);
    else if (dense.isSplat())
      elements.owned = repeated(dense.getRawData(), type.getNumElements());
    else
      elements.referred = dense.getRawData();
  } else {
    return std::nullopt;
  }
  if (elements.bytes().size() != expected)
    return std::nullopt;
  return elements;
}

} // namespace qopt::ir
