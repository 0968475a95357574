// External tensor data: openat2 below the model's folder where the kernel has
// it, else a walk over the path's components that follows no link.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ExternalData.h"
#include "onnx-file.pb.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SHA1.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace qopt::import {

static Status bad(const llvm::Twine &message) {
  return Status(StatusCode::BadModel, message.str());
}

ExternalData::~ExternalData() {
  if (folderDescriptor >= 0)
    close(folderDescriptor);
}

/// The path's components, or a failure for a path that could leave the folder.
static StatusOr<llvm::SmallVector<std::string>>
splitLocation(const std::string &location) {
  auto refuse = [&](const llvm::Twine &why) {
    return bad("the external data location \"" + location + "\" " + why +
               "; expected a relative path below the model's folder");
  };
  if (location.empty())
    return refuse("is empty");
  if (location.find('\0') != std::string::npos)
    return bad("the external data location has a NUL character");
  if (location.front() == '/' || location.find('\\') != std::string::npos)
    return refuse("is absolute or has a backslash");
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::StringRef(location).split(parts, '/', -1, /*KeepEmpty=*/false);
  llvm::SmallVector<std::string> components;
  for (llvm::StringRef part : parts) {
    if (part == "..")
      return refuse("leaves the model's folder");
    if (part != ".")
      components.push_back(part.str());
  }
  if (components.empty())
    return refuse("names no file");
  return components;
}

int openStepwise(int folder, llvm::ArrayRef<std::string> components) {
  int current = dup(folder);
  for (size_t i = 0; current >= 0 && i < components.size(); ++i) {
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    if (i + 1 < components.size())
      flags |= O_DIRECTORY;
    int next = openat(current, components[i].c_str(), flags);
    int saved = errno;
    close(current);
    errno = saved;
    current = next;
  }
  return current;
}

StatusOr<int> ExternalData::openBeneath(const std::string &location) {
  auto components = splitLocation(location);
  if (!components)
    return components.status();
  if (folderDescriptor < 0)
    folderDescriptor = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folderDescriptor < 0)
    return Status(StatusCode::NotFound, "cannot open the model's folder \"" +
                                            folder +
                                            "\": " + std::strerror(errno));
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  int descriptor = syscall(SYS_openat2, folderDescriptor, location.c_str(),
                           &how, sizeof(how));
  // Kernels before 5.6 do not have the call; sandboxes may forbid it.
  if (descriptor < 0 && (errno == ENOSYS || errno == EPERM))
    descriptor = openStepwise(folderDescriptor, *components);
  if (descriptor >= 0)
    return descriptor;
  if (errno == ELOOP || errno == EXDEV)
    return bad("the external data file \"" + location +
               "\" is reached through a symbolic link, which is refused; put "
               "the file itself beside the model");
  if (errno == ENOENT || errno == ENOTDIR)
    return Status(StatusCode::NotFound, "the external data file \"" + location +
                                            "\" is missing; expected it in \"" +
                                            folder + "\"");
  return Status(StatusCode::NotFound, "cannot open the external data file \"" +
                                          location +
                                          "\": " + std::strerror(errno));
}

StatusOr<ExternalData::File *> ExternalData::open(const std::string &location) {
  if (auto found = files.find(location); found != files.end())
    return &found->second;
  StatusOr<int> descriptor = openBeneath(location);
  if (!descriptor)
    return descriptor.status();
  llvm::scope_exit closing([&] { close(*descriptor); });
  struct stat facts;
  if (fstat(*descriptor, &facts) == 0 && S_ISREG(facts.st_mode) &&
      facts.st_nlink > 1)
    return bad("the external data file \"" + location + "\" has " +
               std::to_string(facts.st_nlink) +
               " hard links, which is refused; put a copy beside the model");
  auto mapping = MappedFile::map(*descriptor, location);
  if (!mapping)
    return mapping.status();
  File &file = files[location];
  file.mapping = *mapping;
  return &file;
}

