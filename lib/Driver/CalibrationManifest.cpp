// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationManifest.h"
#include "lib/Driver/ParseJson.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace llvm;

namespace qopt::driver {

static constexpr StringRef schema = "qopt-calibration-1";

bool isManifest(const std::string &path) {
  return StringRef(path).ends_with(".json");
}

int64_t CalibrationManifest::tokensOf(size_t source, int64_t tokens) const {
  double all = 0;
  for (const ManifestSource &one : sources)
    all += one.weight;
  return int64_t(double(tokens) * sources[source].weight / all);
}

/// Reports the first member that is none of `known`.
static bool knowsAll(const json::Value &value, ArrayRef<StringRef> known,
                     json::Path path) {
  if (const json::Object *object = value.getAsObject())
    for (const auto &member : *object)
      if (!is_contained(known, StringRef(member.first))) {
        path.field(member.first).report("unknown key");
        return false;
      }
  return true;
}

static bool isDigest(StringRef text) {
  return text.size() == 64 && all_of(text, isHexDigit);
}

// What llvm::json's mappers look up for elements of arrays.
static bool fromJSON(const json::Value &value, ManifestSource &source,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map ||
      !knowsAll(value, {"path", "weight", "domain", "slice", "sha256"}, path) ||
      !map.map("path", source.path) ||
      !map.mapOptional("weight", source.weight) ||
      !map.mapOptional("domain", source.domain) ||
      !map.mapOptional("slice", source.slice) ||
      !map.mapOptional("sha256", source.sha256))
    return false;
  if (!(source.weight > 0) || !std::isfinite(source.weight)) {
    path.field("weight").report("expected a number above 0");
    return false;
  }
  if (!source.sha256.empty() && !isDigest(source.sha256)) {
    path.field("sha256").report("expected 64 hexadecimal digits");
    return false;
  }
  source.sha256 = StringRef(source.sha256).lower();
  return true;
}

static bool fromJSON(const json::Value &value, CalibrationManifest &manifest,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  std::string written;
  if (!map || !knowsAll(value, {"schema", "window", "sources"}, path) ||
      !map.map("schema", written))
    return false;
  if (written != schema) {
    path.field("schema").report("expected \"qopt-calibration-1\"");
    return false;
  }
  if (!map.mapOptional("window", manifest.window) ||
      !map.map("sources", manifest.sources))
    return false;
  const json::Object &object = *value.getAsObject();
  if (object.get("window") && manifest.window < 2) {
    path.field("window").report("expected 2 tokens or more");
    return false;
  }
  if (manifest.sources.empty()) {
    path.field("sources").report("expected one or more");
    return false;
  }
  return true;
}

StatusOr<CalibrationManifest> parseManifest(const std::string &text,
                                            const std::string &path) {
  auto invalid = [&](const std::string &why) {
    return Status(StatusCode::InvalidArgument,
                  "--calibrate: the manifest \"" + path + "\": " + why);
  };
  StatusOr<json::Value> value = parseJson(text);
  if (!value)
    return invalid(value.status().message());
  json::Path::Root root("manifest");
  CalibrationManifest manifest;
  if (!fromJSON(*value, manifest, root))
    return invalid(toString(root.getError()));
  for (ManifestSource &source : manifest.sources) {
    if (source.domain.empty())
      source.domain = sys::path::filename(source.path).str();
    if (source.slice.empty())
      source.slice = source.domain;
    SmallString<256> full(source.path);
    if (sys::path::is_relative(full)) {
      full = sys::path::parent_path(path);
      sys::path::append(full, source.path);
    }
    source.path = full.str().str();
  }
  return manifest;
}

} // namespace qopt::driver
