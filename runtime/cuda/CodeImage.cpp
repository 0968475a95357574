// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CodeImage.h"

#include <cstring>

namespace qopt::cuda {

static constexpr char magic[4] = {'Q', 'G', 'P', 'U'};
static constexpr uint32_t version = 1;

namespace {

struct Header {
  char magic[4];
  uint32_t version, count, reserved;
};

struct Entry {
  uint32_t kind, architecture, specific, reserved;
  uint64_t offset, bytes;
};

} // namespace

std::string CodeImage::spell() const {
  return std::string(kind == ImageKind::Ptx ? "PTX for sm_" : "cubin for sm_") +
         std::to_string(architecture) + (specific ? "a" : "");
}

std::vector<uint8_t> writeCodeImages(std::span<const CodeImage> images) {
  auto aligned = [](size_t size) { return (size + 15) & ~size_t(15); };
  size_t size = sizeof(Header) + images.size() * sizeof(Entry);
  std::vector<Entry> entries;
  for (const CodeImage &image : images) {
    size = aligned(size);
    entries.push_back({uint32_t(image.kind), image.architecture, image.specific,
                       0, size, image.bytes.size()});
    size += image.bytes.size();
  }
  std::vector<uint8_t> segment(size);
  Header header = {{}, version, uint32_t(images.size()), 0};
  std::memcpy(header.magic, magic, sizeof(magic));
  std::memcpy(segment.data(), &header, sizeof(header));
  for (size_t i = 0; i < images.size(); ++i) {
    std::memcpy(segment.data() + sizeof(Header) + i * sizeof(Entry),
                &entries[i], sizeof(Entry));
    if (!images[i].bytes.empty())
      std::memcpy(segment.data() + entries[i].offset, images[i].bytes.data(),
                  images[i].bytes.size());
  }
  return segment;
}

StatusOr<std::vector<CodeImage>>
readCodeImages(std::span<const uint8_t> segment) {
  auto bad = [](const std::string &what) {
    return Status(StatusCode::BadArtifact, "its GPU code " + what);
  };
  Header header;
  if (segment.size() < sizeof(header))
    return bad("is cut short");
  std::memcpy(&header, segment.data(), sizeof(header));
  if (std::memcmp(header.magic, magic, sizeof(magic)) != 0)
    return bad("does not begin as a list of images");
  if (header.version != version)
    return bad("has version " + std::to_string(header.version) + "; expected " +
               std::to_string(version));
  if (header.count > (segment.size() - sizeof(header)) / sizeof(Entry))
    return bad("is cut short");
  std::vector<CodeImage> images;
  for (uint32_t i = 0; i < header.count; ++i) {
    Entry entry;
    std::memcpy(&entry, segment.data() + sizeof(header) + i * sizeof(entry),
                sizeof(entry));
    if (entry.kind > 1 || entry.specific > 1 || entry.offset > segment.size() ||
        entry.bytes > segment.size() - entry.offset)
      return bad("has an image " + std::to_string(i) + " that is not valid");
    images.push_back({ImageKind(entry.kind), entry.architecture,
                      entry.specific == 1,
                      segment.subspan(entry.offset, entry.bytes)});
  }
  return images;
}

/// Whether the image runs on sm_<device>, and how well: 0 does not, larger is
/// better.
static uint32_t fitness(const CodeImage &image, uint32_t device) {
  bool same = image.architecture == device;
  bool fits = image.specific ? same
              : image.kind == ImageKind::Cubin
                  ? image.architecture / 10 == device / 10 &&
                        image.architecture <= device
                  : image.architecture <= device;
  if (!fits)
    return 0;
  return (image.kind == ImageKind::Cubin ? 100000 : 1) +
         2 * image.architecture + image.specific;
}

StatusOr<CodeImage> chooseImage(std::span<const CodeImage> images, int major,
                                int minor) {
  auto device = uint32_t(10 * major + minor);
  const CodeImage *best = nullptr;
  std::string have;
  for (const CodeImage &image : images) {
    have += (have.empty() ? "" : ", ") + image.spell();
    if (fitness(image, device) > (best ? fitness(*best, device) : 0))
      best = &image;
  }
  if (best)
    return *best;
  return Status(StatusCode::Unsupported,
                "it has no code for sm_" + std::to_string(device) + ", only " +
                    (have.empty() ? "none" : have) +
                    "; compile it again with --arch sm_" +
                    std::to_string(device));
}

} // namespace qopt::cuda
