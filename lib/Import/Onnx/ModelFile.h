// Reading of an ONNX file without copying its weights. One bounded walk over
// the wire format makes a copy of the message in which each tensor's raw_data
// is replaced by its place in the file (16 bytes); only that copy is parsed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_MODELFILE_H
#define QOPT_LIB_IMPORT_ONNX_MODELFILE_H

#include "lib/Import/Onnx/MappedFile.h"
#include "onnx-file.pb.h"
#include "llvm/ADT/ArrayRef.h"

namespace qopt::import {

class ModelFile {
public:
  /// Maps and parses what locateModel finds.
  static StatusOr<ModelFile> open(const std::string &path);

  const onnx_file::ModelProto &model() const { return *proto; }
  /// The folder that external data must lie below.
  const std::string &folder() const { return directory; }
  /// The path of the file itself.
  const std::string &path() const { return file; }
  const std::shared_ptr<MappedFile> &mapping() const { return mapped; }

  /// Where in the file the tensor's raw_data lies.
  llvm::ArrayRef<char> rawData(const onnx_file::TensorProto &tensor) const;

private:
  std::string file, directory;
  std::shared_ptr<MappedFile> mapped;
  std::unique_ptr<onnx_file::ModelProto> proto;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_MODELFILE_H
