// Parsing of cases, their random arrays and the reference.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Case.h"

#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Quant/Element.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <sstream>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

// Parsing ---------------------------------------------------------------------

static std::vector<std::string> split(const std::string &text, char at) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, at);)
    if (!part.empty())
      parts.push_back(part);
  return parts;
}

static Status bad(const std::string &what) {
  return Status(StatusCode::InvalidArgument, what);
}

static Status parseRows(const std::string &text, Problem &problem) {
  for (const std::string &part : split(text, ',')) {
    size_t colon = part.find(':');
    if (colon == std::string::npos)
      return bad("rows: expected <count>:<format>, got " + part);
    auto format = quant::parseFormat(part.substr(colon + 1));
    if (!format)
      return format.status();
    problem.segments.push_back({std::stoll(part), *format});
  }
  return Status();
}

static Status parseEpilogue(const std::string &text, Case &test) {
  test.epilogue = split(text, '+');
  ElementType type = test.problem.source.value_or(
      test.problem.hasCodes() ? ElementType::F16 : test.problem.activation);
  for (const std::string &name : test.epilogue) {
    if (name == "bias")
      test.problem.operands.push_back({OperandShape::Column, type});
    else if (name == "residual")
      test.problem.operands.push_back({OperandShape::Element, type});
    else if (name == "gated") {
      test.problem.paired = true;
      test.problem.gate = Function::Silu;
    } else if (name == "pairs")
      test.problem.paired = true;
    else if (name != "silu")
      return bad("unknown epilogue " + name);
  }
  return Status();
}

int64_t skinny_linear::number(const Options &options, const char *key,
                              int64_t other) {
  auto found = options.find(key);
  return found == options.end() ? other : std::stoll(found->second);
}

static Status parseProblem(const Options &options, Case &test) {
  Problem &problem = test.problem;
  test.tokens = number(options, "tokens", 1);
  problem.tokens = number(options, "m", bucketOf(test.tokens));
  problem.columns = number(options, "k", 0);
  test.seed = unsigned(number(options, "seed", 1));
  test.exponent = int(number(options, "exponent", 0));
  auto type = [&](const char *key, ElementType &out) {
    auto found = options.find(key);
    if (found != options.end())
      if (const quant::Element *element = quant::findElement(found->second))
        out = element->type;
  };
  type("act", problem.activation);
  type("out", problem.output);
  if (options.count("source"))
    type("source", problem.source.emplace());
  auto normOf = [&](const char *key) {
    bool layer = options.at(key).starts_with("layer");
    return Norm{1e-5f, problem.source.value_or(problem.activation),
                layer ? norm::Kind::Layer : norm::Kind::Rms,
                options.at(key) == "layer_bias"};
  };
  if (options.count("norm"))
    problem.norm.push_back(normOf("norm"));
  if (options.count("sum"))
    problem.sum = normOf("sum");
  if (options.count("rows"))
    QOPT_RETURN_IF_ERROR(parseRows(options.at("rows"), problem));
  if (options.count("epilogue"))
    QOPT_RETURN_IF_ERROR(parseEpilogue(options.at("epilogue"), test));
  return Status();
}

Options skinny_linear::parseOptions(const std::string &text) {
  Options options;
  for (const std::string &part : split(text, ' ')) {
    size_t equals = part.find('=');
    options[part.substr(0, equals)] =
        equals == std::string::npos ? "" : part.substr(equals + 1);
  }
  return options;
}

StatusOr<Case> skinny_linear::parseLayer(const Options &options) {
  Case test;
  QOPT_RETURN_IF_ERROR(parseProblem(options, test));
  auto found = options.find("arch");
  auto targets = target::parseArchitectures(
      found == options.end() ? "sm_90a" : found->second);
  if (!targets)
    return targets.status();
  test.target = targets->front();
  return test;
}

