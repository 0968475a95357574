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

} // namespace qopt::import
