// A plan as JSON and back.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Driver/ParseJson.h"
#include "lib/Quant/Format.h"
#include "runtime/OutputFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <unistd.h>

using namespace llvm;

namespace qopt::driver {

static constexpr StringRef schema = "qopt-plan-1";

int64_t PrecisionPlan::bytes() const {
  int64_t sum = 0;
  for (const PlannedWeight &weight : weights)
    sum += weight.chosen.bytes;
  return sum;
}

int64_t PrecisionPlan::elements() const {
  int64_t sum = 0;
  for (const PlannedWeight &weight : weights)
    sum += weight.rows * weight.columns;
  return sum;
}

double PrecisionPlan::bitsPerWeight() const {
  int64_t all = elements();
  return all ? 8.0 * double(bytes()) / double(all) : 0;
}

double PrecisionPlan::divergence() const {
  double sum = 0;
  for (const PlannedWeight &weight : weights)
    sum += asWritten(weight.chosen.divergence);
  for (const PlannedActivation &tensor : tensors)
    sum += asWritten(tensor.chosen.divergence);
  for (const PlannedCache &cache : caches)
    sum += asWritten(cache.chosen.divergence);
  return sum;
}

const PlannedWeight *PrecisionPlan::find(const std::string &weight) const {
  auto found = find_if(weights, [&](const PlannedWeight &planned) {
    return planned.name == weight;
  });
  return found == weights.end() ? nullptr : &*found;
}

PlannedWeight *PrecisionPlan::find(const std::string &weight) {
  const PrecisionPlan &self = *this;
  return const_cast<PlannedWeight *>(self.find(weight));
}

PrecisionPlan withoutFolders(PrecisionPlan plan) {
  std::string &text = plan.calibration.text;
  text = sys::path::filename(text).str();
  return plan;
}

/// Figures that are worth reading; the same digits for the same number. Zero
/// has no sign, which a reader of integers would lose.
static std::string digits(double value) {
  std::string text;
  raw_string_ostream(text) << format("%.6g", value + 0.0);
  return text;
}

double asWritten(double value) {
  (void)StringRef(digits(value)).getAsDouble(value);
  return value;
}

std::string reasonOf(const PlannedWeight &weight) {
  const PlannedFormat &chosen = weight.chosen;
  if (!chosen.algorithm.empty())
    return weight.reason + "; codes by " + chosen.algorithm +
           (chosen.divergence > 0
                ? ", predicted KL " + digits(chosen.divergence)
                : "");
  if (chosen.format == weight.source)
    return weight.reason;
  return weight.reason + "; rounded to nearest";
}

static void writeNumber(json::OStream &out, StringRef key, double value) {
  out.attributeBegin(key);
  out.rawValue(digits(value));
  out.attributeEnd();
}

std::string PlannedFormat::spell() const {
  std::string text = format;
  if (recent)
    text += ",recent=" + std::to_string(recent);
  if (first)
    text += ",first=" + std::to_string(first);
  return text;
}

static void writeFormat(json::OStream &out, const PlannedFormat &format) {
  out.attribute("format", format.format);
  if (format.recent)
    out.attribute("recent", format.recent);
  if (format.first)
    out.attribute("first", format.first);
  if (!format.algorithm.empty())
    out.attribute("algorithm", format.algorithm);
  out.attribute("bytes", format.bytes);
  writeNumber(out, "predicted_kl", format.divergence);
  if (format.seconds)
    writeNumber(out, "step_us", *format.seconds * 1e6);
  if (!format.secondsBy.empty())
    out.attributeObject("step_us_by", [&] {
      for (const auto &[reads, seconds] : format.secondsBy)
        writeNumber(out, reads, seconds * 1e6);
    });
}

static void writeCalibration(json::OStream &out,
                             const CalibrationRecord &record) {
  out.attribute("text", record.text);
  out.attribute("sha256", record.sha256);
  out.attribute("tokens", record.tokens);
  out.attribute("algorithm", record.algorithm);
  out.attribute("seed", record.seed);
  if (record.window)
    out.attribute("window", record.window);
  if (!record.inputs.empty())
    out.attribute("inputs", record.inputs);
  if (record.sources.empty())
    return;
  out.attributeArray("sources", [&] {
    for (const SourceRecord &source : record.sources)
      out.object([&] {
        out.attribute("file", source.file);
        out.attribute("domain", source.domain);
        out.attribute("slice", source.slice);
        out.attribute("sha256", source.sha256);
        writeNumber(out, "weight", source.weight);
        out.attribute("windows", source.windows);
      });
  });
}

/// What weights, tensors and caches have alike.
template <typename Planned>
static void writeChoice(json::OStream &out, const Planned &planned) {
  writeFormat(out, planned.chosen);
  out.attribute("reason", planned.reason);
  if (planned.alternatives.empty())
    return;
  out.attributeArray("alternatives", [&] {
    for (const PlannedFormat &format : planned.alternatives)
      out.object([&] { writeFormat(out, format); });
  });
}

static void writeWeight(json::OStream &out, const PlannedWeight &weight) {
  out.attribute("name", weight.name);
  out.attribute("rows", weight.rows);
  out.attribute("columns", weight.columns);
  out.attribute("source", weight.source);
  writeChoice(out, weight);
}

static void writeStatistics(json::OStream &out, StringRef key,
                            const std::optional<VectorRecord> &record) {
  if (!record)
    return;
  out.attributeObject(key, [&] {
    writeNumber(out, "largest", record->largest);
    writeNumber(out, "rms", record->effective);
    out.attribute("outliers", record->outliers);
    if (record->channels.empty())
      return;
    out.attributeArray("channels", [&] {
      for (const VectorRecord::Channel &channel : record->channels)
        out.object([&] {
          out.attribute("head", channel.head);
          out.attribute("channel", channel.channel);
          writeNumber(out, "times", channel.times);
        });
    });
  });
}

static void writeTensor(json::OStream &out, const PlannedActivation &tensor) {
  out.attribute("name", tensor.name);
  out.attributeArray("weights", [&] {
    for (const std::string &weight : tensor.weights)
      out.value(weight);
  });
  out.attribute("columns", tensor.columns);
  writeChoice(out, tensor);
}

/// Where keys are stored ahead of their rotation, what "stored" of a cache is.
static constexpr StringLiteral beforeRotary = "before_rotary";

static void writeCache(json::OStream &out, const PlannedCache &cache) {
  out.attribute("name", cache.name);
  out.attribute("heads", cache.heads);
  out.attribute("channels", cache.channels);
  if (cache.row != cache.channels)
    out.attribute("row", cache.row);
  writeChoice(out, cache);
  if (cache.isBeforeRotary)
    out.attribute("stored", beforeRotary);
  writeStatistics(out, "statistics", cache.statistics);
  writeStatistics(out, beforeRotary, cache.beforeRotary);
}

static void writeMoves(json::OStream &out, const MoveRecord &moves) {
  out.attribute("tokens", moves.tokens);
  writeNumber(out, "kl_before", moves.before);
  writeNumber(out, "kl_after", moves.after);
  out.attributeArray("tried", [&] {
    for (const MoveRecord::Tried &move : moves.tried)
      out.object([&] {
        out.attribute("smaller", move.smaller);
        out.attribute("smaller_format", move.smallerFormat);
        out.attribute("larger", move.larger);
        out.attribute("larger_format", move.largerFormat);
        writeNumber(out, "kl", move.divergence);
        out.attribute("kept", move.kept);
      });
  });
}

std::string toJson(const PlannedWeight &weight) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream out(stream);
  out.object([&] { writeWeight(out, weight); });
  return text;
}