StatusOr<Case> skinny_linear::parseCase(const std::string &text) {
  Options options = parseOptions(text);
  auto parsed = parseLayer(options);
  if (!parsed)
    return parsed.status();
  Case test = *parsed;
  auto schedule = chooseSchedule(test.problem, *test.target);
  if (!schedule)
    return schedule.status();
  test.schedule = *schedule;
  Schedule &changed = test.schedule;
  changed.wholeTiles = number(options, "whole", changed.wholeTiles);
  changed.slices = int(number(options, "slices", changed.slices));
  if (options.contains("slices")) { // the warps need strips of their own
    changed.wholeTiles = true;
    changed.columnWarps = 1;
    changed.rowWarps = 8;
    changed.stripsPerWarp = 1;
    changed.unitsPerStage.assign(changed.unitsPerStage.size(), 2);
    changed.stages = 3;
  }
  changed.grid = int(number(options, "grid", changed.grid));
  changed.stages = int(number(options, "stages", changed.stages));
  changed.columnWarps =
      int(number(options, "columnwarps", changed.columnWarps));
  changed.rowWarps = int(number(options, "rowwarps", changed.rowWarps));
  changed.stripsPerWarp = int(number(options, "strips", changed.stripsPerWarp));
  for (int &units : changed.unitsPerStage)
    units = int(number(options, "units", units));
  QOPT_RETURN_IF_ERROR(isValid(test.problem, test.schedule, *test.target));
  return test;
}

std::string skinny_linear::epilogueText(const Case &test) {
  auto isInRegion = [](const std::string &name) {
    return name != "gated" && name != "pairs";
  };
  if (std::ranges::none_of(test.epilogue, isInRegion))
    return {};
  std::string arguments = "%a0: f32", body, value = "%a0";
  int next = 1;
  for (const std::string &name : test.epilogue)
    if (name == "bias" || name == "residual")
      arguments += ", %a" + std::to_string(next++) + ": f32";
  next = 1;
  int step = 0;
  for (const std::string &name : test.epilogue) {
    std::string id = std::to_string(step++);
    if (!isInRegion(name))
      continue;
    if (name == "silu") {
      body += "  %one" + id + " = arith.constant 1.0 : f32\n";
      body += "  %n" + id + " = arith.negf " + value + " : f32\n";
      body += "  %e" + id + " = math.exp %n" + id + " : f32\n";
      body +=
          "  %d" + id + " = arith.addf %one" + id + ", %e" + id + " : f32\n";
      body += "  %s" + id + " = arith.divf " + value + ", %d" + id + " : f32\n";
      value = "%s" + id;
    }
    if (name == "silu")
      continue;
    body += "  %v" + id + " = arith.addf " + value + ", %a" +
            std::to_string(next++) + " : f32\n";
    value = "%v" + id;
  }
  return "func.func @epilogue(" + arguments + ") -> f32 {\n" + body +
         "  return " + value + " : f32\n}\n";
}

// Arrays ----------------------------------------------------------------------

std::vector<uint8_t> skinny_linear::encode(ElementType type,
                                           const std::vector<float> &values) {
  const quant::Element &element = quant::elementOf(type);
  std::vector<uint8_t> bytes(values.size() * element.bits / 8);
  element.encode(values.data(), int64_t(values.size()), bytes.data());
  return bytes;
}

std::vector<float> skinny_linear::decode(ElementType type, const uint8_t *bytes,
                                         int64_t count) {
  std::vector<float> values(count);
  quant::elementOf(type).decode(bytes, count, values.data());
  return values;
}

