// Imports ONNX models without inputs and writes what the evaluator computes for
// their outputs: the test program that compares the onnx dialect with ONNX's
// own node tests. Reads paths of models from standard input, one a line; beside
// each it writes <path>.out: a line a result, the shape as "2x3", a colon and
// the elements in decimal; or one line "failed: reason".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "llvm/ADT/StringExtras.h"
#include <fstream>
#include <iostream>

using namespace mlir;
using namespace qopt;

static void write(const onnx::HostTensor &tensor, std::ostream &out) {
  SmallVector<std::string> sizes;
  for (int64_t size : tensor.shape())
    sizes.push_back(std::to_string(size));
  out << llvm::join(sizes, "x") << ":";
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (onnx::isFloat(tensor.element()))
      out << ' ' << tensor.floatAt(i);
    else if (tensor.element() == onnx::Element::U64)
      out << ' ' << static_cast<uint64_t>(tensor.intAt(i));
    else
      out << ' ' << tensor.intAt(i);
  out << '\n';
}

static Status evaluate(const std::string &path, MLIRContext &context,
                       std::ostream &out) {
  StatusOr<OwningOpRef<ModuleOp>> module =
      import::importOnnx(path, {}, context);
  if (!module)
    return module.status();
  func::FuncOp func = *(**module).getOps<func::FuncOp>().begin();
  onnx::Evaluator evaluator;
  for (Value result : func.front().getTerminator()->getOperands()) {
    StatusOr<onnx::HostTensor> tensor = evaluator.evaluate(result);
    if (!tensor)
      return tensor.status();
    write(*tensor, out);
  }
  return {};
}

int main() {
  DialectRegistry registry;
  registerAllDialects(registry);
  for (std::string path; std::getline(std::cin, path);) {
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    std::ofstream out(path + ".out");
    out.precision(17);
    if (Status status = evaluate(path, context, out); !status.ok())
      out << "failed: " << status.message() << '\n';
  }
  return 0;
}
