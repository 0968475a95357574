// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/HostRates.h"
#include "lib/Driver/ParseJson.h"
#include "runtime/Sha256.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include <algorithm>
#include <cmath>

using namespace llvm;

namespace qopt::driver {

using calibrate::CachePart;
using Points = std::vector<std::pair<double, double>>;

/// On the line through the two points around x; beyond them the nearest, or
/// where `extends` the line through the last two.
static double onLine(const Points &points, double x, bool extends) {
  auto above = llvm::find_if(points, [&](auto &p) { return p.first >= x; });
  if (above == points.begin())
    return above->second;
  if (above == points.end()) {
    if (!extends || points.size() < 2)
      return points.back().second;
    --above;
  }
  auto below = above - 1;
  double share = (x - below->first) / (above->first - below->first);
  return below->second + share * (above->second - below->second);
}

double HostRates::readRate(double bytes) const {
  Points logarithms;
  for (auto [size, rate] : reads)
    logarithms.emplace_back(std::log(size), std::log(rate));
  return std::exp(onLine(logarithms, std::log(bytes), /*extends=*/false));
}

const HostRates::Row *HostRates::row(StringRef kernel) const {
  auto found = find_if(rows, [&](const Row &r) { return r.kernel == kernel; });
  return found == rows.end() ? nullptr : &*found;
}

/// How unlike two formats of the same elements are.
static double distance(const quant::Format &a, const quant::Format &b) {
  constexpr double row = 4096; // a scale a row is like one for so many columns
  auto group = [](const quant::Format &format) {
    return std::log2(format.groupSize ? double(format.groupSize) : row);
  };
  double unlike = std::abs(group(a) - group(b));
  if (a.isSymmetric() != b.isSymmetric())
    unlike += 100;
  if (a.hasTwoLevels() != b.hasTwoLevels())
    unlike += 20;
  return unlike;
}

/// The nearest of those that `fits`; null where there is none.
template <typename Rate, typename Fits, typename FormatOf>
static const Rate *nearest(const std::vector<Rate> &rates,
                           const quant::Format &format, Fits fits,
                           FormatOf formatOf) {
  const Rate *best = nullptr;
  for (const Rate &rate : rates) {
    if (!fits(rate) || formatOf(rate).element != format.element)
      continue;
    if (!best ||
        distance(formatOf(rate), format) < distance(formatOf(*best), format))
      best = &rate;
  }
  return best;
}

/// One scale for all tokens costs what one a token does.
static quant::Format measuredReads(quant::Format reads) {
  if (reads.granularity == quant::Granularity::Tensor)
    reads.granularity = quant::Granularity::Channel;
  reads.zero = quant::ZeroType::None;
  return reads;
}

static Status notMeasured(const HostRates &rates, const std::string &what) {
  return {StatusCode::Unsupported,
          "no step is predicted: the rates \"" + rates.name +
              "\" have none of " + what +
              "; measure them with describe_host (bench/README.md) and "
              "give them as --host-rates"};
}

StatusOr<double> HostRates::weightSeconds(const quant::Format &weights,
                                          const quant::Format &reads,
                                          double tokens) const {
  quant::Format codes = measuredReads(reads);
  const Linear *linear = nearest(
      linears, weights, [&](const Linear &l) { return l.reads == codes; },
      [](const Linear &l) { return l.weights; });
  if (!linear)
    return notMeasured(*this, "weights in " + quant::spell(weights) +
                                  " and activations in " + quant::spell(reads));
  return onLine(linear->times, tokens, /*extends=*/true);
}

StatusOr<HostRates::Cache> HostRates::cache(CachePart part,
                                            const quant::Format &format) const {
  const Cache *found = nearest(
      caches, format, [&](const Cache &c) { return c.part == part; },
      [](const Cache &c) { return c.format; });
  if (!found)
    return notMeasured(*this,
                       (part == CachePart::Keys ? "keys in " : "values in ") +
                           quant::spell(format));
  return *found;
}

/// Takes numbers that must be finite and not negative.
static bool readNumber(json::ObjectMapper &map, StringLiteral key,
                       double &number, double unit, json::Path path) {
  if (!map.map(key, number))
    return false;
  if (!(number >= 0 && number < 1e15)) {
    path.field(key).report("expected a number from 0 to 1e15");
    return false;
  }
  number *= unit;
  return true;
}

static bool readFormat(json::ObjectMapper &map, StringLiteral key,
                       quant::Format &format, json::Path path) {
  std::string text;
  if (!map.map(key, text))
    return false;
  auto parsed = quant::parseFormat(text);
  if (!parsed.ok()) {
    path.field(key).report("expected the name of a format");
    return false;
  }
  format = *parsed;
  return true;
}

static bool fromJSON(const json::Value &value, HostRates::Row &row,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("kernel", row.kernel) &&
         readNumber(map, "call_us", row.call, 1e-6, path) &&
         readNumber(map, "element_ns", row.element, 1e-9, path);
}

/// [[x, y], …], x rising and above 0.
static bool readPoints(const json::Value *value, double unit, Points &points,
                       json::Path path) {
  const json::Array *array = value ? value->getAsArray() : nullptr;
  for (const json::Value &entry : array ? *array : json::Array()) {
    const json::Array *pair = entry.getAsArray();
    auto x = pair && pair->size() == 2 ? (*pair)[0].getAsNumber()
                                       : std::optional<double>();
    auto y = x ? (*pair)[1].getAsNumber() : std::optional<double>();
    double least = points.empty() ? 0 : points.back().first;
    if (!y || !(*x > least) || !(*y >= 0 && *y < 1e15)) {
      points.clear();
      break;
    }
    points.emplace_back(*x, *y * unit);
  }
  if (points.empty())
    path.report("expected pairs of rising tokens and times");
  return !points.empty();
}

static bool fromJSON(const json::Value &value, HostRates::Linear &linear,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && readFormat(map, "weights", linear.weights, path) &&
         readFormat(map, "reads", linear.reads, path) &&
         readPoints(value.getAsObject()->get("weight_ps"), 1e-12, linear.times,
                    path.field("weight_ps"));
}

static bool fromJSON(const json::Value &value, HostRates::Cache &cache,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  std::string part;
  if (!map || !map.map("part", part))
    return false;
  if (part != "keys" && part != "values") {
    path.field("part").report("expected \"keys\" or \"values\"");
    return false;
  }
  cache.part = part == "keys" ? CachePart::Keys : CachePart::Values;
  return readFormat(map, "format", cache.format, path) &&
         readNumber(map, "unpack_ps", cache.unpack, 1e-12, path) &&
         readNumber(map, "product_ps", cache.product, 1e-12, path);
}

struct Read {
  double bytes = 0, rate = 0;
};

static bool fromJSON(const json::Value &value, Read &read, json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !readNumber(map, "bytes", read.bytes, 1, path) ||
      !readNumber(map, "gb_s", read.rate, 1e9, path))
    return false;
  if (read.bytes > 0 && read.rate > 0)
    return true;
  path.report("expected bytes and rate above 0");
  return false;
}

