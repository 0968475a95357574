// ZIP as its specification (APPNOTE 6.3) has it, as far as .npz files need it:
// one disk, no encryption, stored or deflated members, ZIP64 sizes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/Npz.h"

#include "lib/Io/Npy.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <zlib.h>

namespace qopt::io {
namespace {

constexpr uint32_t localSignature = 0x04034b50, centralSignature = 0x02014b50,
                   endSignature = 0x06054b50, end64Signature = 0x06064b50,
                   locator64Signature = 0x07064b50;
constexpr size_t localSize = 30, centralSize = 46, endSize = 22, end64Size = 56,
                 locator64Size = 20;
constexpr uint16_t zip64Extra = 1, stored = 0, deflated = 8;
constexpr uint32_t in64 = 0xffffffff; ///< "see the ZIP64 field"
constexpr uint64_t mostMembers = 1 << 20;
/// Deflate's greatest ratio is a little above 1030.
constexpr uint64_t mostRatio = 1040;

struct Member {
  std::string name;
  uint16_t method = stored;
  uint32_t crc = 0;
  uint64_t packedSize = 0, size = 0, offset = 0;
};

/// Reads integers at checked places of an archive.
class Archive {
public:
  Archive(std::span<const uint8_t> bytes, std::string path)
      : bytes(bytes), path(std::move(path)) {}

  StatusOr<std::vector<Member>> members() const;
  StatusOr<Tensor> read(const Member &member) const;

private:
  struct Directory {
    uint64_t entries = 0, offset = 0;
  };
  Status damaged(const std::string &what) const {
    return {StatusCode::BadModel, "'" + path + "' is no .npz file: " + what};
  }
  bool holds(uint64_t at, uint64_t size) const {
    return at <= bytes.size() && size <= bytes.size() - at;
  }
  /// Of `width` bytes; `at` is inside.
  uint64_t integer(uint64_t at, int width) const {
    uint64_t value = 0;
    for (int i = 0; i < width; ++i)
      value |= uint64_t(bytes[at + uint64_t(i)]) << (8 * i);
    return value;
  }
  StatusOr<Directory> directory() const;
  bool readZip64(uint64_t extra, uint64_t extraSize, Member &member) const;
  StatusOr<std::vector<uint8_t>>
  inflateMember(const Member &member, std::span<const uint8_t> packed) const;

