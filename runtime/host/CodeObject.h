// Generated machine code in the running process: an ELF shared object from an
// artifact is loaded from memory, without a file anyone could see or change.
// The object is trusted code: whoever loads an artifact has checked its digest.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_CODEOBJECT_H
#define QOPT_RUNTIME_HOST_CODEOBJECT_H

#include "qopt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace qopt::runtime {

/// A generated kernel: computes the iterations [begin, end) of its range.
/// `buffers` and `sizes` in the order of the step that calls it.
using GeneratedKernel = void (*)(void *const *buffers, const int64_t *sizes,
                                 int64_t begin, int64_t end);

/// A loaded object; its kernels may be called while it lives.
class CodeObject {
public:
  /// Loads the `size` bytes at `bytes`, which may go away afterwards. Fails
  /// with BadArtifact for what is no object, Unsupported for another
  /// architecture or processor features that this machine has not.
  static StatusOr<std::shared_ptr<CodeObject>> load(const void *bytes,
                                                    size_t size);
  ~CodeObject();
  CodeObject(const CodeObject &) = delete;
  CodeObject &operator=(const CodeObject &) = delete;

  /// The kernel of that name; NotFound names it.
  StatusOr<GeneratedKernel> kernel(const std::string &name) const;

  /// The target the object was made for, such as "x86-64-v3".
  const std::string &target() const { return targetName; }

private:
  CodeObject(void *handle, int file, std::string targetName)
      : handle(handle), file(file), targetName(std::move(targetName)) {}

  void *handle;
  int file; ///< open as long as the object, so that its name stays its own
  std::string targetName;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_CODEOBJECT_H
