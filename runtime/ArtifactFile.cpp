// Opens and checks an artifact; see ArtifactFormat.h for the layout of the
// bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/ArtifactFile.h"

#include "runtime/ArtifactFormat.h"
#include "runtime/InputFile.h"
#include "runtime/Sha256.h"
#include "runtime/plan/PlanVerifier.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <vector>

namespace qopt::runtime {

StatusOr<std::shared_ptr<const ArtifactFile>>
ArtifactFile::open(const std::string &path, Integrity integrity) {
  StatusOr<InputFile> file = InputFile::open(path);
  if (!file.ok())
    return file.status();
  if (file->size() < segmentAlignment)
    return Status(StatusCode::BadArtifact,
                  "'" + path + "' is not an artifact: expected at least " +
                      std::to_string(segmentAlignment) + " bytes, got " +
                      std::to_string(file->size()));
  StatusOr<std::span<const uint8_t>> mapped = file->map();
  if (!mapped.ok())
    return mapped.status();
  auto artifact =
      std::shared_ptr<ArtifactFile>(new ArtifactFile(path, *mapped));
  QOPT_RETURN_IF_ERROR(artifact->check(integrity));
  return std::shared_ptr<const ArtifactFile>(std::move(artifact));
}

ArtifactFile::~ArtifactFile() {
  ::munmap(const_cast<uint8_t *>(mapping.data()), mapping.size());
}

std::span<const uint8_t> ArtifactFile::segment(uint32_t index) const {
  const plan::Segment &entry = *planRoot->segments()->Get(index);
  return mapping.subspan(entry.offset(), entry.size());
}

std::span<const uint8_t> ArtifactFile::tokenizer() const {
  int32_t index = planRoot->manifest()->tokenizer_segment();
  return index < 0 ? std::span<const uint8_t>() : segment(uint32_t(index));
}

Status ArtifactFile::damaged(const std::string &what) const {
  return Status(StatusCode::BadArtifact, "artifact '" + filePath +
                                             "' is damaged: " + what +
                                             "; copy or compile it again");
}

Status ArtifactFile::check(Integrity integrity) {
  QOPT_RETURN_IF_ERROR(checkHeader());
  flatbuffers::Verifier verifier(planBytes.data(), planBytes.size(), 64,
                                 100'000'000);
  if (!plan::VerifyPlanBuffer(verifier))
    return damaged("its plan is not well formed");
  planRoot = plan::GetPlan(planBytes.data());
  QOPT_RETURN_IF_ERROR(checkSegments());
  if (Status status = verifyPlan(*planRoot); !status.ok())
    return damaged(status.message());
  if (integrity == Integrity::Check)
    QOPT_RETURN_IF_ERROR(checkDigests());
  return {};
}

Status ArtifactFile::checkHeader() {
  ArtifactHeader header;
  std::memcpy(&header, mapping.data(), sizeof(header));
  if (!std::equal(artifactMagic, artifactMagic + sizeof(artifactMagic),
                  header.magic))
    return Status(StatusCode::BadArtifact,
                  "'" + filePath + "' is not an artifact of qopt-compile");
  Digest digest = Sha256::of(&header, offsetof(ArtifactHeader, headerDigest));
  bool intact = std::equal(digest.begin(), digest.end(), header.headerDigest);
  // A later version may hash its header differently; say what the user can act
  // on.
  if (header.version != formatVersion)
    return Status(StatusCode::BadArtifact,
                  "artifact '" + filePath + "' has format version " +
                      std::to_string(header.version) + ", this runtime reads " +
                      std::to_string(formatVersion) +
                      "; compile the model again with the same release");
  if (!intact)
    return damaged("the header's digest does not match");
  if (header.headerSize != sizeof(header) || header.fileSize != mapping.size())
    return damaged("expected " + std::to_string(header.fileSize) +
                   " bytes, got " + std::to_string(mapping.size()));
  if (header.planOffset % segmentAlignment != 0 ||
      header.planOffset < segmentAlignment ||
      header.planOffset > mapping.size() ||
      header.planSize != mapping.size() - header.planOffset)
    return damaged("the plan lies outside the file");
  planBytes = mapping.subspan(header.planOffset, header.planSize);
  digest = Sha256::of(planBytes.data(), planBytes.size());
  if (!std::equal(digest.begin(), digest.end(), header.planDigest))
    return damaged("the plan's digest does not match");
  return {};
}

// Segments follow one another in the table's order, each at the next multiple
// of the alignment, so that every byte of the file belongs to exactly one part.
Status ArtifactFile::checkSegments() const {
  uint64_t end = sizeof(ArtifactHeader);
  uint64_t planOffset = uint64_t(planBytes.data() - mapping.data());
  auto checkPadding = [&](uint64_t from, uint64_t to) {
    return std::all_of(mapping.begin() + from, mapping.begin() + to,
                       [](uint8_t byte) { return byte == 0; });
  };
  if (planRoot->segments())
    for (const plan::Segment *segment : *planRoot->segments()) {
      if (segment->offset() != alignSegment(end) ||
          segment->offset() > planOffset ||
          segment->size() > planOffset - segment->offset())
        return damaged("a segment lies outside the file");
      if (!segment->sha256() || segment->sha256()->size() != 32)
        return damaged("a segment has no digest");
      if (!checkPadding(end, segment->offset()))
        return damaged("the bytes before a segment are not zero");
      end = segment->offset() + segment->size();
    }
  if (alignSegment(end) != planOffset || !checkPadding(end, planOffset))
    return damaged("the bytes before the plan are not zero");
  return {};
}

// Largest segments first, taken from one counter by two threads: reading and
// hashing overlap.
Status ArtifactFile::checkDigests() const {
  std::vector<uint32_t> order(
      planRoot->segments() ? planRoot->segments()->size() : 0);
  for (uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    size_t sizeA = segment(a).size(), sizeB = segment(b).size();
    return sizeA != sizeB ? sizeA > sizeB : a < b;
  });
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> bad = -1;
  auto hashSome = [&] {
    for (size_t i = next++; i < order.size(); i = next++) {
      std::span<const uint8_t> bytes = segment(order[i]);
      Digest digest = Sha256::of(bytes.data(), bytes.size());
      const auto *expected = planRoot->segments()->Get(order[i])->sha256();
      if (!std::equal(digest.begin(), digest.end(), expected->begin()))
        bad = order[i];
    }
  };
  ::madvise(const_cast<uint8_t *>(mapping.data()), mapping.size(),
            MADV_WILLNEED);
  std::thread other;
  bool large = mapping.size() > (size_t(4) << 20);
  try {
    if (large)
      other = std::thread(hashSome);
  } catch (const std::system_error &) {
    large = false; // no thread to be had: this one does all of it
  }
  hashSome();
  if (other.joinable())
    other.join();
  if (bad < 0)
    return {};
  const auto *name = planRoot->segments()->Get(uint32_t(bad))->name();
  return damaged("the digest of segment " + std::to_string(bad) + " '" +
                 (name ? name->str() : std::string()) + "' does not match");
}

} // namespace qopt::runtime
