// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaKernels.h"

#include "dialects/Ptx/PtxDialect.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Sass.h"
#include "lib/Driver/KernelSummaries.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/cuda/CodeImage.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace qopt::driver {

CudaKernels::CudaKernels(MLIRContext &mlir,
                         ArrayRef<const target::Target *> targets,
                         int64_t context, Purpose purpose)
    : context(context), purpose(purpose) {
  mlir.loadDialect<arith::ArithDialect, gpu::GPUDialect, math::MathDialect,
                   LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect,
                   vector::VectorDialect, ptx::PtxDialect>();
  OpBuilder builder(&mlir);
  Location loc = builder.getUnknownLoc();
  for (const target::Target *target : targets) {
    Architecture architecture;
    architecture.target = target;
    architecture.module = ModuleOp::create(loc);
    builder.setInsertionPointToStart(architecture.module->getBody());
    architecture.kernels = gpu::GPUModuleOp::create(builder, loc, "kernels");
    architectures.push_back(std::move(architecture));
  }
}

Status CudaKernels::add(size_t target, const Selected &selected,
                        StringRef symbol, Describe describe, Build build) {
  Architecture &architecture = architectures[target];
  auto [known, isNew] =
      architecture.symbols.try_emplace(symbol, architecture.summaries.size());
  std::string prefix = "kernel " + symbol.str() + ": ";
  if (!isNew) {
    if (architecture.schedules[known->second] != selected.schedule)
      return Status(StatusCode::Unsupported,
                    prefix + "it was selected with two schedules");
    int64_t &most = architecture.summaries[known->second].most;
    most = most && selected.most ? std::max(most, selected.most) : 0;
    return Status();
  }
  if (purpose == Purpose::Code) {
    StatusOr<gpu::GPUFuncOp> function = build(architecture.kernels);
    if (!function.ok())
      return Status(function.status().code(),
                    prefix + function.status().message());
    function->setName(symbol);
  }
  KernelSummary summary = describe();
  summary.architecture = architecture.target->name;
  summary.symbol = symbol.str();
  summary.family = selected.family;
  summary.schedule = spellSchedule(selected.schedule);
  summary.most = selected.most;
  architecture.schedules.push_back(selected.schedule);
  architecture.summaries.push_back(std::move(summary));
  return Status();
}

FailureOr<codegen::ThreadRange>
CudaKernels::addGeneric(size_t target, StringRef symbol, func::FuncOp kernel) {
  Architecture &architecture = architectures[target];
  auto known = architecture.generic.find(symbol);
  if (known != architecture.generic.end())
    return known->second;
  OwningOpRef<ModuleOp> around(ModuleOp::create(kernel.getLoc()));
  func::FuncOp copy = kernel.clone();
  around->push_back(copy);
  copy.setSymName(symbol);
  FailureOr<codegen::ThreadRange> range =
      codegen::lowerToThreads(copy, architecture.kernels);
  if (failed(range))
    return failure();
  architecture.generic[symbol] = *range;
  architecture.symbols[symbol] = architecture.summaries.size();
  architecture.schedules.emplace_back();
  KernelSummary summary;
  summary.architecture = architecture.target->name;
  summary.symbol = symbol.str();
  summary.family = "generic";
  summary.why = "no family does it; nothing is predicted";
  summary.threads = range->threads;
  architecture.summaries.push_back(std::move(summary));
  return range;
}

/// What the assembler says of each kernel.
void CudaKernels::addResources(Architecture &architecture) {
  for (const codegen::KernelResources &kernel :
       architecture.assembly->kernels) {
    auto known = architecture.symbols.find(kernel.symbol);
    if (known == architecture.symbols.end())
      continue;
    KernelSummary &summary = architecture.summaries[known->second];
    summary.registers = kernel.registers;
    summary.codeBytes = kernel.codeBytes;
    summary.sharedBytes += kernel.sharedBytes;
  }
}