static void writeTuning(json::OStream &out, const TuneRecord &tuning) {
  out.attribute("steps", tuning.steps);
  out.attribute("kept", tuning.kept);
  out.attribute("tokens", tuning.tokens);
  writeNumber(out, "kl_before", tuning.before);
  writeNumber(out, "kl_after", tuning.after);
}

std::string toJson(const PrecisionPlan &plan) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream out(stream, /*IndentSize=*/1);
  out.object([&] {
    out.attribute("schema", schema);
    out.attribute("target", plan.target);
    if (!plan.budget.empty())
      out.attribute("budget", plan.budget);
    if (!plan.rates.empty())
      out.attribute("host_rates", plan.rates);
    writeNumber(out, "bits", plan.bitsPerWeight());
    out.attribute("bytes", plan.bytes());
    writeNumber(out, "predicted_kl", plan.divergence());
    if (!plan.calibration.text.empty())
      out.attributeObject("calibration",
                          [&] { writeCalibration(out, plan.calibration); });
    out.attribute("activations", plan.activations);
    out.attribute("kv", plan.cache);
    if (plan.moves.tokens)
      out.attributeObject("moves", [&] { writeMoves(out, plan.moves); });
    if (plan.tuning.steps)
      out.attributeObject("tuning", [&] { writeTuning(out, plan.tuning); });
    if (!plan.tensors.empty())
      out.attributeArray("tensors", [&] {
        for (const PlannedActivation &tensor : plan.tensors)
          out.object([&] { writeTensor(out, tensor); });
      });
    if (!plan.caches.empty())
      out.attributeArray("caches", [&] {
        for (const PlannedCache &cache : plan.caches)
          out.object([&] { writeCache(out, cache); });
      });
    out.attributeArray("weights", [&] {
      for (const PlannedWeight &weight : plan.weights)
        out.object([&] { writeWeight(out, weight); });
    });
  });
  stream << "\n";
  return text;
}

