// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/StageOptions.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/CacheOption.h"
#include "llvm/ADT/STLExtras.h"
#include <cassert>

namespace qopt::driver {

/// Positions in a page of a GPU's cache: a head's keys in one are a few KiB, as
/// much as one bulk copy wants.
constexpr int64_t cudaPage = 64;

passes::ModelShape modelShape(const CompileOptions &options) {
  switch (options.kind) {
  case ModelKind::Decoder:
    return passes::ModelShape::Decoder;
  case ModelKind::Graph:
    return passes::ModelShape::Graph;
  case ModelKind::Automatic:
    break;
  }
  return passes::ModelShape::Automatic;
}

passes::AskedFormats askedFormats(const CompileOptions &options) {
  bool forGpu = options.target == TargetDevice::Cuda;
  passes::AskedFormats formats;
  formats.device = forGpu ? "cuda" : "host";
  formats.weights = options.weights;
  formats.lmHead = options.lmHead;
  formats.embedding = options.embedding;
  llvm::append_range(formats.overrides, options.formats);
  // Those of a text replace the codes later.
  if (options.calibrate.empty() && !options.algorithm.empty())
    formats.algorithm = options.algorithm;
  auto cache = parseCacheOption(options);
  assert(cache.ok() && "the options are checked");
  formats.keys = cache->keys;
  formats.values = cache->values;
  formats.recent = cache->recent;
  formats.first = cache->first;
  formats.beforeRotary = cache->beforeRotary;
  llvm::append_range(formats.cacheOverrides, options.cacheFormats);
  auto activations = parseActivationOption(options);
  assert(activations.ok() && "the options are checked");
  formats.activations = quant::spell(activations->format);
  llvm::append_range(formats.activationOverrides, options.activationFormats);
  if (activations->type != "f32") {
    formats.type = formats.widest = activations->type;
    if (formats.keys.empty())
      formats.keys = formats.values = formats.type;
  }
  // Schedules of attention depend on the page.
  if (forGpu || !options.sumOrder.empty())
    formats.page = cudaPage;
  return formats;
}

} // namespace qopt::driver
