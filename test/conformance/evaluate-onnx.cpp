// Imports ONNX models and writes what the evaluator computes for their outputs:
// the test program that compares the onnx dialect, and the passes that rewrite
// it, with numbers from outside.
//
// Reads tasks from standard input, one a line, fields separated by tabs: the
// model, the file to write, the passes to run first (or nothing), then any
// number of inputs as name=shape=file, the shape as 2x3 and the file with
// elements as they lie in memory. Writes a line a result: the shape, a colon
// and the elements; or one line "failed: reason".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
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

/// Gives an argument the data of "name=shape=file".
static Status bind(func::FuncOp func, StringRef input,
                   onnx::Evaluator &evaluator) {
  SmallVector<StringRef> fields, sizes;
  input.split(fields, '=');
  fields[1].split(sizes, 'x', -1, /*KeepEmpty=*/false);
  onnx::HostTensor::Shape shape;
  for (StringRef size : sizes)
    shape.push_back(std::stoll(size.str()));
  auto buffer = llvm::MemoryBuffer::getFile(fields[2]);
  if (!buffer)
    return Status(StatusCode::NotFound, fields[2].str());
  StringRef bytes = (*buffer)->getBuffer();
  for (BlockArgument argument : func.getArguments())
    if (func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "qopt.name")
            .getValue() == fields[0])
      evaluator.bind(argument,
                     onnx::HostTensor::ofBytes(
                         *onnx::elementOf(getElementTypeOrSelf(argument)),
                         shape, std::vector<char>(bytes.begin(), bytes.end())));
  return {};
}

static Status runPasses(ModuleOp module, StringRef passes) {
  if (passes.empty())
    return {};
  PassManager manager(module.getContext());
  if (failed(parsePassPipeline(passes, manager)) || failed(manager.run(module)))
    return Status(StatusCode::Internal, "the passes fail");
  return {};
}

static Status evaluate(ArrayRef<StringRef> task, std::ostream &out) {
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  StatusOr<OwningOpRef<ModuleOp>> module =
      import::importOnnx(task[0].str(), {}, context);
  if (!module)
    return module.status();
  QOPT_RETURN_IF_ERROR(runPasses(**module, task[2]));
  func::FuncOp func = *(**module).getOps<func::FuncOp>().begin();
  onnx::Evaluator evaluator;
  for (StringRef input : task.drop_front(3))
    QOPT_RETURN_IF_ERROR(bind(func, input, evaluator));
  for (Value result : func.front().getTerminator()->getOperands()) {
    StatusOr<onnx::HostTensor> tensor = evaluator.evaluate(result);
    if (!tensor)
      return tensor.status();
    write(*tensor, out);
  }
  return {};
}

int main() {
  passes::registerPasses();
  for (std::string line; std::getline(std::cin, line);) {
    SmallVector<StringRef> task;
    StringRef(line).split(task, '\t');
    std::ofstream out(task[1].str());
    out.precision(17);
    if (Status status = evaluate(task, out); !status.ok())
      out << "failed: " << status.message() << '\n';
  }
  return 0;
}
