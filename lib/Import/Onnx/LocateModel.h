// Which file a path means that names a model: the path itself, or one of the
// folder; and which files a model is split into.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H
#define QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H

#include "qopt/Status.h"

#include <string>
#include <vector>

namespace qopt::import {

/// `path` itself, or the model.onnx of the folder `path`. NotFound where a
/// folder has none, with the models that it has instead.
StatusOr<std::string> locateModel(const std::string &path);

/// One of the files of an encoder-decoder, as optimum writes them.
struct ModelPart {
  std::string name; ///< "encoder", "decoder", "decoder_with_past"
  std::string path;
  /// What ImportOptions::fixedInputs must be, for the branch of a merged file.
  std::vector<std::string> fixedInputs = {};
};

/// The parts of the folder `path`, or of its folder "onnx", which has
/// encoder_model.onnx and beside it decoder_model.onnx and, where there is one,
/// decoder_with_past_model.onnx, or decoder_model_merged.onnx, which is both of
/// these. Empty for a file and for a folder with model.onnx or without an
/// encoder; NotFound for an encoder without a decoder.
StatusOr<std::vector<ModelPart>> locateParts(const std::string &path);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_LOCATEMODEL_H
