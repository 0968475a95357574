// Which file a path means that names a model: the path itself, or one of the
// folder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H
#define QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H

#include "qopt/Status.h"

#include <string>

namespace qopt::import {

/// `path` itself, or the model.onnx of the folder `path`. NotFound where a
/// folder has none, with the models that it has instead.
StatusOr<std::string> locateModel(const std::string &path);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H