/// What predictions need of every description.
static bool isComplete(const HostRates &rates, json::Path path) {
  for (StringRef kernel :
       {"norm", "activation", "quantize", "rotary", "rotary_table"})
    if (!rates.row(kernel)) {
      path.field("rows").report(
          "expected norm, activation, quantize, rotary and rotary_table");
      return false;
    }
  bool rise = !rates.reads.empty() && is_sorted(rates.reads);
  if (!rise)
    path.field("reads").report("expected one or more, with rising bytes");
  return rise;
}

static bool fromJSON(const json::Value &value, HostRates &rates,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  std::string schema;
  if (!map || !map.map("schema", schema))
    return false;
  if (schema != "qopt-host-1") {
    path.field("schema").report("expected \"qopt-host-1\"");
    return false;
  }
  std::vector<Read> reads;
  if (!map.map("name", rates.name) || !map.map("part", rates.part) ||
      !readNumber(map, "call_us", rates.call, 1e-6, path) ||
      !readNumber(map, "score_ps", rates.score, 1e-12, path) ||
      !map.map("reads", reads) || !map.map("rows", rates.rows) ||
      !map.map("linears", rates.linears) || !map.map("caches", rates.caches))
    return false;
  for (const Read &read : reads)
    rates.reads.emplace_back(read.bytes, read.rate);
  return isComplete(rates, path);
}

StatusOr<HostRates> parseHostRates(StringRef text, const std::string &file) {
  auto invalid = [&](const std::string &why) {
    return Status(StatusCode::InvalidArgument,
                  "--host-rates: \"" + file + "\": " + why +
                      "; expected what describe_host prints");
  };
  StatusOr<json::Value> value = parseJson(text);
  if (!value.ok())
    return invalid(value.status().message());
  json::Path::Root root;
  HostRates rates;
  if (!fromJSON(*value, rates, root))
    return invalid(toString(root.getError()));
  rates.digest = runtime::spell(runtime::Sha256::of(text.data(), text.size()));
  return rates;
}

Status checkHostRates(const CompileOptions &options) {
  if (options.hostRates.empty())
    return Status();
  if (options.target != TargetDevice::Host)
    return Status(StatusCode::InvalidArgument,
                  "--host-rates is for steps of the host; leave it out with "
                  "--target cuda");
  return hostRatesOf(options).status();
}

StatusOr<HostRates> hostRatesOf(const CompileOptions &options) {
  if (options.hostRates.empty())
    return parseHostRates(usualHostRates, "usual");
  auto file = MemoryBuffer::getFile(options.hostRates);
  if (!file)
    return Status(StatusCode::NotFound, "--host-rates: cannot read \"" +
                                            options.hostRates +
                                            "\": " + file.getError().message());
  return parseHostRates((*file)->getBuffer(), options.hostRates);
}

} // namespace qopt::driver