Status CudaKernels::assemble(unsigned threads, CompileSummary &summary) {
  codegen::CodeCache cache = codegen::CodeCache::ofUser();
  std::vector<codegen::AssemblyJob> jobs;
  for (Architecture &architecture : architectures) {
    FailureOr<codegen::PtxModule> ptx =
        codegen::generatePtx(architecture.kernels, *architecture.target, cache);
    if (failed(ptx))
      return Status(StatusCode::Internal,
                    "PTX for " + std::string(architecture.target->name) +
                        " could not be made");
    architecture.ptx = std::move(ptx->text);
    jobs.push_back({architecture.ptx, architecture.target});
  }
  StatusOr<codegen::Ptxas> assembler = codegen::Ptxas::find();
  if (assembler.status().code() == StatusCode::OutOfResources ||
      assembler.status().code() == StatusCode::Unwritable)
    return assembler.status(); // that it is there was not found out
  if (!assembler.ok()) {
    noAssembler = assembler.status();
    std::string names;
    for (const Architecture &architecture : architectures)
      names +=
          (names.empty() ? "" : ", ") + std::string(architecture.target->name);
    summary.warnings.push_back("no machine code for " + names +
                               ", PTX only: " + noAssembler.message());
    return Status();
  }
  auto done = assembler->assemble(jobs, cache, threads);
  if (!done.ok())
    return done.status();
  for (auto [architecture, assembly] : llvm::zip_equal(architectures, *done)) {
    auto isHot = [&generic = architecture.generic](StringRef symbol) {
      return !generic.contains(symbol);
    };
    auto scheduleOf = [&architecture = architecture](StringRef symbol) {
      return architecture.summaries[architecture.symbols.lookup(symbol)]
          .schedule;
    };
    QOPT_RETURN_IF_ERROR(
        codegen::requireClean(assembly.kernels, isHot, scheduleOf));
    architecture.assembly = std::move(assembly);
    addResources(architecture);
  }
  return Status();
}

std::string CudaKernels::gpu() const {
  std::string text;
  for (const Architecture &architecture : architectures)
    text += (text.empty() ? "" : "// -----\n") +
            codegen::printKernels(architecture.kernels, *architecture.target);
  return text;
}

std::string CudaKernels::ptx() const {
  std::string text;
  for (const Architecture &architecture : architectures)
    text += architecture.ptx;
  return text;
}

StatusOr<std::string> CudaKernels::sass() const {
  if (!noAssembler.ok())
    return noAssembler;
  std::string text;
  for (const Architecture &architecture : architectures) {
    auto code = codegen::disassemble(architecture.assembly->cubin);
    if (!code.ok())
      return code.status();
    text += *code;
  }
  return text;
}

namespace {

/// The steps in which a kernel is launched at one place of a plan.
struct LaunchRange {
  std::string symbol;
  plan::StepUse use;
  int64_t least;
  uint64_t most; ///< 0: no limit

  bool holds(int64_t tokens) const {
    return least <= tokens && (!most || uint64_t(tokens) <= most);
  }
};

} // namespace

/// Adds those of the variants of one architecture; variants of one kernel stand
/// together.
static void addRanges(const plan::LaunchT &launch, size_t architecture,
                      plan::StepUse use, SmallVector<LaunchRange> &ranges) {
  uint64_t above = launch.after;
  for (const auto &variant : launch.variants) {
    if (variant->segment != architecture)
      continue;
    bool first = above == launch.after;
    uint64_t most =
        !variant->most || (launch.until && launch.until < variant->most)
            ? launch.until
            : variant->most;
    if (!first && ranges.back().symbol == variant->symbol)
      ranges.back().most = most;
    else if (!variant->most || variant->most > above)
      ranges.push_back({variant->symbol, use, int64_t(above) + 1, most});
    above = std::max(above, variant->most);
  }
}

