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
  Collector(std::vector<std::string> &lines, std::vector<MissedFusion> &missed)
      : lines(lines), missed(missed) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string text;
    for (auto [i, argument] : llvm::enumerate(remark.getArgs()))
      text += (i ? ", " : "") + argument.val;
    std::string line = remark.getRemarkName().str() + ": " + text;
    std::string node = onnx::nodeName(remark.getLocation());
    if (!node.empty() && line.find(node) == std::string::npos)
      line = "node \"" + node + "\": " + line;
    std::lock_guard lock(mutex);
    lines.push_back(onnx::printableLine(line));
    if (remark.getRemarkType() == llvm::remarks::Type::Missed)
      count(remark.getRemarkName().str(), onnx::printableLine(text),
            onnx::printableLine(node));
  }

private:
  void count(const std::string &what, const std::string &reason,
             const std::string &node) {
    auto known = llvm::find_if(missed, [&](const MissedFusion &other) {
      return other.what == what && other.reason == reason;
    });
    if (known == missed.end())
      known = missed.insert(known, {what, reason, node});
    ++known->places;
  }

  std::mutex mutex;
  std::vector<std::string> &lines;
  std::vector<MissedFusion> &missed;
};

} // namespace

void collectRemarks(MLIRContext &context, std::vector<std::string> &lines,
                    std::vector<MissedFusion> &missed) {
  remark::RemarkCategories everything;
  everything.passed = everything.missed = ".*";
  everything.analysis = everything.failed = ".*";
  // Fails only where an engine is there already; a context has one owner.
  (void)remark::enableOptimizationRemarks(
      context, std::make_unique<Collector>(lines, missed),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), everything);
}

} // namespace qopt::driver
