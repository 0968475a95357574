// From an ONNX tensor to an attribute: small tensors become dense attributes
// that folding can read, everything else a resource whose blob lies in a mapped
// file. Sizes are checked with overflow in mind before any byte is touched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_TENSORS_H
#define QOPT_LIB_IMPORT_ONNX_TENSORS_H

#include "lib/Import/Onnx/ExternalData.h"
#include "lib/Import/Onnx/Importer.h"
#include "lib/Import/Onnx/ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace qopt::import {

/// The element type of an ONNX data type; null for strings, complex numbers and
/// numbers that onnx.proto does not define. bool is i1, uint8 is ui8, 4-bit and
/// 2-bit integers are i4, ui4, i2, ui2.
mlir::Type elementType(int32_t dataType, mlir::MLIRContext *context);

/// "float16" for a message; "data type 99" for unknown numbers.
std::string dataTypeName(int32_t dataType);

/// The largest power of two, up to a cache line, that the address has.
size_t alignmentOf(const char *data);

class TensorReader {
public:
  /// `report`, which may be null, as in ImportOptions.
  TensorReader(const ModelFile &file, mlir::MLIRContext *context,
               ImportReport *report)
      : file(file),
        external(file.folder(), report ? ExternalData::Checksums::Ignore
                                       : ExternalData::Checksums::Verify),
        context(context), report(report) {}

  /// `name` becomes the resource's key, made unique when it is taken.
  StatusOr<mlir::ElementsAttr> read(const onnx_file::TensorProto &tensor,
                                    llvm::StringRef name);

private:
  StatusOr<TensorBytes> bytesOf(const onnx_file::TensorProto &tensor,
                                int64_t elements, unsigned bits);

  /// Takes note of a file that is missing.
  Status addMissing(const onnx_file::TensorProto &tensor, uint64_t expected,
                    const Status &why);

  const ModelFile &file;
  ExternalData external;
  mlir::MLIRContext *context;
  ImportReport *report;
  uint64_t missingBytes = 0;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_TENSORS_H
