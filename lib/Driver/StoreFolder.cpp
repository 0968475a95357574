// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/StoreFolder.h"
#include "lib/Codegen/KeyDigest.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/PlanBudget.h"
#include "lib/Driver/Quantization.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

using namespace mlir;

namespace qopt::driver {

using codegen::KeyDigest;

/// The functions as text without large arrays, and the bytes of these.
static void addModel(KeyDigest &key, ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(64);
  flags.elideLargeResourceString(64);
  flags.useLocalScope();
  module->print(stream, flags);
  key.add(text);
  module->walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs()) {
      if (auto resource =
              dyn_cast<DenseResourceElementsAttr>(attribute.getValue())) {
        ArrayRef<char> bytes = resource.getRawHandle().getBlob()->getData();
        key.add(StringRef(bytes.data(), bytes.size()));
      } else if (auto dense =
                     dyn_cast<DenseElementsAttr>(attribute.getValue())) {
        ArrayRef<char> bytes = dense.getRawData();
        key.add(StringRef(bytes.data(), bytes.size()));
      }
    }
  });
}

/// The options that formats and codes depend on.
static void addOptions(KeyDigest &key, const CompileOptions &options) {
  for (const std::string &text :
       {options.weights, options.lmHead, options.embedding, options.algorithm,
        std::string(options.calibrateInputs == "original" ? "original" : ""),
        options.maxSize, options.maxMemory, options.maxLatency,
        llvm::join(options.formats, "\n"), llvm::join(options.candidates, "\n"),
        llvm::join(options.cacheCandidates, "\n"), std::to_string(options.bits),
        std::to_string(options.moves), std::to_string(int(options.target))})
    key.add(text);
  if (scalesChannels(options))
    key.add(options.activations);
  if (!options.maxLatency.empty() && options.target == TargetDevice::Host)
    if (auto rates = hostRatesOf(options); rates.ok())
      key.add(rates->digest);
  if (!options.plan.empty())
    key.addFile(options.plan); // with an algorithm for each weight
  // Layouts, caches and the code beside the weights count for these.
  if (hasMeasuredBudget(options))
    for (const std::string &text :
         {options.activations, options.cache,
          llvm::join(options.activationFormats, "\n"),
          llvm::join(options.cacheFormats, "\n"), options.architectures,
          options.cpu, std::to_string(options.context),
          std::to_string(options.batch)})
      key.add(text);
}

/// Locks a folder for this process; −1 where another one has it.
static int lockFolder(const std::string &folder) {
  int file =
      ::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    file = -1;
  }
  return file;
}

StoreFolder::StoreFolder(StoreFolder &&other) noexcept
    : folder(std::move(other.folder)), lock(std::exchange(other.lock, -1)),
      temporary(std::move(other.temporary)) {}

StoreFolder::~StoreFolder() {
  if (lock >= 0)
    ::close(lock);
}

StatusOr<StoreFolder> StoreFolder::open(ModuleOp raised,
                                        const CompileOptions &options,
                                        const CalibrationRecord &text) {
  KeyDigest key;
  key.addCompiler();
  addModel(key, raised);
  addOptions(key, options);
  key.add(text.sha256);
  key.add(std::to_string(text.tokens));
  StoreFolder result;
  std::string root =
      options.store.empty() ? codegen::userCache("calibration") : options.store;
  result.folder = root + "/" + key.finish();
  std::error_code error = llvm::sys::fs::create_directories(result.folder);
  if (!error && !root.empty() && (result.lock = lockFolder(result.folder)) >= 0)
    return result;
  if (error && !options.store.empty())
    return Status(StatusCode::Unwritable, "--store: cannot make \"" +
                                              result.folder +
                                              "\": " + error.message());
  result.temporary =
      std::make_unique<codegen::TemporaryFolder>("qopt-calibrate");
  QOPT_RETURN_IF_ERROR(result.temporary->made());
  result.folder = result.temporary->path.str().str();
  return result;
}

} // namespace qopt::driver