  std::span<const uint8_t> bytes;
  std::string path;
};

StatusOr<Archive::Directory> Archive::directory() const {
  // The end record is the last thing but for a comment of at most 64 KiB.
  if (bytes.size() < endSize)
    return damaged("it is too short for a ZIP archive");
  uint64_t lowest =
      bytes.size() > endSize + 0xffff ? bytes.size() - endSize - 0xffff : 0;
  for (uint64_t at = bytes.size() - endSize + 1; at-- > lowest;) {
    if (integer(at, 4) != endSignature ||
        at + endSize + integer(at + 20, 2) != bytes.size())
      continue;
    Directory found{integer(at + 10, 2), integer(at + 16, 4)};
    if (at < locator64Size ||
        integer(at - locator64Size, 4) != locator64Signature)
      return found;
    uint64_t end64 = integer(at - locator64Size + 8, 8);
    if (!holds(end64, end64Size) || integer(end64, 4) != end64Signature)
      return damaged("its ZIP64 end record is missing");
    return Directory{integer(end64 + 32, 8), integer(end64 + 48, 8)};
  }
  return damaged("it has no ZIP end record, perhaps it was cut short");
}

/// Takes those sizes from the ZIP64 field that the entry itself leaves open.
bool Archive::readZip64(uint64_t extra, uint64_t extraSize,
                        Member &member) const {
  for (uint64_t end = extra + extraSize; extra + 4 <= end;) {
    uint64_t tag = integer(extra, 2), size = integer(extra + 2, 2);
    extra += 4;
    if (size > end - extra)
      return false;
    uint64_t last = extra + size;
    for (uint64_t *value : {&member.size, &member.packedSize, &member.offset})
      if (tag == zip64Extra && *value == in64) {
        if (last - extra < 8)
          return false;
        *value = integer(extra, 8);
        extra += 8;
      }
    extra = last;
  }
  return true;
}

StatusOr<std::vector<Member>> Archive::members() const {
  StatusOr<Directory> place = directory();
  if (!place.ok())
    return place.status();
  if (place->entries > mostMembers)
    return damaged("it claims " + std::to_string(place->entries) + " members");
  std::vector<Member> found;
  std::set<std::string> names;
  uint64_t at = place->offset;
  for (uint64_t i = 0; i < place->entries; ++i) {
    if (!holds(at, centralSize) || integer(at, 4) != centralSignature)
      return damaged("its directory ends early");
    uint64_t nameSize = integer(at + 28, 2), extraSize = integer(at + 30, 2),
             commentSize = integer(at + 32, 2);
    if (!holds(at + centralSize, nameSize + extraSize + commentSize))
      return damaged("its directory ends early");
    Member member;
    member.name.assign(
        reinterpret_cast<const char *>(bytes.data() + at + centralSize),
        nameSize);
    if (integer(at + 8, 2) & 1)
      return Status(StatusCode::Unsupported,
                    "'" + path + "': '" + member.name + "' is encrypted");
    member.method = uint16_t(integer(at + 10, 2));
    member.crc = uint32_t(integer(at + 16, 4));
    member.packedSize = integer(at + 20, 4);
    member.size = integer(at + 24, 4);
    member.offset = integer(at + 42, 4);
    if (!readZip64(at + centralSize + nameSize, extraSize, member))
      return damaged("the entry of '" + member.name + "' is damaged");
    if (!names.insert(member.name).second)
      return damaged("'" + member.name + "' is there twice");
    at += centralSize + nameSize + extraSize + commentSize;
    found.push_back(std::move(member));
  }
  return found;
}

StatusOr<std::vector<uint8_t>>
Archive::inflateMember(const Member &member,
                       std::span<const uint8_t> packed) const {
  if (member.size / mostRatio > packed.size())
    return damaged("'" + member.name + "' claims more bytes than it can hold");
  std::vector<uint8_t> content(member.size);
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return Status(StatusCode::OutOfResources, "no memory to inflate");
  constexpr uint64_t piece = 1 << 30;
  uint64_t read = 0, written = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    uint64_t in = std::min(piece, packed.size() - read);
    uint64_t out = std::min(piece, content.size() - written);
    stream.next_in = const_cast<Bytef *>(packed.data() + read);
    stream.avail_in = uInt(in);
    stream.next_out = content.data() + written;
    stream.avail_out = uInt(out);
    state = ::inflate(&stream, Z_NO_FLUSH);
    uint64_t consumed = in - stream.avail_in, made = out - stream.avail_out;
    read += consumed;
    written += made;
    if (state == Z_OK && consumed == 0 && made == 0)
      state = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END || written != content.size())
    return damaged("'" + member.name + "' cannot be inflated");
  return content;
}

StatusOr<Tensor> Archive::read(const Member &member) const {
  if (!holds(member.offset, localSize) ||
      integer(member.offset, 4) != localSignature)
    return damaged("'" + member.name + "' is not where the directory says");
  uint64_t at = member.offset + localSize + integer(member.offset + 26, 2) +
                integer(member.offset + 28, 2);
  if (!holds(at, member.packedSize))
    return damaged("'" + member.name + "' reaches beyond the end of the file");
  std::span<const uint8_t> content = bytes.subspan(at, member.packedSize);
  std::vector<uint8_t> inflated;
  if (member.method == deflated) {
    StatusOr<std::vector<uint8_t>> result = inflateMember(member, content);
    if (!result.ok())
      return result.status();
    inflated = std::move(*result);
    content = inflated;
  } else if (member.method != stored || member.size != member.packedSize) {
    return Status(StatusCode::Unsupported,
                  "'" + path + "': '" + member.name +
                      "' is packed with method " +
                      std::to_string(member.method) +
                      "; expected stored (0) or deflated (8)");
  }
  if (crc32_z(0, content.data(), content.size()) != member.crc)
    return damaged("the checksum of '" + member.name + "' is wrong");
  std::string name = member.name;
  if (name.ends_with(".npy"))
    name.resize(name.size() - 4);
  return parseNpy(content, name);
}

/// Little-endian fields, one after the other.
class RecordWriter {
public:
  RecordWriter &put(uint64_t value, int width) {
    for (int i = 0; i < width; ++i)
      text += char(value >> (8 * i) & 0xff);
    return *this;
  }
  std::string text;
};

uint64_t orIn64(uint64_t value) { return value >= in64 ? in64 : value; }

/// The part that local and central records share, from "version needed" to the
/// length of the extra field.
void putEntry(RecordWriter &record, const Member &member, size_t extraSize) {
  constexpr uint32_t firstOfJanuary1980 = 0x00210000;
  record.put(extraSize ? 45 : 20, 2).put(0x0800, 2).put(stored, 2);
  record.put(firstOfJanuary1980, 4).put(member.crc, 4);
  record.put(orIn64(member.size), 4).put(orIn64(member.size), 4);
  record.put(member.name.size(), 2).put(extraSize, 2);
}

std::string localRecord(const Member &member) {
  RecordWriter extra, record;
  if (member.size >= in64)
    extra.put(zip64Extra, 2).put(16, 2).put(member.size, 8).put(member.size, 8);
  record.put(localSignature, 4);
  putEntry(record, member, extra.text.size());
  return record.text + member.name + extra.text;
}

std::string centralRecord(const Member &member) {
  RecordWriter sizes, extra, record;
  if (member.size >= in64)
    sizes.put(member.size, 8).put(member.size, 8);
  if (member.offset >= in64)
    sizes.put(member.offset, 8);
  if (!sizes.text.empty())
    extra.put(zip64Extra, 2).put(sizes.text.size(), 2);
  extra.text += sizes.text;
  record.put(centralSignature, 4).put(45, 2);
  putEntry(record, member, extra.text.size());
  record.put(0, 2).put(0, 2).put(0, 2).put(0, 4).put(orIn64(member.offset), 4);
  return record.text + member.name + extra.text;
}

std::string endRecords(uint64_t entries, uint64_t offset, uint64_t size) {
  RecordWriter record;
  bool wide = entries >= 0xffff || offset >= in64 || size >= in64;
  if (wide) {
    record.put(end64Signature, 4).put(end64Size - 12, 8).put(45, 2).put(45, 2);
    record.put(0, 4).put(0, 4).put(entries, 8).put(entries, 8);
    record.put(size, 8).put(offset, 8);
    record.put(locator64Signature, 4).put(0, 4).put(offset + size, 8).put(1, 4);
  }
  uint64_t count = std::min<uint64_t>(entries, 0xffff);
  record.put(endSignature, 4).put(0, 2).put(0, 2).put(count, 2).put(count, 2);
  record.put(orIn64(size), 4).put(orIn64(offset), 4).put(0, 2);
  return record.text;
}

} // namespace

