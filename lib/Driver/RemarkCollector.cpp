// A line is what happened, to what, and why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/RemarkCollector.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Remarks.h"
#include <mutex>

using namespace mlir;

namespace qopt::driver {
namespace {

class Collector : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Collector(std::vector<std::string> &lines) : lines(lines) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string line = remark.getRemarkName().str() + ": ";
    for (auto [i, argument] : llvm::enumerate(remark.getArgs()))
      line += (i ? ", " : "") + argument.val;
    std::string node = onnx::nodeName(remark.getLocation());
    if (!node.empty() && line.find(node) == std::string::npos)
      line = "node \"" + node + "\": " + line;
    std::lock_guard lock(mutex);
    lines.push_back(onnx::printableLine(line));
  }

private:
  std::mutex mutex;
  std::vector<std::string> &lines;
};

} // namespace

void collectRemarks(MLIRContext &context, std::vector<std::string> &lines) {
  remark::RemarkCategories everything;
  everything.passed = everything.missed = ".*";
  everything.analysis = everything.failed = ".*";
  // Fails only where an engine is there already; a context has one owner.
  (void)remark::enableOptimizationRemarks(
      context, std::make_unique<Collector>(lines),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), everything);
}

} // namespace qopt::driver
