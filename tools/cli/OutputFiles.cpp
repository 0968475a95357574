// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/OutputFiles.h"

#include "lib/Io/FileAccess.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

namespace qopt::cli {

namespace fs = std::filesystem;

static bool samePath(const fs::path &a, const fs::path &b) {
  std::error_code error;
  if (fs::equivalent(a, b, error))
    return true;
  fs::path first = fs::weakly_canonical(a, error);
  return !first.empty() && first == fs::weakly_canonical(b, error);
}

static std::string_view textOf(const io::MappedFile &file) {
  std::span<const uint8_t> bytes = file.bytes();
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// The text without white space, as far as a beginning needs it.
static std::string squeezed(std::string_view text) {
  std::string result;
  for (unsigned char c : text.substr(0, 1024))
    if (!std::isspace(c))
      result += char(c);
  return result;
}

/// A zip file whose first member is a .npy; one without members counts too.
/// PyTorch's checkpoints and office documents are zip files as well.
static bool beginsAsNpz(std::string_view text) {
  constexpr size_t nameLengthAt = 26, nameAt = 30;
  if (text.starts_with("PK\5\6"))
    return true;
  if (!text.starts_with("PK\3\4") || text.size() < nameAt)
    return false;
  size_t length = uint8_t(text[nameLengthAt]) |
                  size_t(uint8_t(text[nameLengthAt + 1])) << 8;
  return text.substr(nameAt, length).ends_with(".npy");
}

/// "module {", or the alias of an attribute before it: "#map = "; or bytecode.
static bool beginsAsMlir(std::string_view text) {
  if (text.starts_with("module") || text.starts_with("ML\xefR"))
    return true;
  std::string_view line = text.substr(0, text.find('\n'));
  size_t name = 1;
  while (name < line.size() &&
         (std::isalnum(uint8_t(line[name])) || line[name] == '_'))
    ++name;
  return line.starts_with('#') && name > 1 &&
         line.substr(name).starts_with(" = ");
}

/// ".version 8.6" after comments.
static bool beginsAsPtx(std::string_view text) {
  while (text.starts_with("//") || text.starts_with("\n")) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos)
      return false;
    text.remove_prefix(end + 1);
  }
  return text.starts_with(".version");
}

static bool beginsAs(OutputKind kind, std::string_view text) {
  switch (kind) {
  case OutputKind::Npy:
    return text.starts_with("\x93NUMPY");
  case OutputKind::Npz:
    return beginsAsNpz(text);
  case OutputKind::Mlir:
    return beginsAsMlir(text);
  case OutputKind::Ptx:
    return beginsAsPtx(text);
  case OutputKind::Cubin:
    return text.starts_with("\x7f"
                            "ELF");
  case OutputKind::KernelRecord:
    return squeezed(text).starts_with("{\"tool\":\"qopt-kernel\"");
  case OutputKind::Plan:
    return squeezed(text).starts_with("{\"schema\":\"qopt-plan-");
  case OutputKind::EvalReport:
    return squeezed(text).starts_with("{\"tool\":\"qopt-eval\"");
  case OutputKind::EvalPage:
    return squeezed(text).starts_with("<!DOCTYPEhtml><!--qopt-eval-->");
  case OutputKind::BenchReport:
    break;
  }
  std::string start = squeezed(text);
  return start.starts_with("{\"tool\":\"qopt-bench\"") ||
         start.starts_with("what,size,batch,tokens_per_second,") ||
         start.starts_with("|what|tokens/s|p50ms|");
}

static const char *spell(OutputKind kind) {
  switch (kind) {
  case OutputKind::Npy:
    return "a .npy array";
  case OutputKind::Npz:
    return "a .npz file";
  case OutputKind::EvalReport:
    return "a report of qopt-eval";
  case OutputKind::EvalPage:
    return "a page of qopt-eval";
  case OutputKind::BenchReport:
    return "a report of qopt-bench";
  case OutputKind::Ptx:
    return "PTX";
  case OutputKind::Cubin:
    return "machine code of a GPU";
  case OutputKind::KernelRecord:
    return "a record of qopt-kernel";
  case OutputKind::Plan:
    return "a plan of qopt-compile";
  case OutputKind::Mlir:
    break;
  }
  return "MLIR";
}

/// True where `output` lies in `folder` or below and the model names it: an
/// external location is stored as it is spelt.
static bool namedByModel(const fs::path &model, const fs::path &folder,
                         const fs::path &output) {
  std::error_code error;
  fs::path inside = fs::canonical(output, error);
  fs::path outer = fs::canonical(folder, error);
  if (std::mismatch(outer.begin(), outer.end(), inside.begin(), inside.end())
          .first != outer.end())
    return false;
  StatusOr<std::shared_ptr<const io::MappedFile>> file =
      io::MappedFile::open(model.string());
  return file.ok() && textOf(**file).find(output.filename().string()) !=
                          std::string_view::npos;
}

/// Whether a tool that is given `input` reads the existing file `output`.
static bool reads(const std::string &input, const fs::path &output) {
  std::error_code error;
  if (samePath(input, output))
    return true;
  bool isFolder = fs::is_directory(input, error);
  if (!isFolder && fs::path(input).extension() != ".onnx")
    return false;
  fs::path folder = isFolder ? fs::path(input) : fs::path(input).parent_path();
  if (folder.empty())
    folder = ".";
  for (const fs::directory_entry &entry :
       fs::directory_iterator(folder, error)) {
    const fs::path &path = entry.path();
    std::string name = path.filename().string();
    bool isModel = path.extension() == ".onnx";
    if ((isModel || path.extension() == ".qopt" || name == "config.json" ||
         name == "generation_config.json" || name == "genai_config.json" ||
         name == "tokenizer.json") &&
        samePath(path, output))
      return true;
    if (isModel && namedByModel(path, folder, output))
      return true;
  }
  return false;
}

Status checkOutput(const std::string &option, const std::string &output,
                   OutputKind kind, const std::vector<std::string> &inputs) {
  std::error_code error;
  if (output.empty())
    return {};
  bool exists = fs::exists(output, error);
  for (const std::string &input : inputs)
    if (!input.empty() &&
        (exists ? reads(input, output) : samePath(input, output)))
      return {StatusCode::InvalidArgument,
              option + " is '" + output +
                  "', which is read too; name another file"};
  if (!exists)
    return {};
  if (!fs::is_regular_file(output, error))
    return {StatusCode::Unwritable, "cannot write '" + output +
                                        "': it exists and is not a regular "
                                        "file"};
  StatusOr<std::shared_ptr<const io::MappedFile>> file =
      io::MappedFile::open(output);
  if (file.ok() && ((*file)->bytes().empty() || beginsAs(kind, textOf(**file))))
    return {};
  return {StatusCode::InvalidArgument,
          "will not replace '" + output + "': it is not " + spell(kind) +
              "; remove it or name another file for " + option};
}

Status checkOutputsDiffer(const std::string &option, const std::string &output,
                          const std::string &otherOption,
                          const std::string &other) {
  if (output.empty() || other.empty() || !samePath(output, other))
    return {};
  return {StatusCode::InvalidArgument, otherOption + " is '" + other +
                                           "', which " + option +
                                           " writes too; name another file"};
}

} // namespace qopt::cli
