// Arrays in NumPy's .npy files: read whole, looked at in place, or written row
// by row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IO_NPY_H
#define QOPT_LIB_IO_NPY_H

#include "lib/Io/FileAccess.h"
#include "lib/Io/NpyHeader.h"
#include "qopt/Tensor.h"

namespace qopt::io {

/// The array in the bytes of a .npy file, as a row-major copy named `name`.
StatusOr<Tensor> parseNpy(std::span<const uint8_t> file,
                          const std::string &name);

StatusOr<Tensor> readNpy(const std::string &path);

/// A .npy file of any size that is read where it lies.
class NpyFile {
public:
  /// Row-major arrays only.
  static StatusOr<NpyFile> open(const std::string &path);

  DType type() const { return header.type; }
  const std::vector<int64_t> &shape() const { return header.shape; }
  /// The elements' bytes, of no particular alignment.
  std::span<const uint8_t> bytes() const {
    return file->bytes().subspan(header.dataOffset, header.dataBytes);
  }

private:
  std::shared_ptr<const MappedFile> file;
  NpyHeader header;
};

/// Writes an array in pieces, which together must have the shape's bytes.
class NpyWriter {
public:
  static StatusOr<std::unique_ptr<NpyWriter>>
  create(const std::string &path, DType type,
         const std::vector<int64_t> &shape);
  Status append(std::span<const uint8_t> bytes) { return file->append(bytes); }
  Status finish() { return file->finish(); }

private:
  std::unique_ptr<FileWriter> file;
};

/// Writes one array, of a type that NumPy has.
Status writeNpy(const std::string &path, const TensorView &tensor);

/// What NumPy has a type for: bf16 and narrower floats become f32, integers of
/// less than a byte those of one, which hold the same values.
Tensor toNumpyType(const TensorView &tensor);

/// Element `index` of row-major data as f64.
double elementAsDouble(const TensorView &tensor, int64_t index);

} // namespace qopt::io

#endif // QOPT_LIB_IO_NPY_H