StatusOr<std::vector<Tensor>> readNpz(const std::string &path) {
  StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  Archive archive((*file)->bytes(), path);
  StatusOr<std::vector<Member>> members = archive.members();
  if (!members.ok())
    return members.status();
  std::vector<Tensor> tensors;
  for (const Member &member : *members) {
    StatusOr<Tensor> tensor = archive.read(member);
    if (!tensor.ok())
      return tensor.status();
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

Status writeNpz(const std::string &path,
                const std::vector<TensorView> &tensors) {
  StatusOr<std::unique_ptr<FileWriter>> file = FileWriter::create(path);
  if (!file.ok())
    return file.status();
  uint64_t position = 0;
  std::string directory;
  for (const TensorView &view : tensors) {
    Tensor tensor = toNumpyType(view);
    std::string header = spellNpyHeader(tensor.type(), tensor.shape());
    std::span<const uint8_t> data(tensor.as<uint8_t>(), tensor.bytes());
    Member member{view.name + ".npy"};
    if (member.name.size() > std::numeric_limits<uint16_t>::max())
      return {StatusCode::Unsupported,
              "the name of a tensor is too long for a .npz file"};
    member.size = header.size() + data.size();
    member.offset = position;
    uLong crc = crc32_z(0, reinterpret_cast<const Bytef *>(header.data()),
                        header.size());
    member.crc =
        uint32_t(data.empty() ? crc : crc32_z(crc, data.data(), data.size()));
    std::string local = localRecord(member);
    QOPT_RETURN_IF_ERROR((*file)->append(local));
    QOPT_RETURN_IF_ERROR((*file)->append(header));
    QOPT_RETURN_IF_ERROR((*file)->append(data));
    position += local.size() + member.size;
    directory += centralRecord(member);
  }
  QOPT_RETURN_IF_ERROR((*file)->append(directory));
  QOPT_RETURN_IF_ERROR(
      (*file)->append(endRecords(tensors.size(), position, directory.size())));
  return (*file)->finish();
}

} // namespace qopt::io
