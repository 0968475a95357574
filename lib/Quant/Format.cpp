// Parsing and spelling of formats; the grammar is in Format.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Format.h"
#include "lib/Quant/Element.h"
#include <algorithm>
#include <charconv>
#include <vector>

namespace qopt::quant {

constexpr int64_t smallestGroup = 8, largestGroup = 65536, smallestBlock = 32;

static Status invalid(std::string_view text, std::string why) {
  return Status(StatusCode::InvalidArgument,
                "format \"" + std::string(text) + "\": " + std::move(why));
}

/// How the types of scales are spelt.
using ScaleName = std::pair<ScaleType, std::string_view>;
static constexpr ScaleName scaleNames[] = {
    {ScaleType::F16, "sf16"},   {ScaleType::F32, "sf32"},
    {ScaleType::BF16, "sbf16"}, {ScaleType::E8m0, "se8m0"},
    {ScaleType::E4m3, "se4m3"}, {ScaleType::Code6, "s6"},
    {ScaleType::Code8, "s8"}};

/// Formats with names of their own.
using NamedFormat = std::pair<std::string_view, Format>;
static constexpr NamedFormat namedFormats[] = {
    {"mxfp4",
     {.element = ElementType::Fp4E2m1,
      .granularity = Granularity::Group,
      .groupSize = 32,
      .scale = ScaleType::E8m0}},
    {"nvfp4",
     {.element = ElementType::Fp4E2m1,
      .granularity = Granularity::Group,
      .groupSize = 16,
      .scale = ScaleType::E4m3}}};

static ScaleType defaultScale(Granularity granularity) {
  return granularity == Granularity::Group || granularity == Granularity::Block
             ? ScaleType::F16
             : ScaleType::F32;
}

Format floatFormat(ElementType element) { return Format{.element = element}; }

Format groupFormat(ElementType element, int64_t groupSize, ZeroType zero) {
  return Format{.element = element,
                .granularity = Granularity::Group,
                .groupSize = groupSize,
                .zero = zero,
                .scale = defaultScale(Granularity::Group)};
}

static std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t end = text.find('_');
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

/// The size of a part "g<digits>" or "b<digits>", or -1 where the part is
/// something else.
static int64_t groupSizeOf(std::string_view part) {
  if (part.size() < 2 || (part.front() != 'g' && part.front() != 'b'))
    return -1;
  int64_t size = 0;
  auto [end, error] =
      std::from_chars(part.data() + 1, part.data() + part.size(), size);
  return error == std::errc() && end == part.data() + part.size() && size >= 0
             ? size
             : -1;
}

/// Applies one part behind the element; returns what is wrong with it, or an
/// empty string.
static std::string applyPart(std::string_view part, Format &format,
                             bool &scaleGiven) {
  if (int64_t size = groupSizeOf(part); size >= 0) {
    if (size < smallestGroup || size > largestGroup || size % smallestGroup)
      return "group size " + std::to_string(size) +
             " is not supported; expected a multiple of " +
             std::to_string(smallestGroup) + " up to " +
             std::to_string(largestGroup);
    format.granularity =
        part.front() == 'g' ? Granularity::Group : Granularity::Block;
    format.groupSize = size;
  } else if (part == "full") {
    format.range = CodeRange::Full;
  } else if (part == "restricted") {
    format.range = CodeRange::Restricted;
  } else if (part == "asym") {
    format.zero = format.zero == ZeroType::None ? ZeroType::U8 : format.zero;
  } else if (part == "tensor") {
    format.granularity = Granularity::Tensor;
  } else if (part == "zf") {
    format.zero = ZeroType::Float;
  } else if (const ScaleName *name =
                 std::ranges::find(scaleNames, part, &ScaleName::second);
             name != std::end(scaleNames)) {
    format.scale = name->first;
    scaleGiven = true;
  } else {
    return "unknown part \"" + std::string(part) +
           "\"; expected asym, full, restricted, tensor, g<size>, b<size>, zf, "
           "sf16, sf32, sbf16, se8m0, se4m3, s6 or s8";
  }
  return {};
}

/// The element that the parts begin with, or null; a name has one part or two,
/// which become one.
static const Element *takeElement(std::string_view text,
                                  std::vector<std::string_view> &parts) {
  if (const Element *element = findElement(parts.front()))
    return element;
  if (parts.size() < 2)
    return nullptr;
  std::string_view name = text.substr(0, parts[0].size() + 1 + parts[1].size());
  const Element *element = findElement(name);
  if (element)
    parts.erase(parts.begin());
  return element;
}

/// Whether spelling the range of a format says nothing.
static bool hasUsualRange(const Format &format) {
  Format usual = format;
  usual.range = CodeRange::Usual;
  return symmetricCodes(format) == symmetricCodes(usual);
}

/// Why a format cannot have its scales.
static std::string scaleFault(const Format &format) {
  if (format.scale == ScaleType::E8m0 || format.scale == ScaleType::E4m3) {
    std::string name = format.scale == ScaleType::E8m0 ? "e8m0" : "e4m3";
    if (format.granularity != Granularity::Group)
      return name + " scales need groups; expected g<size>";
    CodeBounds codes = symmetricCodes(format);
    if (!format.isSymmetric() || codes.low + codes.high < 0)
      return name + " scales have no sign; expected floating point elements or "
                    "integers of a restricted range";
  }
  if (!format.hasScaleFields())
    return {};
  bool divides = format.granularity == Granularity::Group &&
                 format.groupSize < columnsPerUnit &&
                 columnsPerUnit % format.groupSize == 0;
  if (!divides)
    return "two levels of scales need groups of 8, 16, 32, 64 or 128";
  if (format.zero == ZeroType::Float)
    return "two levels of scales have zero points that are codes; expected no "
           "zf";
  return {};
}

std::string formatFault(const Format &format) {
  const Element &element = elementOf(format.element);
  if (!format.isSymmetric() && !element.unsignedMax)
    return std::string(element.name) + " has no zero points";
  if (format.range != CodeRange::Usual && !element.isInteger())
    return std::string(element.name) +
           " has no range of codes; expected full or restricted with integers";
  if (format.range != CodeRange::Usual && !format.isSymmetric())
    return "asymmetric formats use all codes; expected no full or restricted";
  if (format.granularity == Granularity::Block &&
      format.groupSize % smallestBlock)
    return "block size " + std::to_string(format.groupSize) +
           " is not supported; expected a multiple of " +
           std::to_string(smallestBlock);
  if (format.granularity == Granularity::Block &&
      (!format.isSymmetric() || !element.encode))
    return "blocks of rows and columns are for floating point elements; "
           "expected g<size> with " +
           std::string(element.name);
  return scaleFault(format);
}

StatusOr<Format> parseFormat(std::string_view text) {
  for (const NamedFormat &named : namedFormats)
    if (named.first == text)
      return named.second;
  std::vector<std::string_view> parts = split(text);
  for (const NamedFormat &named : namedFormats)
    if (named.first == parts.front())
      return invalid(text, std::string(named.first) +
                               " has no parts; expected \"" +
                               std::string(named.first) + "\" alone");
  const Element *element = takeElement(text, parts);
  if (!element)
    return invalid(
        text, "unknown element type \"" + std::string(parts.front()) +
                  "\"; expected one of " + elementNames() + ", mxfp4, nvfp4");
  Format format = floatFormat(element->type);
  if (element->isFloat) {
    if (parts.size() > 1)
      return invalid(text, std::string(element->name) +
                               " has no scales; expected \"" +
                               std::string(element->name) + "\" alone");
    return format;
  }
  format.granularity = Granularity::Channel;
  bool scaleGiven = false;
  for (size_t i = 1; i < parts.size(); ++i)
    if (std::string why = applyPart(parts[i], format, scaleGiven); !why.empty())
      return invalid(text, std::move(why));
  if (!scaleGiven)
    format.scale = defaultScale(format.granularity);
  if (std::string why = formatFault(format); !why.empty())
    return invalid(text, std::move(why));
  if (hasUsualRange(format))
    format.range = CodeRange::Usual;
  // One format, one spelling: a repeated, contradictory, superfluous or
  // misplaced part does not come back.
  if (std::string spelling = spell(format); spelling != text)
    return invalid(text, "this format is spelt \"" + spelling + "\"");
  return format;
}

std::string spell(const Format &format) {
  for (const NamedFormat &named : namedFormats)
    if (named.second == format)
      return std::string(named.first);
  std::string text(elementOf(format.element).name);
  if (format.isFloat())
    return text;
  if (!format.isSymmetric())
    text += "_asym";
  if (format.range == CodeRange::Full)
    text += "_full";
  if (format.range == CodeRange::Restricted)
    text += "_restricted";
  if (format.granularity == Granularity::Tensor)
    text += "_tensor";
  if (format.granularity == Granularity::Group)
    text += "_g" + std::to_string(format.groupSize);
  if (format.granularity == Granularity::Block)
    text += "_b" + std::to_string(format.groupSize);
  if (format.zero == ZeroType::Float)
    text += "_zf";
  if (format.scale != defaultScale(format.granularity))
    text += "_" + std::string(std::ranges::find(scaleNames, format.scale,
                                                &ScaleName::first)
                                  ->second);
  return text;
}

} // namespace qopt::quant