/// Of every size, count and product of sizes: a plan has fewer entries than it
/// takes for their sum to overflow.
constexpr int64_t mostOfOne = int64_t(1) << 40;

static bool isInRange(int64_t value, json::Path path) {
  if (value >= 0 && value <= mostOfOne)
    return true;
  path.report("expected a number from 0 to 2^40");
  return false;
}

static bool isInRange(double value, json::Path path) {
  if (std::abs(value) <= 1e12)
    return true;
  path.report("expected a number from -1e12 to 1e12");
  return false;
}

template <typename Number>
static bool readNumber(json::ObjectMapper &map, StringLiteral key,
                       Number &number, json::Path path) {
  return map.map(key, number) && isInRange(number, path.field(key));
}

/// Leaves the number as it is where there is none.
template <typename Number>
static bool readOptional(json::ObjectMapper &map, StringLiteral key,
                         Number &number, json::Path path) {
  return map.mapOptional(key, number) && isInRange(number, path.field(key));
}

static bool readFormat(const json::Value &value, PlannedFormat &format,
                       json::Path path) {
  json::ObjectMapper map(value, path);
  std::optional<double> microseconds;
  if (!map || !map.map("format", format.format) ||
      !map.mapOptional("algorithm", format.algorithm) ||
      !readOptional(map, "recent", format.recent, path) ||
      !readOptional(map, "first", format.first, path) ||
      !readNumber(map, "bytes", format.bytes, path) ||
      !readNumber(map, "predicted_kl", format.divergence, path) ||
      !map.map("step_us", microseconds) ||
      !isInRange(microseconds.value_or(0), path.field("step_us")))
    return false;
  if (microseconds)
    format.seconds = *microseconds / 1e6;
  if (!map.mapOptional("step_us_by", format.secondsBy))
    return false;
  for (auto &[reads, seconds] : format.secondsBy) {
    if (!isInRange(seconds, path.field("step_us_by")))
      return false;
    seconds /= 1e6;
  }
  if (auto parsed = quant::parseFormat(format.format); !parsed.ok()) {
    path.field("format").report("expected the name of a format");
    return false;
  }
  return true;
}

// What llvm::json's mappers look up for elements of arrays and members.
static bool fromJSON(const json::Value &value, PlannedFormat &format,
                     json::Path path) {
  return readFormat(value, format, path);
}

static bool fromJSON(const json::Value &value, PlannedWeight &weight,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("name", weight.name) ||
      !readNumber(map, "rows", weight.rows, path) ||
      !readNumber(map, "columns", weight.columns, path))
    return false;
  if (weight.columns && weight.rows > mostOfOne / weight.columns) {
    path.field("rows").report("expected a weight of at most 2^40 elements");
    return false;
  }
  return map.map("source", weight.source) &&
         readFormat(value, weight.chosen, path) &&
         map.map("reason", weight.reason) &&
         map.mapOptional("alternatives", weight.alternatives);
}

static bool fromJSON(const json::Value &value, MoveRecord::Tried &move,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("smaller", move.smaller) &&
         map.map("smaller_format", move.smallerFormat) &&
         map.map("larger", move.larger) &&
         map.map("larger_format", move.largerFormat) &&
         readNumber(map, "kl", move.divergence, path) &&
         map.map("kept", move.kept);
}

static bool fromJSON(const json::Value &value, MoveRecord &moves,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && readNumber(map, "tokens", moves.tokens, path) &&
         readNumber(map, "kl_before", moves.before, path) &&
         readNumber(map, "kl_after", moves.after, path) &&
         map.map("tried", moves.tried);
}

static bool fromJSON(const json::Value &value, TuneRecord &tuning,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && readNumber(map, "steps", tuning.steps, path) &&
         readOptional(map, "kept", tuning.kept, path) &&
         readOptional(map, "tokens", tuning.tokens, path) &&
         readOptional(map, "kl_before", tuning.before, path) &&
         readOptional(map, "kl_after", tuning.after, path);
}

static bool fromJSON(const json::Value &value, VectorRecord::Channel &channel,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && readNumber(map, "head", channel.head, path) &&
         readNumber(map, "channel", channel.channel, path) &&
         readNumber(map, "times", channel.times, path);
}

