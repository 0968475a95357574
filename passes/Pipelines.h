// The order of passes in each stage (DESIGN: import, raise, quantize, fuse,
// schedule, lower). This is the only place with an order; a stage is a function
// that the driver, qopt-opt and the tests share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_PIPELINES_H
#define QOPT_PASSES_PIPELINES_H

#include "llvm/ADT/SmallVector.h"
#include <string>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace qopt::passes {

/// What a model is compiled as.
enum class ModelShape {
  Automatic, ///< a decoder where it is one, else a graph
  Decoder,   ///< a decoder, or an error
  Graph,     ///< the ONNX signature
  Encoder,   ///< what fills a decoder's cache with what it attends to across
             ///< sequences (RaiseEncoder), or an error
};

/// Who multiplies codes by constant codes.
enum class CodeProducts {
  Linears,          ///< kernels for integers
  SymmetricLinears, ///< such kernels where the weight has no zero points, else
                    ///< generated ones, as the operators are written out
};

/// Whether a decoder may attend to what an encoder makes of sources.
enum class Sources {
  None,    ///< it would lack the encoder
  Encoded, ///< that is compiled beside it
};

/// onnx → qopt (+ onnx for what has no qopt op).
void addRaiseStage(mlir::OpPassManager &manager, ModelShape shape,
                   CodeProducts products = CodeProducts::Linears,
                   Sources sources = Sources::None);

/// What a user asks of the stage quantize, as on the command line. Empty: as
/// QuantizeWeights and QuantizeActivations say in passes/Quantize/Passes.td.
struct AskedFormats {
  std::string weights, lmHead, embedding;
  llvm::SmallVector<std::string> overrides; ///< name=format, re:pattern=format
  std::string algorithm = "rtn";            ///< of weights: rtn, clip or hqq
  std::string device = "host"; ///< that multiplies by weights: host, cuda
  std::string activations = "int8_g32_sf32"; ///< f32: as they are
  /// Of what single linears read, by weight: name=format, re:pattern=format.
  llvm::SmallVector<std::string> activationOverrides;
  std::string type = "f32";   ///< that values have: f32, f16 or bf16
  std::string widest = "f32"; ///< of weights that nobody asks a format for
  std::string keys, values;   ///< of the cache
  /// Of single layers of it: cache.LAYER.key=format, re:pattern=format.
  llvm::SmallVector<std::string> cacheOverrides;
  int64_t recent = 0, first = 0; ///< positions of it in f16
  bool beforeRotary = false;     ///< keys of it ahead of their rotation
  int64_t page = 0;              ///< positions; 0: as raising chose
};

/// qopt → qopt with quantized weights and activations.
void addQuantizeStage(mlir::OpPassManager &manager,
                      const AskedFormats &formats);

/// A model for the host → functions of its layers, to be observed or
/// differentiated one by one (passes/Calibrate).
void addCalibrateStage(mlir::OpPassManager &manager);

/// qopt → qopt with fewer operations that compute the same.
void addFuseStage(mlir::OpPassManager &manager);
/// The same, and what GPUs do in one launch as regions.
void addCudaFuseStage(mlir::OpPassManager &manager);

/// What is left of onnx → calls of generated kernels and the kernels, in the
/// nested module `kernels`.
void addLowerStage(mlir::OpPassManager &manager);
/// The same for GPUs, where fewer qopt ops have a kernel of their own.
void addCudaLowerStage(mlir::OpPassManager &manager);
/// The gpu.modules of a GPU's kernels → the LLVM dialect, as code generation
/// takes them there (lib/Codegen/Cuda).
void addDeviceStage(mlir::OpPassManager &manager);
/// Which kernel and which layout, for the host or for GPUs (`sm_90a,sm_80`).
void addHostScheduleStage(mlir::OpPassManager &manager);
void addCudaScheduleStage(mlir::OpPassManager &manager,
                          const std::string &architectures);
/// For the host in the order of a GPU's sums, behind addCudaFuseStage.
void addOrderedScheduleStage(mlir::OpPassManager &manager,
                             const std::string &architecture);

/// Makes every pass known to `--pass-pipeline`, and the stages as
/// `qopt-raise-stage` and the like.
void registerPasses();

} // namespace qopt::passes

#endif // QOPT_PASSES_PIPELINES_H
