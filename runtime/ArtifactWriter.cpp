// Streaming output of an artifact; see ArtifactFormat.h for the layout of the
// bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/ArtifactWriter.h"

#include "runtime/ArtifactFormat.h"
#include "runtime/plan/PlanVerifier.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt::runtime {

static constexpr size_t bufferSize = size_t(1) << 20;

/// Only an artifact may be replaced: whatever else has the name of the output
/// (a model, its weights, a tokenizer) is somebody's file.
static Status checkReplaceable(const std::string &path) {
  struct stat existing;
  if (::stat(path.c_str(), &existing) != 0)
    return {};
  if (!S_ISREG(existing.st_mode))
    return Status(StatusCode::Unwritable,
                  "cannot write '" + path +
                      "': it exists and is not a regular file");
  uint8_t start[sizeof(artifactMagic)] = {};
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ssize_t count = file < 0 ? -1 : ::read(file, start, sizeof(start));
  if (file >= 0)
    ::close(file);
  if (count == 0 || (count == ssize_t(sizeof(start)) &&
                     std::equal(start, start + count, artifactMagic)))
    return {};
  return Status(StatusCode::InvalidArgument,
                "will not replace '" + path +
                    "': it is not an artifact; remove it or name another "
                    "output");
}

StatusOr<std::unique_ptr<ArtifactWriter>>
ArtifactWriter::create(const std::string &path) {
  QOPT_RETURN_IF_ERROR(checkReplaceable(path));
  StatusOr<OutputFile> file = OutputFile::create(path);
  if (!file.ok())
    return file.status();
  auto writer =
      std::unique_ptr<ArtifactWriter>(new ArtifactWriter(std::move(*file)));
  QOPT_RETURN_IF_ERROR(writer->padToAlignment());
  return writer;
}

ArtifactWriter::ArtifactWriter(OutputFile file) : file(std::move(file)) {
  // The header's page is reserved now and filled at the end.
  pending.reserve(bufferSize);
  pending.assign(segmentAlignment, 0);
  position = segmentAlignment;
}

Status ArtifactWriter::flush() {
  const uint8_t *bytes = pending.data();
  size_t left = pending.size();
  while (left > 0) {
    ssize_t written = ::write(file.descriptor(), bytes, left);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return file.failure("write");
    bytes += written;
    left -= size_t(written);
  }
  pending.clear();
  return {};
}

Status ArtifactWriter::write(const void *bytes, size_t size) {
  const auto *from = static_cast<const uint8_t *>(bytes);
  while (size > 0) {
    size_t take = std::min(size, bufferSize - pending.size());
    pending.insert(pending.end(), from, from + take);
    from += take, size -= take, position += take;
    if (pending.size() == bufferSize)
      QOPT_RETURN_IF_ERROR(flush());
  }
  return {};
}

Status ArtifactWriter::padToAlignment() {
  static const uint8_t zeros[segmentAlignment] = {};
  return write(zeros, alignSegment(position) - position);
}

StatusOr<uint32_t> ArtifactWriter::beginSegment(plan::SegmentKind kind,
                                                const std::string &name) {
  assert(!open && "the segment before has not ended");
  QOPT_RETURN_IF_ERROR(padToAlignment());
  auto segment = std::make_unique<plan::SegmentT>();
  segment->kind = kind;
  segment->name = name;
  segment->offset = position;
  segments.push_back(std::move(segment));
  hash = Sha256();
  open = true;
  hasHole = false;
  return uint32_t(segments.size() - 1);
}

uint64_t ArtifactWriter::segmentSize() const {
  return position - segments.back()->offset;
}

Status ArtifactWriter::append(std::span<const uint8_t> bytes) {
  assert(open && "no segment is open");
  hash.update(bytes.data(), bytes.size());
  return write(bytes.data(), bytes.size());
}

Status ArtifactWriter::appendHole(uint64_t size) {
  assert(open && "no segment is open");
  hasHole = true;
  QOPT_RETURN_IF_ERROR(flush());
  if (::lseek(file.descriptor(), off_t(size), SEEK_CUR) < 0)
    return file.failure("write");
  position += size;
  return {};
}