/// Uniform values that `type` has.
static std::vector<float> randomValues(std::mt19937 &random, int64_t count,
                                       ElementType type) {
  std::uniform_real_distribution<float> range(-1, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = range(random);
  std::vector<uint8_t> bytes = encode(type, values);
  return decode(type, bytes.data(), count);
}

/// One row of codes of every value that a weight may have.
static void randomCodes(std::mt19937 &random, const quant::Format &format,
                        int64_t columns, uint8_t *row) {
  const quant::Element &element = quant::elementOf(format.element);
  if (quant::isFp8(format.element)) {
    unsigned numbers = format.element == ElementType::Fp8E4m3 ? 127 : 124;
    for (int64_t k = 0; k < columns; ++k) // no NaN, no infinity
      row[k] = uint8_t(random() % numbers + random() % 2 * 128);
    return;
  }
  bool isSigned = format.isSymmetric() && element.isInteger();
  int count = 1 << element.bits, lowest = isSigned ? -count / 2 : 0;
  std::vector<int16_t> codes(columns);
  for (int16_t &code : codes)
    code = int16_t(lowest + int(random() % unsigned(count)));
  element.pack(codes.data(), columns, row);
}

/// Scales and zero points of row `row`; those of two levels are multiples of
/// one number, with signs where they may have some.
static void randomScales(std::mt19937 &random, const quant::Format &format,
                         int64_t columns, int64_t row, Stored &stored) {
  std::vector<float> units(size_t(quant::unitsPerRow(format, columns))),
      scales(size_t(quant::groupsPerRow(format, columns)));
  for (float &unit : units)
    unit = float(1024 + random() % 1024) * 0x1p-20f; // an f16
  int64_t range =
      format.hasScaleFields() ? int64_t(1) << quant::scaleCodeBits(format) : 1;
  for (size_t i = 0; i < scales.size(); ++i) {
    scales[i] = 0.01f + float(random() % 1000) * 1e-5f;
    if (format.hasScaleFields())
      scales[i] = units[i / size_t(quant::groupsPerScaleUnit(format))] *
                  float(int64_t(random() % unsigned(range)) -
                        (quant::hasSignedScales(format) ? range / 2 : 0));
  }
  quant::storeScales(format, units.data(), scales.data(), columns,
                     stored.scales.data() +
                         row * quant::scaleBytesPerRow(format, columns));
  if (format.isSymmetric())
    return;
  std::vector<float> zeros(scales.size());
  unsigned codes = 1u << quant::elementOf(format.element).bits;
  for (float &zero : zeros)
    zero = format.zero == quant::ZeroType::U8 ? float(random() % codes)
                                              : float(random() % 1500) * 0.01f;
  quant::storeZeros(format, zeros.data(), columns,
                    stored.zeros.data() +
                        row * quant::zeroBytesPerRow(format, columns));
}

static Stored randomWeights(std::mt19937 &random, const Segment &segment,
                            int64_t columns) {
  const quant::Format &format = segment.weight;
  Stored stored;
  if (format.isFloat()) {
    stored.codes =
        encode(format.element,
               randomValues(random, segment.rows * columns, format.element));
    return stored;
  }
  int64_t rowBytes = quant::bytesPerRow(format, columns);
  stored.codes.resize(segment.rows * rowBytes);
  const quant::Element &element = quant::elementOf(format.element);
  for (int64_t row = 0; row < segment.rows; ++row)
    randomCodes(random, format, columns, stored.codes.data() + row * rowBytes);
  stored.scales.resize(quant::scaleBytes(format, segment.rows, columns));
  stored.zeros.resize(quant::zeroBytes(format, segment.rows, columns));
  bool tensor = format.granularity == quant::Granularity::Tensor;
  for (int64_t row = 0; row < (tensor ? 1 : segment.rows); ++row)
    randomScales(random, format, columns, row, stored);
  for (int i = 0; i < element.bookSize; ++i) // the first and last number, too
    stored.zeros[size_t(i)] = uint8_t(i * 255 / (element.bookSize - 1) - 128);
  return stored;
}

/// Scales that are f32 times 2^exponent: beyond what halves have.
static void moveScales(const quant::Format &format, int exponent,
                       std::vector<uint8_t> &scales) {
  if (!format.isGrouped() || format.scale != quant::ScaleType::F32)
    return;
  auto values = decode(ElementType::F32, scales.data(), scales.size() / 4);
  for (float &value : values)
    value = std::ldexp(value, exponent);
  scales = encode(ElementType::F32, values);
}

static void addCodes(std::mt19937 &random, const Case &test, Arrays &arrays) {
  for (int64_t m = 0; m < test.tokens; ++m) {
    arrays.tokenScales.push_back(0.004f + float(random() % 1000) * 1e-5f);
    for (int64_t k = 0; k < test.problem.columns; ++k) {
      arrays.xCodes.push_back(int8_t(int(random() % 255) - 127));
      arrays.x.push_back(arrays.tokenScales.back() * arrays.xCodes.back());
    }
  }
}

Arrays skinny_linear::makeArrays(const Case &test) {
  const Problem &problem = test.problem;
  std::mt19937 random(test.seed);
  Arrays arrays;
  arrays.packed.resize(packedBytes(problem));
  int64_t offset = 0;
  for (const Segment &segment : problem.segments) {
    arrays.segments.push_back(randomWeights(random, segment, problem.columns));
    moveScales(segment.weight, test.exponent, arrays.segments.back().scales);
    packSegment(segment, problem.columns, problem.paired,
                arrays.segments.back().rows(), arrays.packed.data() + offset);
    offset += packedBytes(segment, problem.columns, problem.paired);
  }
  bool codes = problem.activation == ElementType::Int8;
  auto values = [&](int64_t count) {
    return randomValues(random, count,
                        problem.source ? *problem.source
                        : codes        ? ElementType::F16
                                       : problem.activation);
  };
  if (problem.readsCodes())
    addCodes(random, test, arrays);
  else
    arrays.x = values(test.tokens * problem.columns);
  arrays.scale = values(problem.norm.empty() ? 0 : problem.columns);
  if (!problem.norm.empty() && problem.norm.front().bias)
    arrays.shift = values(problem.columns);
  arrays.bias = values(problem.outputColumns());
  arrays.residual = values(test.tokens * problem.outputColumns());
  if (problem.sum) {
    arrays.sumScale = values(problem.columns);
    arrays.sumShift = values(problem.sum->bias ? problem.columns : 0);
    arrays.summand = values(problem.columns);
  }
  return arrays;
}

// Reference -------------------------------------------------------------------

static double halfUnit(ElementType type) {
  return type == ElementType::F16    ? 0x1p-11
         : type == ElementType::BF16 ? 0x1p-8
                                     : 0x1p-24;
}

/// Rows behind a norm, not rounded.
static std::vector<float> normalised(const Norm &norm,
                                     const std::vector<float> &rows,
                                     const std::vector<float> &scales,
                                     const std::vector<float> &shifts) {
  std::vector<float> x(rows.size());
  size_t columns = scales.size();
  for (size_t first = 0; first < rows.size(); first += columns) {
    const float *row = rows.data() + first;
    double mean = 0, squares = 0;
    for (size_t k = 0; isLayerNorm(norm) && k < columns; ++k)
      mean += row[k] / double(columns);
    for (size_t k = 0; k < columns; ++k)
      squares += (row[k] - mean) * (row[k] - mean);
    double scale = 1 / std::sqrt(squares / double(columns) + norm.epsilon);
    for (size_t k = 0; k < columns; ++k)
      x[first + k] = float((row[k] - mean) * scale * scales[k] +
                           (shifts.empty() ? 0 : shifts[k]));
  }
  return x;
}

static std::vector<float> rounded(ElementType type,
                                  const std::vector<float> &values) {
  std::vector<uint8_t> bytes = encode(type, values);
  return decode(type, bytes.data(), int64_t(values.size()));
}

std::vector<float> skinny_linear::sumOf(const Case &test,
                                        const Arrays &arrays) {
  const Problem &problem = test.problem;
  ElementType type = problem.source.value_or(problem.activation);
  std::vector<float> sum =
      rounded(type, normalised(*problem.sum, arrays.x, arrays.sumScale,
                               arrays.sumShift));
  for (size_t k = 0; k < sum.size(); ++k)
    sum[k] += arrays.summand[k];
  return rounded(type, sum);
}

/// x or the sum, or its norm rounded to the activation's type.
static std::vector<float> activationsOf(const Case &test,
                                        const Arrays &arrays) {
  const Problem &problem = test.problem;
  std::vector<float> x = problem.sum ? sumOf(test, arrays) : arrays.x;
  if (problem.norm.empty())
    return x;
  x = normalised(problem.norm.front(), x, arrays.scale, arrays.shift);
  // Codes are made of what is not rounded.
  return problem.source ? x : rounded(problem.activation, x);
}

namespace {
struct Product {
  double value, bound;
};
} // namespace

/// Largest number, in codes, that a format's unpacking makes: what f32 sums of
/// products are rounded at.
static double largestNumber(const quant::Format &format, ElementType act) {
  if (format.isFloat())
    return 1;
  if (quant::isFp8(format.element))
    return quant::elementOf(format.element).maxCode;
  return act == ElementType::F16 ? 1024 + 255 : 256;
}

/// By how much the product with x = 1 may differ where a weight is rounded to
/// the activation's type, which has its scale, too, if that is no f32, and a
/// zero point that is a fraction; and where sums of f32 lose a bit a product of
/// 16 columns.
static double roundedBound(ElementType act, const quant::Format &format,
                           double scale, double weight, int64_t columns) {
  double sums = 0x1p-23 * (double(columns) / 16 + 8) * std::fabs(weight);
  double unit = halfUnit(act);
  double fraction =
      format.zero == quant::ZeroType::Float ? 2 * unit * scale : 0;
  if (!format.isGrouped()) // the code less its zero point, exact if an integer
    return sums + fraction + (fraction ? 1.01 * unit * std::fabs(weight) : 0);
  double roundings = format.scale == quant::ScaleType::F32 ? 1.01 : 2;
  double least = act == ElementType::F16 ? 0x1p-25 : 0; // of subnormal halves
  return sums + roundings * unit * std::fabs(weight) + 2 * least + fraction;
}

/// Of codes with codes, what a kernel must give to the bit: an integer, then
/// two factors in f32.
static Product dotOfCodes(const Segment &segment, const Stored &stored,
                          int64_t row, const std::vector<int8_t> &x,
                          float tokenScale) {
  const quant::Format &format = segment.weight;
  auto columns = int64_t(x.size());
  std::vector<int16_t> codes(x.size());
  quant::elementOf(format.element)
      .unpackSigned(stored.codes.data() +
                        row * quant::bytesPerRow(format, columns),
                    columns, codes.data());
  int64_t sum = 0;
  for (size_t k = 0; k < x.size(); ++k)
    sum += int64_t(codes[k]) * x[k];
  bool tensor = format.granularity == quant::Granularity::Tensor;
  float scale =
      quant::loadScale(format, stored.scales.data(), tensor ? 0 : row);
  return {float(sum) * tokenScale * scale, 0};
}

/// The same of codes that the kernel makes of x. Behind a norm, whose last bits
/// depend on the order of its sum, two of them may fall to the other side.
static Product dotOfMadeCodes(const Case &test, const Segment &segment,
                              const Stored &stored, int64_t row,
                              const float *x) {
  const Problem &problem = test.problem;
  float largest = 0;
  for (int64_t k = 0; k < problem.columns; ++k)
    largest = std::max(largest, std::fabs(x[k]));
  float step = largest / 127, inverse = step > 0 ? 1 / step : 0;
  std::vector<int8_t> codes;
  for (int64_t k = 0; k < problem.columns; ++k)
    codes.push_back(int8_t(std::nearbyint(x[k] * inverse)));
  Product product = dotOfCodes(segment, stored, row, codes, step);
  if (!problem.norm.empty() || problem.sum)
    product.bound =
        2 * 128 * double(step) *
            quant::loadScale(segment.weight, stored.scales.data(), row) +
        0x1p-20 * std::fabs(product.value);
  return product;
}

static Product dot(const Case &test, const Segment &segment,
                   const Stored &stored, int64_t row, const float *x) {
  const Problem &problem = test.problem;
  const quant::Format &format = segment.weight;
  int64_t columns = problem.columns;
  std::vector<float> w(columns);
  quant::StoredRows one = quant::rowsFrom(format, stored.rows(), columns, row);
  quant::dequantizeRows(format, one, 1, columns, w.data());
  std::vector<float> scales(quant::groupsPerRow(format, columns) + 1, 1.0f);
  quant::loadScales(format, one, columns, scales.data());
  int64_t perGroup = quant::groupColumns(format, columns);
  if (format.element == ElementType::Nf4) { // its numbers are rounded
    ElementType type = problem.activation;
    quant::nf4Element.decode(one.codes, columns, w.data());
    w = decode(type, encode(type, w).data(), columns);
    for (int64_t k = 0; k < columns; ++k)
      w[k] *= scales[size_t(k / perGroup)];
  }
  Product product{0, 0};
  double number = largestNumber(format, problem.activation);
  for (int64_t k = 0; k < columns; ++k) {
    double scale = std::fabs(scales[size_t(k / perGroup)]);
    product.value += double(w[k]) * x[k];
    // Sums of at most 2^4 roundings each of a group's products, relative 2^-23.
    product.bound +=
        std::fabs(x[k]) *
        (test.roundedWeights || roundsWeights(format)
             ? roundedBound(problem.activation, format, scale, w[k], columns)
             : 0x1p-22 * scale * number);
    // The roundings of norms may fall otherwise.
    if (!problem.norm.empty() || problem.sum)
      product.bound +=
          2 * halfUnit(problem.activation) * std::fabs(double(w[k]) * x[k]) / 8;
  }
  return product;
}

/// A value in the output's type.
static void roundOutput(const Problem &problem, Product &product) {
  product.bound += halfUnit(problem.output) * std::fabs(product.value);
}

static Product finish(const Case &test, const Arrays &arrays, Product value,
                      Product *up, int64_t m, int64_t column) {
  for (const std::string &name : test.epilogue) {
    if (name == "bias")
      value.value += arrays.bias[column];
    if (name == "residual")
      value.value += arrays.residual[m * test.problem.outputColumns() + column];
    if (name == "gated") {
      roundOutput(test.problem, value);
      roundOutput(test.problem, *up);
    }
    if (name == "silu" || name == "gated") {
      value.value = value.value / (1 + std::exp(-value.value));
      value.bound = 1.1 * value.bound + 0x1p-18 * std::fabs(value.value);
    }
    if (name == "gated") {
      value.bound = value.bound * (std::fabs(up->value) + up->bound) +
                    up->bound * std::fabs(value.value);
      value.value *= up->value;
    }
  }
  value.bound +=
      halfUnit(test.problem.output) * std::fabs(value.value) + 0x1p-24;
  return value;
}

Expected skinny_linear::expectedOf(const Case &test, const Arrays &arrays) {
  const Problem &problem = test.problem;
  std::vector<float> x = activationsOf(test, arrays);
  Expected expected;
  int64_t columns = problem.outputColumns();
  expected.y.resize(test.tokens * columns);
  expected.bound.resize(test.tokens * columns);
  for (int64_t m = 0; m < test.tokens; ++m) {
    int64_t column = 0;
    for (size_t s = 0; s < problem.segments.size(); ++s) {
      const Segment &segment = problem.segments[s];
      int64_t rows = problem.gate ? segment.rows / 2 : segment.rows;
      for (int64_t row = 0; row < rows; ++row, ++column) {
        const float *token = x.data() + m * problem.columns;
        auto product = [&](int64_t row) {
          if (problem.source)
            return dotOfMadeCodes(test, segment, arrays.segments[s], row,
                                  token);
          if (problem.hasCodes())
            return dotOfCodes(
                segment, arrays.segments[s], row,
                {arrays.xCodes.begin() + m * problem.columns,
                 arrays.xCodes.begin() + (m + 1) * problem.columns},
                arrays.tokenScales[size_t(m)]);
          return dot(test, segment, arrays.segments[s], row, token);
        };
        Product value = product(row), up{};
        if (problem.gate)
          up = product(row + rows);
        value = finish(test, arrays, value, &up, m, column);
        expected.y[m * columns + column] = value.value;
        expected.bound[m * columns + column] = value.bound;
      }
    }
  }
  return expected;
}
