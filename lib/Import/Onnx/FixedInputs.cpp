// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/FixedInputs.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace qopt::import {

static Status invalid(const Twine &message) {
  return Status(StatusCode::InvalidArgument, message.str());
}

StatusOr<FixedInputs> FixedInputs::parse(ArrayRef<std::string> entries) {
  FixedInputs fixed;
  for (const std::string &entry : entries) {
    // A value has no "=", a name may.
    auto [name, value] = StringRef(entry).rsplit('=');
    if (name.empty() || value.empty())
      return invalid("--input is \"" + entry + "\"; expected NAME=VALUE");
    if (!fixed.values.insert({name.str(), value.str()}).second)
      return invalid("--input gives \"" + name + "\" twice");
  }
  return fixed;
}

/// "tensor<1xi1>" and the like, as a model's file would say it.
static std::string spell(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

StatusOr<ElementsAttr> FixedInputs::valueOf(const std::string &name,
                                            RankedTensorType type) const {
  auto found = values.find(name);
  if (found == values.end())
    return ElementsAttr();
  StringRef text = found->second;
  std::string given = "--input \"" + name + "=" + text.str() + "\"";
  auto element = dyn_cast<IntegerType>(type.getElementType());
  if (!element || !type.hasStaticShape() || type.getNumElements() != 1)
    return invalid(given + ": the input is " + spell(type) +
                   "; expected one boolean or integer, leave it out");
  unsigned width = element.getWidth();
  APInt number(width, 0);
  if (width == 1) {
    if (text != "true" && text != "false")
      return invalid(given + ": the input is a boolean; expected true or "
                             "false");
    number = APInt(1, text == "true");
  } else {
    int64_t integer = 0;
    bool isWrong =
        text.getAsInteger(10, integer) ||
        (element.isUnsigned() ? integer < 0 || !llvm::isUIntN(width, integer)
                              : !llvm::isIntN(width, integer));
    if (isWrong)
      return invalid(given + ": the input is " + spell(type) +
                     "; expected an integer that it can hold");
    number = APInt(width, static_cast<uint64_t>(integer),
                   /*isSigned=*/!element.isUnsigned());
  }
  return cast<ElementsAttr>(
      static_cast<Attribute>(DenseElementsAttr::get(type, number)));
}

Status FixedInputs::checkNames(ArrayRef<std::string> inputs) const {
  for (const auto &[name, value] : values)
    if (!llvm::is_contained(inputs, name)) {
      std::string known;
      for (const std::string &input : inputs)
        known += (known.empty() ? "\"" : ", \"") + input + "\"";
      return invalid("--input \"" + name + "=" + value +
                     "\": the model has no such input; its inputs are " +
                     (known.empty() ? "none" : known));
    }
  return {};
}

} // namespace qopt::import
