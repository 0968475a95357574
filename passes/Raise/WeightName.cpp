// Names of initializers, or of nodes where exporters have left numbers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/WeightName.h"
#include "dialects/Onnx/NodeLocation.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <algorithm>

using namespace mlir;

namespace qopt::onnx {

std::string weightName(ElementsAttr data, Location user) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(data)) {
    StringRef key = resource.getRawHandle().getKey();
    bool numbered = key.starts_with("onnx::") || key.starts_with("val_") ||
                    key.starts_with("_val_");
    if (!numbered)
      return key.str();
  }
  std::string name = nodeName(user);
  StringRef text = name;
  text.consume_front("/");
  for (StringRef kind : {"/MatMul", "/Gemm", "/MatMulNBits", "/Gather"})
    text.consume_back(kind);
  std::string result = text.str();
  std::replace(result.begin(), result.end(), '/', '.');
  return result;
}

} // namespace qopt::onnx
