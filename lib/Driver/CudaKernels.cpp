// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaKernels.h"

#include "dialects/Ptx/PtxDialect.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/cuda/CodeImage.h"

using namespace mlir;

namespace qopt::driver {

CudaKernels::CudaKernels(MLIRContext &context,
                         std::vector<const target::Target *> targets) {
  context.loadDialect<arith::ArithDialect, gpu::GPUDialect, math::MathDialect,
                      LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect,
                      vector::VectorDialect, ptx::PtxDialect>();
  OpBuilder builder(&context);
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

Status CudaKernels::add(size_t target, StringRef symbol, Build build) {
  Architecture &architecture = architectures[target];
  if (!architecture.symbols.insert(symbol).second)
    return Status();
  StatusOr<gpu::GPUFuncOp> kernel = build(architecture.kernels);
  if (!kernel.ok())
    return Status(kernel.status().code(),
                  "kernel " + symbol.str() + ": " + kernel.status().message());
  kernel->setName(symbol);
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
  if (succeeded(range))
    architecture.generic[symbol] = *range;
  return range;
}

static StatusOr<codegen::PtxModule> ptxOf(gpu::GPUModuleOp kernels,
                                          const target::Target &target) {
  FailureOr<codegen::PtxModule> ptx = codegen::generatePtx(kernels, target);
  if (failed(ptx))
    return Status(StatusCode::Internal,
                  "PTX for " + std::string(target.name) + " could not be made");
  return std::move(*ptx);
}

StatusOr<std::string> CudaKernels::ptx() const {
  std::string text;
  for (const Architecture &architecture : architectures) {
    StatusOr<codegen::PtxModule> ptx =
        ptxOf(architecture.kernels, *architecture.target);
    if (!ptx.ok())
      return ptx.status();
    text += ptx->text;
  }
  return text;
}

StatusOr<std::vector<uint8_t>>
CudaKernels::imagesOf(const Architecture &architecture,
                      CompileSummary &summary) const {
  const target::Target &target = *architecture.target;
  StatusOr<codegen::PtxModule> ptx = ptxOf(architecture.kernels, target);
  if (!ptx.ok())
    return ptx.status();
  auto bytesOf = [](const std::string &text) {
    return std::span<const uint8_t>(
        reinterpret_cast<const uint8_t *>(text.data()), text.size());
  };
  auto number = uint32_t(target.capability);
  bool specific = target.name.ends_with("a");
  std::vector<cuda::CodeImage> images = {
      {cuda::ImageKind::Ptx, number, specific, bytesOf(ptx->text)}};
  StatusOr<codegen::Ptxas> assembler = codegen::Ptxas::find();
  std::vector<codegen::Assembly> assembled;
  if (assembler.ok()) {
    auto done = assembler->assemble({{ptx->text, &target}},
                                    codegen::CubinCache::inHome(), 1);
    if (!done.ok())
      return done.status();
    assembled = std::move(*done);
    QOPT_RETURN_IF_ERROR(
        codegen::requireClean(assembled[0].kernels, [&](StringRef symbol) {
          return !architecture.generic.contains(symbol);
        }));
    images.push_back({cuda::ImageKind::Cubin, number, specific,
                      bytesOf(assembled[0].cubin)});
  } else {
    summary.remarks.push_back("no machine code for " +
                              std::string(target.name) +
                              ", PTX only: " + assembler.status().message());
  }
  return cuda::writeCodeImages(images);
}

Status CudaKernels::write(runtime::ArtifactWriter &writer,
                          plan::FunctionT &plan,
                          CompileSummary &summary) const {
  std::vector<uint32_t> segments;
  for (const Architecture &architecture : architectures) {
    StatusOr<std::vector<uint8_t>> images = imagesOf(architecture, summary);
    if (!images.ok())
      return images.status();
    StatusOr<uint32_t> segment =
        writer.addSegment(plan::SegmentKind::Code,
                          std::string(architecture.target->name), *images);
    if (!segment.ok())
      return segment.status();
    segments.push_back(*segment);
  }
  for (auto &step : plan.steps)
    if (plan::LaunchT *launch = step->operation.AsLaunch())
      for (auto &variant : launch->variants)
        variant->segment = segments[variant->segment];
  return Status();
}

} // namespace qopt::driver
