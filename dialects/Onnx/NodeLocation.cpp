// Locations that name ONNX nodes, written and read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace qopt::onnx {

Location nodeLocation(MLIRContext *context, const NodeOrigin &origin) {
  Builder builder(context);
  SmallVector<NamedAttribute> facts{
      builder.getNamedAttr("op_type", builder.getStringAttr(origin.opType)),
      builder.getNamedAttr("opset", builder.getI64IntegerAttr(origin.opset))};
  if (!origin.domain.empty())
    facts.push_back(
        builder.getNamedAttr("domain", builder.getStringAttr(origin.domain)));
  if (!origin.metadata.empty()) {
    SmallVector<Attribute> pairs;
    for (auto &[key, value] : origin.metadata)
      pairs.push_back(builder.getArrayAttr(
          {builder.getStringAttr(key), builder.getStringAttr(value)}));
    facts.push_back(
        builder.getNamedAttr("metadata", builder.getArrayAttr(pairs)));
  }
  Location where = FusedLoc::get(context, {builder.getUnknownLoc()},
                                 builder.getDictionaryAttr(facts));
  return NameLoc::get(builder.getStringAttr(origin.name), where);
}

static std::optional<NodeOrigin> readOrigin(NameLoc location) {
  auto fused = dyn_cast<FusedLoc>(location.getChildLoc());
  auto facts = fused ? dyn_cast_if_present<DictionaryAttr>(fused.getMetadata())
                     : DictionaryAttr();
  auto type = facts ? facts.getAs<StringAttr>("op_type") : StringAttr();
  if (!type)
    return std::nullopt;
  NodeOrigin origin;
  origin.name = location.getName().str();
  origin.opType = type.str();
  if (auto domain = facts.getAs<StringAttr>("domain"))
    origin.domain = domain.str();
  if (auto opset = facts.getAs<IntegerAttr>("opset"))
    origin.opset = opset.getInt();
  if (auto metadata = facts.getAs<ArrayAttr>("metadata"))
    for (Attribute pair : metadata)
      if (auto both = dyn_cast<ArrayAttr>(pair); both && both.size() == 2)
        origin.metadata.emplace_back(cast<StringAttr>(both[0]).str(),
                                     cast<StringAttr>(both[1]).str());
  return origin;
}

std::optional<NodeOrigin> nodeOrigin(Location location) {
  std::optional<NodeOrigin> found;
  location->walk([&](Location inner) {
    if (auto name = dyn_cast<NameLoc>(inner))
      found = readOrigin(name);
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

std::string nodeName(Location location) {
  auto name = location->findInstanceOf<NameLoc>();
  return name ? name.getName().str() : std::string();
}

std::string describe(const NodeOrigin &origin) {
  std::string domain =
      origin.domain.empty() ? "opset" : printableName(origin.domain);
  return "node \"" + printableName(origin.name) + "\" (" +
         printableName(origin.opType) + ", " + domain + " " +
         std::to_string(origin.opset) + ")";
}

std::string describeNode(Location location) {
  std::optional<NodeOrigin> origin = nodeOrigin(location);
  return origin ? describe(*origin) : std::string();
}

} // namespace qopt::onnx