Status ArtifactWriter::alignTo(uint64_t alignment) {
  uint64_t rest = segmentSize() % alignment;
  if (rest == 0)
    return {};
  return append(std::vector<uint8_t>(alignment - rest));
}

Status ArtifactWriter::endSegment() {
  assert(open && "no segment is open");
  open = false;
  Digest digest = hash.finish();
  segments.back()->size = segmentSize();
  segments.back()->sha256.assign(digest.begin(), digest.end());
  return {};
}

StatusOr<uint32_t> ArtifactWriter::endSharedSegment() {
  QOPT_RETURN_IF_ERROR(endSegment());
  const plan::SegmentT &last = *segments.back();
  auto same = std::find_if(segments.begin(), segments.end(), [&](auto &other) {
    return other->kind == last.kind && other->size == last.size &&
           other->sha256 == last.sha256;
  });
  auto index = uint32_t(same - segments.begin());
  if (hasHole || index + 1 == segments.size())
    return uint32_t(segments.size() - 1);
  QOPT_RETURN_IF_ERROR(flush());
  QOPT_RETURN_IF_ERROR(cutTo(last.offset));
  segments.pop_back();
  return index;
}

Status ArtifactWriter::cutTo(uint64_t bytes) {
  if (::ftruncate(file.descriptor(), off_t(bytes)) != 0 ||
      ::lseek(file.descriptor(), off_t(bytes), SEEK_SET) < 0)
    return file.failure("write");
  position = bytes;
  return {};
}

StatusOr<uint32_t> ArtifactWriter::addSegment(plan::SegmentKind kind,
                                              const std::string &name,
                                              std::span<const uint8_t> bytes) {
  StatusOr<uint32_t> index = beginSegment(kind, name);
  if (!index.ok())
    return index;
  QOPT_RETURN_IF_ERROR(append(bytes));
  QOPT_RETURN_IF_ERROR(endSegment());
  return index;
}

Status ArtifactWriter::writePlan(plan::PlanT &plan) {
  assert(!open && "the last segment has not ended");
  plan.segments = std::move(segments);
  flatbuffers::FlatBufferBuilder builder;
  plan::FinishPlanBuffer(builder, plan::Plan::Pack(builder, &plan));
  // A file that no runtime opens is worse than none.
  if (Status status = verifyPlan(*plan::GetPlan(builder.GetBufferPointer()));
      !status.ok())
    return Status(StatusCode::Internal,
                  "the artifact would not be valid: " + status.message());
  QOPT_RETURN_IF_ERROR(padToAlignment());

  ArtifactHeader header = {};
  std::copy_n(artifactMagic, sizeof(artifactMagic), header.magic);
  header.version = formatVersion;
  header.headerSize = sizeof(header);
  header.planOffset = position;
  header.planSize = builder.GetSize();
  header.fileSize = position + builder.GetSize();
  Digest digest = Sha256::of(builder.GetBufferPointer(), builder.GetSize());
  std::copy(digest.begin(), digest.end(), header.planDigest);
  digest = Sha256::of(&header, offsetof(ArtifactHeader, headerDigest));
  std::copy(digest.begin(), digest.end(), header.headerDigest);

  QOPT_RETURN_IF_ERROR(write(builder.GetBufferPointer(), builder.GetSize()));
  QOPT_RETURN_IF_ERROR(flush());
  if (::pwrite(file.descriptor(), &header, sizeof(header), 0) !=
      ssize_t(sizeof(header)))
    return file.failure("write");
  return {};
}

Status ArtifactWriter::preview(
    plan::PlanT &plan,
    const std::function<Status(const std::string &path)> &read) {
  QOPT_RETURN_IF_ERROR(padToAlignment());
  uint64_t end = position;
  QOPT_RETURN_IF_ERROR(writePlan(plan));
  segments = std::move(plan.segments);
  QOPT_RETURN_IF_ERROR(read(file.readablePath()));
  // What comes next overwrites the plan.
  return cutTo(end);
}

Status ArtifactWriter::finish(plan::PlanT &plan) {
  QOPT_RETURN_IF_ERROR(writePlan(plan));
  if (::fsync(file.descriptor()) != 0)
    return file.failure("write");
  return file.publish();
}

} // namespace qopt::runtime
