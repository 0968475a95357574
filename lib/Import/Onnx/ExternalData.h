// The one place that reads bytes from beside a model: tensors whose data is in
// another file. A model is not trusted, so a location must be a plain relative
// path below the model's folder, reached through no symbolic link, to a regular
// file with one name (a second hard link could be somebody's secret), and the
// range must lie inside that file.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_EXTERNALDATA_H
#define QOPT_LIB_IMPORT_ONNX_EXTERNALDATA_H

#include "lib/Import/Onnx/MappedFile.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include <map>

namespace onnx_file {
class TensorProto;
} // namespace onnx_file

namespace qopt::import {

/// Bytes of a tensor and what keeps them alive.
struct TensorBytes {
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
  bool isMapped = true; ///< they lie in a file, not on the heap
};

class ExternalData {
public:
  enum class Checksums { Verify, Ignore };
  /// `folder` is the model's; it is opened at the first use.
  explicit ExternalData(std::string folder,
                        Checksums checksums = Checksums::Verify)
      : folder(std::move(folder)), checksums(checksums) {}
  ExternalData(const ExternalData &) = delete;
  ExternalData &operator=(const ExternalData &) = delete;
  ~ExternalData();

  /// The bytes that the tensor's external_data entries describe, which must be
  /// exactly `expected` many. The messages do not name the tensor.
  StatusOr<TensorBytes> read(const onnx_file::TensorProto &tensor,
                             uint64_t expected);

  /// Where a tensor lies that `read` would read.
  struct Place {
    std::string location;
    uint64_t end = 0; ///< bytes that the file must have
  };
  static StatusOr<Place> placeOf(const onnx_file::TensorProto &tensor,
                                 uint64_t expected);

private:
  struct File {
    std::shared_ptr<MappedFile> mapping;
    /// start → end of the ranges in use; tensors may share a range, not
    /// overlap in part.
    std::map<uint64_t, uint64_t> ranges;
  };

  StatusOr<File *> open(const std::string &location);
  StatusOr<int> openBeneath(const std::string &location);

  std::string folder;
  Checksums checksums;
  int folderDescriptor = -1;
  llvm::StringMap<File> files;
};

/// Opens a file below a folder one component after the other, none of which may
/// be a symbolic link: the way on kernels without openat2. A descriptor, or -1
/// with errno set.
int openStepwise(int folder, llvm::ArrayRef<std::string> components);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_EXTERNALDATA_H
