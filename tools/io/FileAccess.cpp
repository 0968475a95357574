// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/io/FileAccess.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt::io {

static Status cannotRead(const std::string &path, const char *why) {
  return {StatusCode::NotFound, "cannot read '" + path + "': " + why};
}

StatusOr<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return cannotRead(path, std::strerror(errno));
  struct stat info;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(file);
    return cannotRead(path, "not an ordinary file");
  }
  size_t size = size_t(info.st_size);
  void *memory = nullptr;
  if (size > 0)
    memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  int failed = errno;
  ::close(file);
  if (memory == MAP_FAILED)
    return cannotRead(path, std::strerror(failed));
  return std::shared_ptr<const MappedFile>(
      new MappedFile({static_cast<const uint8_t *>(memory), size}));
}

MappedFile::~MappedFile() {
  if (!mapping.empty())
    ::munmap(const_cast<uint8_t *>(mapping.data()), mapping.size());
}

StatusOr<std::string> readText(const std::string &path) {
  StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  std::span<const uint8_t> bytes = (*file)->bytes();
  if (bytes.size() > (size_t(1) << 30))
    return Status(StatusCode::Unsupported,
                  "'" + path + "' is larger than 1 GiB, too long for a text");
  return std::string(reinterpret_cast<const char *>(bytes.data()),
                     bytes.size());
}

StatusOr<std::unique_ptr<FileWriter>>
FileWriter::create(const std::string &path) {
  StatusOr<runtime::OutputFile> file = runtime::OutputFile::create(path);
  if (!file.ok())
    return file.status();
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(*file)));
}

Status FileWriter::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(file.descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return file.failure("write");
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

Status FileWriter::append(std::string_view text) {
  return append({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

Status FileWriter::finish() { return file.publish(); }

} // namespace qopt::io
