// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/ModelFiles.h"

#include "lib/Io/FileAccess.h"
#include "tools/cli/CompileModel.h"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace qopt::cli {

namespace fs = std::filesystem;

static StatusOr<std::shared_ptr<const Artifact>>
openFolder(const std::string &folder, const OpenOptions &options,
           const std::string &device) {
  std::vector<std::string> found;
  bool model = false;
  std::error_code error;
  for (const fs::directory_entry &entry :
       fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".qopt")
      found.push_back(entry.path().string());
    model = model || entry.path().extension() == ".onnx";
  }
  if (error)
    return Status(StatusCode::NotFound, "cannot read the folder '" + folder +
                                            "': " + error.message());
  std::sort(found.begin(), found.end());
  if (found.size() == 1)
    return Artifact::open(found.front(), options);
  if (found.empty() && model)
    return compileAndOpen(folder, options, device);
  if (found.empty())
    return Status(StatusCode::NotFound, "the folder '" + folder +
                                            "' holds neither an artifact "
                                            "(*.qopt) nor a model (*.onnx)");
  return Status(StatusCode::InvalidArgument,
                "the folder '" + folder + "' holds " +
                    std::to_string(found.size()) +
                    " artifacts; name one of them, '" + found.front() + "'");
}

StatusOr<std::shared_ptr<const Artifact>>
openArtifact(const std::string &path, const OpenOptions &options,
             const std::string &device) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return openFolder(path, options, device);
  if (fs::path(path).extension() == ".onnx" && fs::exists(path, error))
    return compileAndOpen(path, options, device);
  return Artifact::open(path, options);
}

StatusOr<std::optional<Tokenizer>> openTokenizer(const Artifact &artifact,
                                                 const std::string &override) {
  std::string text, where = "the tokenizer of '" + artifact.path() + "'";
  // A tokenizer that was whole when the artifact was written.
  auto blame = [&](const Status &status) {
    bool own = override.empty() && status.code() == StatusCode::BadModel;
    return Status(own ? StatusCode::BadArtifact : status.code(),
                  where + ": " + status.message());
  };
  if (!override.empty()) {
    std::error_code error;
    fs::path path = override;
    if (fs::is_directory(path, error))
      path /= "tokenizer.json";
    StatusOr<std::string> read = io::readText(path.string());
    if (!read.ok())
      return read.status();
    text = std::move(*read);
    where = "'" + path.string() + "'";
  } else {
    text = artifact.tokenizerJson();
    if (text.empty())
      return std::optional<Tokenizer>();
  }
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(text);
  if (!tokenizer.ok())
    return blame(tokenizer.status());
  if (artifact.isDecoder())
    if (Status fits =
            tokenizer->checkVocabulary(size_t(artifact.decoder().vocabulary));
        !fits.ok())
      return blame(fits);
  return std::optional<Tokenizer>(std::move(*tokenizer));
}

} // namespace qopt::cli
