// The walk over the wire format of an ONNX file, and its parsing.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ModelFile.h"
#include "lib/Import/Onnx/LocateModel.h"
#include "lib/Import/Onnx/OpTable.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace qopt::import {

namespace {

/// The messages on the way to a tensor; every other field is copied as it is.
enum class Message {
  Model,
  Graph,
  Node,
  Attribute,
  Tensor,
  SparseTensor,
  Function,
  Opaque,
};

/// What a field of a message holds. Field numbers are those of onnx.proto.
Message childOf(Message parent, uint32_t field) {
  switch (parent) {
  case Message::Model:
    return field == 7    ? Message::Graph
           : field == 25 ? Message::Function
                         : Message::Opaque;
  case Message::Graph:
    return field == 1    ? Message::Node
           : field == 5  ? Message::Tensor
           : field == 15 ? Message::SparseTensor
                         : Message::Opaque;
  case Message::Node:
    return field == 5 ? Message::Attribute : Message::Opaque;
  case Message::Attribute:
    if (field == 5 || field == 10)
      return Message::Tensor;
    if (field == 6 || field == 11)
      return Message::Graph;
    return field == 22 || field == 23 ? Message::SparseTensor : Message::Opaque;
  case Message::SparseTensor:
    return field == 1 || field == 2 ? Message::Tensor : Message::Opaque;
  case Message::Function:
    return field == 7    ? Message::Node
           : field == 11 ? Message::Attribute
                         : Message::Opaque;
  default:
    return Message::Opaque;
  }
}

constexpr uint32_t rawDataField = 9;
/// Graphs in attributes of nodes of graphs; protobuf itself stops at 100
/// messages, three of which make one such level.
constexpr unsigned deepestMessage = 96;

/// A reader of a byte range that never leaves it.
class Wire {
public:
  Wire(const char *begin, const char *end) : next(begin), end(end) {}

  bool done() const { return next == end; }
  const char *place() const { return next; }

  bool varint(uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (next == end)
        return false;
      uint8_t byte = *next++;
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return true;
    }
    return false;
  }
  bool skip(uint64_t count) {
    if (count > static_cast<uint64_t>(end - next))
      return false;
    next += count;
    return true;
  }

private:
  const char *next, *end;
};

void appendVarint(std::string &out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

/// Makes the copy without weights.
class Stripper {
public:
  explicit Stripper(const char *file) : file(file) {}

  /// False where the bytes are no well-formed message.
  bool strip(const char *begin, const char *end, Message message,
             unsigned depth, std::string &out) {
    if (depth > deepestMessage) {
      tooDeep = true;
      return false;
    }
    Wire wire(begin, end);
    while (!wire.done()) {
      const char *start = wire.place();
      uint64_t tag;
      if (!wire.varint(tag) || (tag >> 3) == 0 || (tag >> 3) > UINT32_MAX)
        return false;
      uint32_t field = tag >> 3;
      uint64_t value;
      switch (tag & 7) {
      case 0:
        if (!wire.varint(value))
          return false;
        break;
      case 1:
        if (!wire.skip(8))
          return false;
        break;
      case 5:
        if (!wire.skip(4))
          return false;
        break;
      case 2: {
        if (!wire.varint(value))
          return false;
        const char *inner = wire.place();
        if (!wire.skip(value))
          return false;
        if (!copyField(inner, value, message, field, depth, start, out))
          return false;
        continue;
      }
      default:
        return false;
      }
      out.append(start, wire.place());
    }
    return true;
  }

  bool tooDeep = false;

private:
  bool copyField(const char *inner, uint64_t size, Message message,
                 uint32_t field, unsigned depth, const char *start,
                 std::string &out) {
    if (message == Message::Tensor && field == rawDataField) {
      uint64_t range[2] = {static_cast<uint64_t>(inner - file), size};
      appendVarint(out, field << 3 | 2);
      appendVarint(out, sizeof(range));
      out.append(reinterpret_cast<const char *>(range), sizeof(range));
      return true;
    }
    Message child = childOf(message, field);
    if (child == Message::Opaque) {
      out.append(start, inner + size);
      return true;
    }
    std::string content;
    if (!strip(inner, inner + size, child, depth + 1, content))
      return false;
    appendVarint(out, uint64_t(field) << 3 | 2);
    appendVarint(out, content.size());
    out += content;
    return true;
  }

  const char *file;
};

} // namespace

static StatusOr<std::shared_ptr<MappedFile>> mapModel(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return Status(StatusCode::NotFound,
                  "cannot open \"" + path + "\": " + std::strerror(errno));
  llvm::scope_exit closing([&] { close(descriptor); });
  return MappedFile::map(descriptor, path);
}

/// What a file that is no ONNX model looks like, for the message.
static const char *looksLike(llvm::StringRef bytes) {
  if (bytes.starts_with("PK\x03\x04"))
    return "; it looks like a zip archive or a PyTorch checkpoint";
  if (bytes.starts_with("GGUF"))
    return "; it looks like a GGUF file";
  if (bytes.starts_with("version https://git-lfs"))
    return "; it is a Git LFS pointer, fetch the file with git lfs pull";
  if (bytes.size() > 9 && bytes[8] == '{')
    return "; it looks like a safetensors file, export it to ONNX first";
  return "";
}

StatusOr<ModelFile> ModelFile::open(const std::string &path) {
  ModelFile result;
  StatusOr<std::string> located = locateModel(path);
  if (!located)
    return located.status();
  result.file = *located;
  result.directory = llvm::sys::path::parent_path(result.file).str();
  if (result.directory.empty())
    result.directory = ".";
  auto mapping = mapModel(result.file);
  if (!mapping)
    return mapping.status();
  result.mapped = *mapping;
  const char *data = result.mapped->data();
  size_t size = result.mapped->size();
  auto bad = [&](const std::string &why) {
    return Status(StatusCode::BadModel, "\"" + result.file + "\" " + why);
  };
  if (size == 0)
    return bad("is empty");
  if (size > INT32_MAX)
    return bad("is larger than the 2 GB that protobuf allows; save the model "
               "with external data");
  Stripper stripper(data);
  std::string small;
  if (!stripper.strip(data, data + size, Message::Model, 0, small)) {
    if (stripper.tooDeep)
      return bad("nests graphs too deeply; the limit is 32 levels");
    return bad(std::string("is no ONNX file, or is cut short") +
               looksLike(llvm::StringRef(data, size)));
  }
  result.proto = std::make_unique<onnx_file::ModelProto>();
  if (!result.proto->ParseFromString(small))
    return bad(std::string("is no ONNX file, or is damaged") +
               looksLike(llvm::StringRef(data, size)));
  if (!result.proto->has_graph() || result.proto->opset_import_size() == 0)
    return bad("is no ONNX file: it has no graph or names no opset");
  if (result.proto->ir_version() <= 0)
    return bad("has no ir_version; expected " + std::to_string(oldestIr) +
               " to " + std::to_string(newestIr));
  return result;
}

llvm::ArrayRef<char>
ModelFile::rawData(const onnx_file::TensorProto &tensor) const {
  uint64_t range[2];
  if (tensor.raw_data().size() != sizeof(range))
    return {};
  std::memcpy(range, tensor.raw_data().data(), sizeof(range));
  if (range[0] > mapped->size() || range[1] > mapped->size() - range[0])
    return {};
  return {mapped->data() + range[0], static_cast<size_t>(range[1])};
}

} // namespace qopt::import
