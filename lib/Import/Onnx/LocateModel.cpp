// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/LocateModel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <vector>

namespace qopt::import {

/// Adds the names of models in `folder` / `within`, with `within` before them.
static void addModels(const std::string &folder, llvm::StringRef within,
                      std::vector<std::string> &found) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, within);
  std::error_code error;
  for (llvm::sys::fs::directory_iterator entry(path, error), end;
       !error && entry != end; entry.increment(error)) {
    llvm::SmallString<256> name(within);
    llvm::sys::path::append(name, llvm::sys::path::filename(entry->path()));
    if (llvm::sys::path::extension(name) == ".onnx")
      found.push_back(name.str().str());
  }
}

/// Of a folder without model.onnx: the models that one could mean.
static Status noModelIn(const std::string &folder) {
  std::vector<std::string> found;
  addModels(folder, "", found);
  addModels(folder, "onnx", found);
  std::string start = "the folder \"" + folder + "\" has no model.onnx";
  if (found.empty())
    return Status(StatusCode::NotFound,
                  start + " and no other *.onnx; name the model's file");
  llvm::sort(found);
  constexpr size_t most = 8;
  std::string names;
  for (const std::string &name : llvm::ArrayRef(found).take_front(most))
    names += (names.empty() ? "\"" : ", \"") + name + "\"";
  if (found.size() > most)
    names += " and " + std::to_string(found.size() - most) + " more";
  llvm::SmallString<256> first(folder);
  llvm::sys::path::append(first, found.front());
  return Status(
      StatusCode::NotFound,
      start + ", but it has " + names +
          (found.size() > 1 ? "; name one of them, \"" : "; name it, \"") +
          std::string(first) + "\"");
}

StatusOr<std::string> locateModel(const std::string &path) {
  llvm::SmallString<256> full(path);
  if (llvm::sys::fs::is_directory(path)) {
    llvm::sys::path::append(full, "model.onnx");
    if (llvm::sys::fs::exists(full))
      return full.str().str();
    full = path;
    llvm::sys::path::append(full, "onnx", "model.onnx");
    if (!llvm::sys::fs::exists(full))
      return noModelIn(path);
  }
  return full.str().str();
}

/// The path of the file `name` in `folder`; empty: there is none.
static std::string fileIn(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return llvm::sys::fs::exists(path) ? path.str().str() : std::string();
}

StatusOr<std::vector<ModelPart>> locateParts(const std::string &path) {
  std::vector<ModelPart> parts;
  if (!llvm::sys::fs::is_directory(path))
    return parts;
  llvm::SmallString<256> within(path);
  llvm::sys::path::append(within, "onnx");
  if (!fileIn(path, "model.onnx").empty() ||
      !fileIn(within, "model.onnx").empty())
    return parts;
  std::string folder = path;
  std::string encoder = fileIn(folder, "encoder_model.onnx");
  if (encoder.empty()) {
    folder = within.str().str();
    encoder = fileIn(folder, "encoder_model.onnx");
  }
  if (encoder.empty())
    return parts;
  std::string decoder = fileIn(folder, "decoder_model.onnx");
  std::string step = fileIn(folder, "decoder_with_past_model.onnx");
  std::string merged = fileIn(folder, "decoder_model_merged.onnx");
  if (decoder.empty() && merged.empty())
    return Status(StatusCode::NotFound,
                  "the folder \"" + folder +
                      "\" has encoder_model.onnx, but neither "
                      "decoder_model.onnx nor decoder_model_merged.onnx; "
                      "export the decoder, too, or name \"" +
                      encoder + "\"");
  parts.push_back({"encoder", encoder});
  if (!decoder.empty())
    parts.push_back({"decoder", decoder});
  else
    parts.push_back({"decoder", merged, {"use_cache_branch=false"}});
  if (!step.empty())
    parts.push_back({"decoder_with_past", step});
  else if (!merged.empty())
    parts.push_back({"decoder_with_past", merged, {"use_cache_branch=true"}});
  return parts;
}

} // namespace qopt::import