namespace {

struct Entries {
  std::string location, checksum;
  std::optional<uint64_t> offset, length;
};

} // namespace

static StatusOr<Entries> readEntries(const onnx_file::TensorProto &tensor) {
  Entries entries;
  llvm::StringSet<> given;
  for (const auto &entry : tensor.external_data()) {
    llvm::StringRef key = entry.key(), value = entry.value();
    if (!given.insert(key).second)
      return bad("the external data key \"" + key + "\" is given twice");
    if (key == "location") {
      entries.location = value.str();
    } else if (key == "offset" || key == "length") {
      uint64_t number;
      if (value.getAsInteger(10, number) || number > (uint64_t(1) << 62))
        return bad("the external data " + key + " is \"" + value +
                   "\"; expected a number of bytes");
      (key == "offset" ? entries.offset : entries.length) = number;
    } else if (key == "checksum") {
      entries.checksum = value.lower();
    } else if (key != "basepath") {
      return bad("the external data key \"" + key +
                 "\" is not known; expected location, offset, length, "
                 "checksum or basepath");
    }
  }
  return entries;
}

static Status verifyChecksum(llvm::ArrayRef<char> bytes,
                             const std::string &expected) {
  auto digest = llvm::SHA1::hash(llvm::ArrayRef(
      reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  std::string actual = llvm::toHex(digest, /*LowerCase=*/true);
  if (actual == expected)
    return {};
  return bad("the external data has SHA-1 " + actual + "; expected " +
             expected);
}

StatusOr<ExternalData::Place>
ExternalData::placeOf(const onnx_file::TensorProto &tensor, uint64_t expected) {
  StatusOr<Entries> entries = readEntries(tensor);
  if (!entries)
    return entries.status();
  if (uint64_t length = entries->length.value_or(expected); length != expected)
    return bad("the external data has " + llvm::Twine(length) +
               " bytes; expected " + llvm::Twine(expected));
  return Place{entries->location, entries->offset.value_or(0) + expected};
}

StatusOr<TensorBytes> ExternalData::read(const onnx_file::TensorProto &tensor,
                                         uint64_t expected) {
  StatusOr<Entries> entries = readEntries(tensor);
  if (!entries)
    return entries.status();
  StatusOr<File *> file = open(entries->location);
  if (!file)
    return file.status();
  uint64_t size = (*file)->mapping->size();
  uint64_t offset = entries->offset.value_or(0);
  if (offset > size)
    return bad("the external data offset " + llvm::Twine(offset) +
               " is beyond the end of \"" + entries->location + "\", " +
               llvm::Twine(size) + " bytes long");
  uint64_t length = entries->length.value_or(size - offset);
  if (length > size - offset)
    return bad("the external data file \"" + entries->location +
               "\" is too short: bytes " + llvm::Twine(offset) + " to " +
               llvm::Twine(offset + length) + " were asked of " +
               llvm::Twine(size));
  if (length != expected)
    return bad("the external data has " + llvm::Twine(length) +
               " bytes; expected " + llvm::Twine(expected));
  if (length > 0) {
    auto &ranges = (*file)->ranges;
    uint64_t end = offset + length;
    auto next = ranges.lower_bound(offset);
    bool same =
        next != ranges.end() && next->first == offset && next->second == end;
    bool overlaps =
        (next != ranges.end() && next->first < end) ||
        (next != ranges.begin() && std::prev(next)->second > offset);
    if (!same && overlaps)
      return bad("the external data range at " + llvm::Twine(offset) +
                 " of \"" + entries->location +
                 "\" overlaps that of another tensor in part");
    ranges[offset] = end;
  }
  llvm::ArrayRef<char> bytes((*file)->mapping->data() + offset, length);
  if (!entries->checksum.empty() && checksums == Checksums::Verify)
    QOPT_RETURN_IF_ERROR(verifyChecksum(bytes, entries->checksum));
  return TensorBytes{bytes, (*file)->mapping, /*isMapped=*/true};
}

} // namespace qopt::import