void CudaKernels::summarize(const plan::FunctionT &plan,
                            CompileSummary &summary) const {
  for (auto [index, architecture] : llvm::enumerate(architectures)) {
    std::vector<KernelSummary> kernels = architecture.summaries;
    StepSummary decode;
    decode.architecture = architecture.target->name;
    decode.part = architecture.target->part;
    decode.context = context;
    auto kernelOf = [&](const std::string &symbol) -> KernelSummary & {
      return kernels[architecture.symbols.lookup(symbol)];
    };
    SmallVector<LaunchRange> ranges;
    for (const auto &step : plan.steps)
      if (const plan::LaunchT *launch = step->operation.AsLaunch())
        addRanges(*launch, index, step->use, ranges);
    for (const LaunchRange &range : ranges) {
      KernelSummary &kernel = kernelOf(range.symbol);
      kernel.least =
          kernel.least ? std::min(kernel.least, range.least) : range.least;
    }
    if (llvm::any_of(ranges, [](const LaunchRange &range) {
          return range.use == plan::StepUse::Sampling;
        }))
      decode.sampling.emplace();
    for (const LaunchRange &range : ranges) {
      KernelSummary &kernel = kernelOf(range.symbol);
      kernel.launches += range.holds(kernel.least);
      if (range.holds(1) && range.use != plan::StepUse::Sampling)
        addLaunches(decode.greedy, kernel.predicted, 1);
      if (range.holds(1) && range.use != plan::StepUse::Greedy &&
          decode.sampling)
        addLaunches(*decode.sampling, kernel.predicted, 1);
    }
    llvm::append_range(summary.kernels, kernels);
    if (context)
      summary.steps.push_back(std::move(decode));
  }
}

/// PTX and, where there is one, the machine code.
static std::vector<uint8_t> imagesOf(const target::Target &target,
                                     const std::string &ptx,
                                     const std::string *cubin) {
  auto bytesOf = [](const std::string &text) {
    return std::span<const uint8_t>(
        reinterpret_cast<const uint8_t *>(text.data()), text.size());
  };
  auto number = uint32_t(target.capability);
  bool specific = target.name.ends_with("a");
  std::vector<cuda::CodeImage> images = {
      {cuda::ImageKind::Ptx, number, specific, bytesOf(ptx)}};
  if (cubin)
    images.push_back(
        {cuda::ImageKind::Cubin, number, specific, bytesOf(*cubin)});
  return cuda::writeCodeImages(images);
}

static std::unique_ptr<plan::KernelRecordT>
recordOf(const KernelSummary &kernel, uint32_t segment) {
  auto record = std::make_unique<plan::KernelRecordT>();
  record->symbol = kernel.symbol;
  record->family = kernel.family;
  record->schedule = kernel.schedule;
  record->segment = segment;
  record->threads = uint32_t(kernel.threads);
  record->registers = uint32_t(kernel.registers);
  record->shared_bytes = uint32_t(kernel.sharedBytes);
  record->code_bytes = uint32_t(kernel.codeBytes);
  return record;
}

Status CudaKernels::write(
    runtime::ArtifactWriter &writer, plan::FunctionT &plan,
    std::vector<std::unique_ptr<plan::KernelRecordT>> &records) const {
  std::vector<uint32_t> segments;
  for (const Architecture &architecture : architectures) {
    const auto &assembly = architecture.assembly;
    StatusOr<uint32_t> segment = writer.addSegment(
        plan::SegmentKind::Code, std::string(architecture.target->name),
        imagesOf(*architecture.target, architecture.ptx,
                 assembly ? &assembly->cubin : nullptr));
    if (!segment.ok())
      return segment.status();
    segments.push_back(*segment);
    for (const KernelSummary &kernel : architecture.summaries)
      records.push_back(recordOf(kernel, *segment));
  }
  for (auto &step : plan.steps)
    if (plan::LaunchT *launch = step->operation.AsLaunch())
      for (auto &variant : launch->variants)
        variant->segment = segments[variant->segment];
  return Status();
}

} // namespace qopt::driver
