// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/HostFunction.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/WeightEvaluator.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "runtime/LoadedModel.h"
#include "runtime/host/LinearLayout.h"
#include "llvm/Support/FileSystem.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace mlir;

namespace qopt::driver {

/// What is asked of the artifact, of all that the user asks of the model.
static CompileOptions optionsFor(const CompileOptions &options,
                                 std::string output) {
  CompileOptions own;
  own.output = std::move(output);
  own.kind = ModelKind::Graph;
  own.cpu = options.cpu;
  own.threads = options.threads;
  return own;
}

Status buildForHost(ModuleOp module, const ArtifactParts &parts) {
  PassManager manager(module.getContext());
  passes::addFuseStage(manager);
  passes::addHostScheduleStage(manager);
  passes::addLowerStage(manager);
  if (failed(manager.run(module)))
    return Status(StatusCode::Internal,
                  "\"" + parts.options.output + "\" could not be compiled");
  CompileSummary unused;
  return buildArtifact(module, parts, Progress(), unused);
}

HostFunction::~HostFunction() {
  if (!path.empty())
    (void)llvm::sys::fs::remove(path);
}

Status HostFunction::load() {
  // Written by this process a moment ago.
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  if (!artifact.ok())
    return artifact.status();
  auto created =
      Session::create(*artifact, SessionOptions{.threads = int(threads)});
  if (!created.ok())
    return created.status();
  session = std::move(*created);
  return Status();
}

StatusOr<HostFunction> HostFunction::compile(func::FuncOp func,
                                             const CompileOptions &options,
                                             const std::string &folder,
                                             FunctionWeights weights) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(func.getLoc());
  module->push_back(func.clone());
  HostFunction function;
  function.path = folder + "/" + func.getName().str() + ".qopt";
  function.threads = options.threads;
  QOPT_RETURN_IF_ERROR(buildForHost(
      *module, {optionsFor(options, function.path), Companions()}));
  QOPT_RETURN_IF_ERROR(function.load());
  if (weights == FunctionWeights::Replaceable) {
    function.findPlaces(*module);
    return function;
  }
  // A mapped file stays readable.
  (void)llvm::sys::fs::remove(function.path);
  function.path.clear();
  return function;
}

//===- Other weights ------------------------------------------------------===//

/// The weights that lie one below the other in a packed one, f32 all of them;
/// false for others.
static bool
collectParts(Value weight,
             llvm::function_ref<void(ir::WeightOp, bool isTransposed)> take) {
  Operation *op = weight.getDefiningOp();
  auto type = cast<ir::WeightType>(weight.getType());
  if (!op || !type.hasOneFormat() ||
      type.getFormat() != quant::floatFormat(quant::ElementType::F32))
    return false;
  if (auto own = dyn_cast<ir::WeightOp>(op)) {
    take(own, /*isTransposed=*/false);
    return true;
  }
  if (auto turned = dyn_cast<ir::TransposeWeightOp>(op)) {
    auto source = turned.getSource().getDefiningOp<ir::WeightOp>();
    if (source)
      take(source, /*isTransposed=*/true);
    return bool(source);
  }
  return isa<ir::PackWeightOp, ir::ConcatWeightsOp>(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return collectParts(operand, take);
         });
}

void HostFunction::findPlaces(ModuleOp module) {
  const plan::Plan &plan = session->artifact().model()->file()->plan();
  module.walk([&](ir::PackWeightOp op) {
    ir::WeightType type = op.getResult().getType();
    Place place;
    bool isKnown =
        type.getLayout() == ir::Layout::HostTiled &&
        collectParts(op.getResult(), [&](ir::WeightOp weight, bool turned) {
          ir::WeightType own = weight.getResult().getType();
          int64_t rows = own.getRows(), columns = own.getColumns();
          if (turned)
            std::swap(rows, columns);
          place.parts.push_back(
              {weight.getName().str(), rows, columns, turned});
        });
    if (!isKnown)
      return;
    auto layout =
        host::linearLayout(type.getFormat(), type.getRows(), type.getColumns());
    std::string name = weightNameOf(op.getResult());
    for (const plan::Segment *segment : *plan.segments())
      if (segment->kind() == plan::SegmentKind::Weight &&
          segment->name()->str() == name &&
          int64_t(segment->size()) == layout->packedBytes()) {
        place.offset = segment->offset();
        places.push_back(place);
      }
  });
}

/// Puts a matrix [rows, columns], or its transpose, into `to`.
static void copyMatrix(const float *from, int64_t rows, int64_t columns,
                       bool isTransposed, float *to) {
  if (!isTransposed) {
    std::copy_n(from, rows * columns, to);
    return;
  }
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      to[row * columns + column] = from[column * rows + row];
}

/// Writes all of `bytes` at an offset of a file.
static bool writeAt(int file, const std::vector<uint8_t> &bytes,
                    uint64_t offset) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count = ::pwrite(file, bytes.data() + done, bytes.size() - done,
                             off_t(offset + done));
    if (count < 0 && errno != EINTR)
      return false;
    done += size_t(std::max<ssize_t>(count, 0));
  }
  return true;
}

Status HostFunction::replace(const ValuesOf &values) {
  session = nullptr; // nobody reads what is written
  int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  bool isWritten = file >= 0;
  for (const Place &place : places) {
    int64_t rows = 0, columns = place.parts.front().columns;
    std::vector<float> matrix;
    bool isKnown = llvm::all_of(place.parts, [&](const Place::Part &part) {
      return values(part.name) != nullptr;
    });
    for (const Place::Part &part : place.parts) {
      if (!isKnown)
        break;
      const float *given = values(part.name);
      matrix.resize(size_t((rows + part.rows) * columns));
      copyMatrix(given, part.rows, columns, part.isTransposed,
                 matrix.data() + rows * columns);
      rows += part.rows;
    }
    if (rows == 0)
      continue;
    auto layout = host::linearLayout(
        quant::floatFormat(quant::ElementType::F32), rows, columns);
    std::vector<uint8_t> packed(size_t(layout->packedBytes()));
    host::packWeight(
        *layout,
        {reinterpret_cast<const uint8_t *>(matrix.data()), nullptr, nullptr},
        packed.data());
    isWritten = isWritten && writeAt(file, packed, place.offset);
  }
  if (file >= 0)
    ::close(file);
  if (!isWritten)
    return Status(StatusCode::Unwritable,
                  "cannot write \"" + path + "\": " + std::strerror(errno));
  return load();
}

} // namespace qopt::driver