static bool fromJSON(const json::Value &value, VectorRecord &record,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && readNumber(map, "largest", record.largest, path) &&
         readNumber(map, "rms", record.effective, path) &&
         readNumber(map, "outliers", record.outliers, path) &&
         map.mapOptional("channels", record.channels);
}

static bool fromJSON(const json::Value &value, PlannedActivation &tensor,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("name", tensor.name) &&
         map.map("weights", tensor.weights) &&
         readNumber(map, "columns", tensor.columns, path) &&
         readFormat(value, tensor.chosen, path) &&
         map.map("reason", tensor.reason) &&
         map.mapOptional("alternatives", tensor.alternatives);
}

static bool fromJSON(const json::Value &value, PlannedCache &cache,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("name", cache.name) ||
      !readNumber(map, "heads", cache.heads, path) ||
      !readNumber(map, "channels", cache.channels, path))
    return false;
  cache.row = cache.channels;
  std::string stored;
  if (!map.mapOptional("stored", stored))
    return false;
  cache.isBeforeRotary = stored == beforeRotary;
  if (!stored.empty() && (!cache.isBeforeRotary || cache.isValue())) {
    path.field("stored").report("expected \"before_rotary\", of keys");
    return false;
  }
  return readOptional(map, "row", cache.row, path) &&
         readFormat(value, cache.chosen, path) &&
         map.map("reason", cache.reason) &&
         map.mapOptional("alternatives", cache.alternatives) &&
         map.map("statistics", cache.statistics) &&
         map.map("before_rotary", cache.beforeRotary);
}

static bool fromJSON(const json::Value &value, SourceRecord &source,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("file", source.file) &&
         map.map("domain", source.domain) && map.map("slice", source.slice) &&
         map.map("sha256", source.sha256) &&
         readNumber(map, "weight", source.weight, path) &&
         readNumber(map, "windows", source.windows, path);
}

static bool fromJSON(const json::Value &value, CalibrationRecord &record,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("text", record.text) &&
         map.map("sha256", record.sha256) &&
         readNumber(map, "tokens", record.tokens, path) &&
         map.map("algorithm", record.algorithm) &&
         map.mapOptional("seed", record.seed) &&
         readOptional(map, "window", record.window, path) &&
         map.mapOptional("inputs", record.inputs) &&
         map.mapOptional("sources", record.sources);
}

static bool fromJSON(const json::Value &value, PrecisionPlan &plan,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  std::string written;
  if (!map || !map.map("schema", written))
    return false;
  if (written != schema) {
    path.field("schema").report("expected \"qopt-plan-1\"");
    return false;
  }
  return map.map("target", plan.target) &&
         map.mapOptional("budget", plan.budget) &&
         map.mapOptional("host_rates", plan.rates) &&
         map.mapOptional("calibration", plan.calibration) &&
         map.map("activations", plan.activations) &&
         map.map("kv", plan.cache) && map.mapOptional("moves", plan.moves) &&
         map.mapOptional("tuning", plan.tuning) &&
         map.mapOptional("tensors", plan.tensors) &&
         map.mapOptional("caches", plan.caches) &&
         map.map("weights", plan.weights);
}

template <typename Value>
static StatusOr<Value> parse(StringRef text, const std::string &what) {
  auto invalid = [&](const std::string &why) {
    return Status(StatusCode::InvalidArgument, what + ": " + why);
  };
  StatusOr<json::Value> value = parseJson(text);
  if (!value)
    return invalid(value.status().message());
  json::Path::Root root;
  Value result;
  if (!fromJSON(*value, result, root))
    return invalid(toString(root.getError()));
  return result;
}

StatusOr<PrecisionPlan> parsePlan(const std::string &text,
                                  const std::string &name) {
  return parse<PrecisionPlan>(text, "the plan \"" + name + "\"");
}

StatusOr<PlannedWeight> parseWeight(const std::string &text) {
  return parse<PlannedWeight>(text, "a weight of a plan");
}

StatusOr<PrecisionPlan> readPlan(const std::string &path) {
  auto text = MemoryBuffer::getFile(path);
  if (!text)
    return Status(StatusCode::NotFound, "cannot read the plan \"" + path +
                                            "\": " + text.getError().message());
  return parsePlan((*text)->getBuffer().str(), path);
}

Status writePlan(const PrecisionPlan &plan, const std::string &path) {
  auto file = runtime::OutputFile::create(path);
  if (!file.ok())
    return file.status();
  std::string text = toJson(plan);
  for (size_t done = 0; done < text.size();) {
    ssize_t count =
        write(file->descriptor(), text.data() + done, text.size() - done);
    if (count < 0)
      return file->failure("write");
    done += size_t(count);
  }
  return file->publish();
}

} // namespace qopt::driver
