// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppendBody.h"
#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Quant/Element.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;

Run Body::change(Flag condition, const Run &run,
                 llvm::function_ref<Run()> body) {
  Kernel::Values values;
  for (Real value : run)
    values.push_back(value.value);
  values = k.when(condition, values, [&](Kernel::Values) {
    Kernel::Values changed;
    for (Real value : body())
      changed.push_back(value.value);
    return changed;
  });
  Run result;
  for (Value value : values)
    result.push_back({{&k, value}});
  return result;
}

// Channels --------------------------------------------------------------------

Run Body::loadChannels(Global head, Int channel, int64_t size, Type type) {
  int64_t bytes = type.isF32() ? 4 : 2;
  if (!apart)
    return loadRun(k, head.at(channel, bytes), type, width);
  Run run;
  for (int64_t i = 0; i < width; ++i) {
    Int at = channel + i;
    run.push_back(change(at < k.constant(size), {k.real(0)}, [&] {
                    return loadRun(k, head.at(at, bytes), type, 1);
                  }).front());
  }
  return run;
}

void Body::storeChannels(Global head, Int channel, int64_t size,
                         const Run &run) {
  if (!apart)
    return storeRun(k, head.at(channel, 2), run, activation);
  for (size_t i = 0; i < run.size(); ++i) {
    Int at = channel + int64_t(i);
    k.when(at < k.constant(size),
           [&] { storeRun(k, head.at(at, 2), {run[i]}, activation); });
  }
}

Run Body::insideOf(const Run &run, Int channel, int64_t size) {
  Flag inside = channel < k.constant(size);
  Run result;
  for (size_t i = 0; i < run.size(); ++i) {
    if (i && size % width)
      inside = channel + int64_t(i) < k.constant(size);
    result.push_back(select(inside, run[i], k.real(0)));
  }
  return result;
}

// Places ----------------------------------------------------------------------

Places::Places(const Problem &problem, std::vector<Argument> &arguments,
               int merged) {
  auto add = [&](Argument::Kind kind, const char *name) {
    arguments.push_back({kind, name});
    return int(arguments.size()) - 1;
  };
  query = key = value = merged;
  if (merged < 0) {
    query = add(Argument::Dependent, "query");
    key = add(Argument::Dependent, "key");
    value = add(Argument::Dependent, "value");
    // Columns of other rows begin where heads do.
    if (hasOddHeads(problem))
      for (int index : {query, key, value})
        arguments[size_t(index)].align = 2;
  }
  queries = problem.queries == Queries::Elsewhere
                ? add(Argument::Dependent, "queries")
                : query;
  if (problem.norm) {
    queryScale = add(Argument::Constant, "query_scale");
    keyScale = add(Argument::Constant, "key_scale");
  }
  if (problem.rotated && problem.angles == Angles::Table) {
    cos = add(Argument::Dependent, "cos");
    sin = add(Argument::Dependent, "sin");
  } else if (problem.rotated) {
    frequencies = add(Argument::Constant, "inverse_frequencies");
  }
  tokenStarts = add(Argument::Constant, "token_starts");
  contextStarts = add(Argument::Constant, "context_starts");
  pageTable = add(Argument::Constant, "page_table");
  pages = add(Argument::Dependent, "pages");
  if (problem.cache.recent)
    rows = add(Argument::Dependent, "rows");
  sequences = add(Argument::Integer, "sequences");
}

/// How many sequences end at or before the token: the index of its sequence, or
/// the number of sequences for a token behind all of them.
void Body::setToken(Int index) {
  token = index;
  Int sequences = k.integer(unsigned(places.sequences));
  Kernel::Values count = k.loop(
      k.constant(0), sequences, k.constant(32), {k.constant(0).value},
      [&](Int first, Kernel::Values values) -> Kernel::Values {
        Int index = first + k.lane();
        values = k.when(
            index < sequences, values, [&](Kernel::Values) -> Kernel::Values {
              Int end = k.loadConstant(
                  argument(places.tokenStarts).at(index, 4).at(4), 1)[0];
              Int ended = select(token < end, k.constant(0), k.constant(1));
              return {(Int{{&k, values[0]}} + ended).value};
            });
        return values;
      });
  sequence = sumWarp(k, {{&k, count[0]}});
}

Flag Body::isPresent() {
  return sequence < k.integer(unsigned(places.sequences));
}

/// How many sequences end at or before each lane's token, bit by bit from the
/// highest.
Int Body::sequenceOf(Int token) {
  Int sequences = k.integer(unsigned(places.sequences));
  constexpr int64_t bits = 31;
  Kernel::Values values =
      k.loop(k.constant(0), k.constant(bits), k.constant(1),
             {k.constant(0).value, k.constant(int64_t(1) << (bits - 1)).value},
             [&](Int, Kernel::Values now) -> Kernel::Values {
               Int ended{{&k, now[0]}}, bit{{&k, now[1]}}, more = ended + bit;
               Kernel::Values next =
                   k.when(more < sequences + 1, {ended.value},
                          [&](Kernel::Values) -> Kernel::Values {
                            Int end = k.loadConstant(
                                argument(places.tokenStarts).at(more, 4), 1)[0];
                            return {select(token < end, ended, more).value};
                          });
               return {next[0], (bit >> int64_t(1)).value};
             });
  return {{&k, values[0]}};
}

Body::Place Body::placeIn(Int sequence, Int token) {
  auto number = [&](int index, Int at) {
    return k.loadConstant(argument(index).at(at, 4), 1).front();
  };
  Int position = number(places.contextStarts, sequence) + token -
                 number(places.tokenStarts, sequence);
  return {position,
          number(places.pageTable,
                 sequence * problem.pageTableStride + position / cache.page)};
}

Body::Place Body::placeOf(Int token) {
  Int sequence = sequenceOf(token);
  Kernel::Values place =
      k.when(sequence < k.integer(unsigned(places.sequences)),
             {k.constant(-1).value, k.constant(0).value},
             [&](Kernel::Values) -> Kernel::Values {
               Place place = placeIn(sequence, token);
               return {place.position.value, place.page.value};
             });
  return {{{&k, place[0]}}, {{&k, place[1]}}};
}

void Body::setPlace(Int token, Place place) {
  this->token = token;
  position = place.position;
  slot = position % cache.page;
  page = argument(places.pages).at(place.page, cache.pageBytes());
}

void Body::locate() {
  // One that is there even for a token behind all of them.
  Int sequence = min(this->sequence, k.integer(unsigned(places.sequences)) - 1);
  setPlace(token, placeIn(sequence, token));
  if (cache.hasSlots())
    locateGroups(sequence);
}

Global Body::headOf(int tensor, const Columns &columns, Int head,
                    int64_t size) {
  return argument(tensor)
      .at(token, columns.stride * 2)
      .at(head, size * 2)
      .at(columns.first * 2);
}

// Norm ------------------------------------------------------------------------

/// A term for each channel, added to what a lane has so far; what lanes have
/// behind the last channel is zero.
Real Body::sumOf(const Head &head, llvm::function_ref<Real(Real, Real)> add) {
  Real sum = k.real(0);
  for (const Run &run : head)
    for (Real value : run)
      sum = add(sum, value);
  return reduceWarp(k, sum, Reduction::Sum);
}

/// 1 / √(mean (x − μ)² + ε), with μ = 0 of an rms_norm.
Body::Statistic Body::statisticOf(const Head &head) {
  double share = 1.0 / double(cache.keySize);
  Statistic statistic;
  Head centred = head;
  if (problem.norm->kind == norm::Kind::Layer) {
    Real mean = sumOf(head, [](Real sum, Real x) { return sum + x; }) * share;
    for (int64_t chunk = 0; chunk < chunks(cache.keySize); ++chunk) {
      Run &run = centred[size_t(chunk)];
      for (Real &value : run)
        value = value - mean;
      run = insideOf(run, channel(chunk), cache.keySize);
    }
    statistic.mean = mean;
  }
  Real squares =
      sumOf(centred, [](Real sum, Real x) { return fma(x, x, sum); });
  statistic.factor =
      k.reciprocalRoot(squares * share + k.real(problem.norm->epsilon));
  return statistic;
}

/// Those of the norm of a head from `channel` on.
Run Body::scalesOf(Kind kind, Int index, Int channel) {
  mlir::Type type = typeOf(k, problem.norm->scale);
  int64_t bytes = type.isF32() ? 4 : 2;
  Global scales =
      argument(kind == Kind::Query ? places.queryScale : places.keyScale);
  if (problem.norm->perHead)
    scales = scales.at(index, cache.keySize * bytes);
  return loadChannels(scales, channel, cache.keySize, type);
}

/// A run as a launch of its own would have rounded it.
Run Body::normalise(const Run &run, const Run &scales,
                    const Statistic &statistic) {
  Run result;
  for (size_t i = 0; i < run.size(); ++i) {
    Real x = statistic.mean ? run[i] - *statistic.mean : run[i];
    result.push_back(x * statistic.factor * scales[i]);
  }
  return roundRun(k, result, activation);
}

// Rotation --------------------------------------------------------------------

Body::Head Body::load(Reader reader, int64_t size) {
  Run zeros(size_t(width), k.real(0));
  Head head;
  for (int64_t chunk = 0; chunk < chunks(size); ++chunk)
    head.push_back(change(channel(chunk) < k.constant(size), zeros,
                          [&] { return reader(channel(chunk)); }));
  return head;
}

/// The angles of `count` pairs from `first` on.
std::vector<Rotation> Body::rotationsOf(Int first, int count) {
  std::vector<Rotation> rotations;
  int64_t half = problem.rotated / 2;
  if (problem.angles == Angles::Computed) {
    Run frequencies =
        loadRun(k, argument(places.frequencies).at(first, 4), f32, count);
    for (Real frequency : frequencies)
      rotations.push_back(rotationOf(position, frequency, problem.angleScale));
    return rotations;
  }
  auto table = [&](int index) {
    return loadRun(k, argument(index).at(token, half * 4).at(first, 4), f32,
                   count);
  };
  Run cos = table(places.cos), sin = table(places.sin);
  for (int i = 0; i < count; ++i)
    rotations.push_back({cos[size_t(i)], sin[size_t(i)]});
  return rotations;
}

/// Two products and a sum, each rounded, as on the host.
Run Body::rotateRun(const Run &run, Reader reader, Int channel) {
  Run result;
  if (problem.pairs == Pairs::Interleaved) {
    std::vector<Rotation> rotations =
        rotationsOf(channel >> int64_t(1), width / 2);
    for (size_t i = 0; i < rotations.size(); ++i) {
      auto [cos, sin] = rotations[i];
      Real a = run[2 * i], b = run[2 * i + 1];
      result.push_back(a * cos - b * sin);
      result.push_back(a * sin + b * cos);
    }
    return result;
  }
  if (problem.rotated / 2 % width)
    return rotateChannels(run, reader, channel);
  Int half = k.constant(problem.rotated / 2);
  Flag first = channel < half;
  Int pair = select(first, channel, channel - half);
  Int partner = select(first, channel + half, pair);
  std::vector<Rotation> rotations = rotationsOf(pair, width);
  Run others = reader(partner);
  for (size_t i = 0; i < run.size(); ++i) {
    Real other = others[i] * rotations[i].sine;
    other = select(first, other * -1, other);
    result.push_back(run[i] * rotations[i].cosine + other);
  }
  return result;
}

/// The same where a lane's two channels may lie in both halves, or have their
/// partners in two runs.
Run Body::rotateChannels(const Run &run, Reader reader, Int channel) {
  Int half = k.constant(problem.rotated / 2);
  Run result;
  for (int64_t i = 0; i < width; ++i) {
    Int at = channel + i;
    Flag first = at < half;
    Int pair = select(first, at, at - half);
    Int partner = select(first, at + half, pair);
    Rotation rotation = rotationsOf(pair, 1).front();
    Int odd = partner & 1;
    Run others = reader(partner - odd);
    Real other = select(odd == 0, others[0], others[1]) * rotation.sine;
    other = select(first, other * -1, other);
    result.push_back(run[size_t(i)] * rotation.cosine + other);
  }
  return result;
}

void Body::rotate(Head &head, Reader reader) {
  for (int64_t chunk = 0; chunk * 32 * width < problem.rotated; ++chunk) {
    Run &run = head[size_t(chunk)];
    Int at = channel(chunk);
    run = change(at < k.constant(problem.rotated), run,
                 [&] { return rotateRun(run, reader, at); });
  }
}

// Stores ----------------------------------------------------------------------

void Body::storeQuery(const Head &head, Int index) {
  bool inPlace = problem.queries == Queries::InPlace;
  Columns elsewhere{0, problem.heads * cache.keySize};
  Global destination =
      headOf(places.queries, inPlace ? problem.query : elsewhere, index,
             cache.keySize);
  // Lanes have read each other's channels.
  k.syncWarp();
  for (int64_t chunk = 0; chunk < chunks(cache.keySize); ++chunk)
    where(chunk, cache.keySize, [&] {
      storeChannels(destination, channel(chunk), cache.keySize,
                    head[size_t(chunk)]);
    });
}

/// The codes of a run over its scales, the first one in the lowest bits of the
/// first word.
std::vector<Int> Body::codesOf(const Run &quotients,
                               const quant::Element &element, int64_t lowest) {
  int64_t bits = element.bits, perWord = 32 / bits, most = element.maxCode;
  bool integers = element.isInteger();
  std::vector<Int> words;
  for (size_t i = 0; i < quotients.size(); i += integers ? 1 : 2) {
    Int code = k.constant(0);
    if (integers) {
      code = roundToInt(quotients[i]);
      code = max(min(code, k.constant(most)), k.constant(lowest));
      code = code & ((int64_t(1) << bits) - 1);
    } else {
      code = packE4m3(quotients[i], quotients[i + 1]);
    }
    int64_t place = int64_t(i) % perWord;
    if (place == 0)
      words.push_back(code);
    else
      words.back() = words.back() | code << place * bits;
  }
  return words;
}

/// Those of the lane's channels in `chunk`, at a head's codes of a position.
void Body::storeCodes(Global codes, int64_t chunk,
                      const std::vector<Int> &words,
                      const quant::Element &element) {
  int64_t bits = element.bits;
  int bytes = int(width * bits / 8);
  Global address = codes.at(channel(chunk) >> int64_t(bits == 4 ? 1 : 0), 1);
  if (bytes < 4)
    storeBytes(k, address, words.front(), bytes);
  else
    storeWords(k, address, words);
}

/// As storeCodes with codes of two or three bits, by all lanes: what lies in
/// the two bytes of eight channels, and in the third behind the row of the
/// others, is put together by the lanes that have them.
void Body::storeShortCodes(Global codes, int64_t chunk, int64_t row,
                           const Run &quotients, const quant::Element &element,
                           int64_t lowest) {
  constexpr int64_t unit = 8;
  Int first = channel(chunk) % unit; // of the lane in its unit
  Int lower = k.constant(0), thirds = k.constant(0);
  for (size_t i = 0; i < quotients.size(); ++i) {
    Int code = roundToInt(quotients[i]);
    code = max(min(code, k.constant(element.maxCode)), k.constant(lowest));
    lower = lower | (code & 3) << int64_t(2 * i);
    if (element.bits == 3)
      thirds = thirds | ((code >> int64_t(2)) & 1) << int64_t(i);
  }
  Int word = lower << first * 2;
  if (element.bits == 3)
    word = word | thirds << (first + 16);
  for (int distance = 1; distance * width < unit; distance *= 2)
    word = word | fromLaneAcross(k, word, distance);
  where(chunk, row, [&] {
    k.when(first == 0, [&] {
      storeBytes(k, codes.at(channel(chunk) >> int64_t(2), 1), word, 2);
      if (element.bits == 3)
        storeBytes(k, codes.at(row / 4).at(channel(chunk) >> int64_t(3), 1),
                   word >> int64_t(16), 1);
    });
  });
}

/// The f16 scale of values up to `largest` in so many steps, and one over it; 0
/// for a scale of 0.
CodeScale Body::scaleOf(Real largest, int steps) {
  constexpr double largestHalf = 65504;
  Real step = largest / k.real(double(steps));
  step = select(step > k.real(largestHalf), k.real(largestHalf), step);
  step = roundRun(k, {step}, k.builder().getF16Type()).front();
  return {step, select(step > k.real(0), k.real(1) / step, k.real(0))};
}

void Body::appendCodes(const Head &head, Global codes, Global scale,
                       int64_t row, const quant::Element &element) {
  Real largest = k.real(0);
  for (const Run &run : head)
    for (Real value : run)
      largest = max(largest, absolute(value));
  largest = reduceWarp(k, largest, Reduction::Max);
  CodeScale code = scaleOf(largest, element.maxCode);
  for (int64_t chunk = 0; chunk < chunks(row); ++chunk)
    where(chunk, row, [&] {
      Run quotients;
      for (Real value : head[size_t(chunk)])
        quotients.push_back(value * code.inverse);
      storeCodes(codes, chunk, codesOf(quotients, element, -element.maxCode),
                 element);
    });
  k.when(k.lane() == 0,
         [&] { k.storeReal(scale, code.step, k.builder().getF16Type()); });
}

/// `run`: the head's codes in the page, with its scales behind. `row`: channels
/// of a position there; those behind the head's end are zero, as the head has
/// them.
void Body::append(const Head &head, Global run, int64_t row,
                  const quant::Format &format) {
  const quant::Element &element = quant::elementOf(format.element);
  int64_t bits = element.bits;
  Global codes = run.at(slot, row * bits / 8);
  if (format.groupSize)
    return appendValueGroups(head, run);
  if (!format.isFloat())
    return appendCodes(head, codes,
                       run.at(cache.page * row * bits / 8).at(slot, 2), row,
                       element);
  for (int64_t chunk = 0; chunk < chunks(row); ++chunk)
    where(chunk, row, [&] {
      storeRun(k, codes.at(channel(chunk), 2), head[size_t(chunk)],
               typeOf(k, format.element));
    });
}

// Heads -----------------------------------------------------------------------

void Body::forKind(Int job, llvm::function_ref<void(Kind, Int)> body) {
  int64_t firstValue = problem.heads + cache.keyHeads;
  k.when(job < k.constant(problem.heads), [&] { body(Kind::Query, job); });
  k.when(job >= problem.heads && job < k.constant(firstValue),
         [&] { body(Kind::Key, job - problem.heads); });
  k.when(job >= firstValue && job < k.constant(firstValue + cache.keyHeads),
         [&] { body(Kind::Value, job - firstValue); });
}

Global Body::sourceOf(Kind kind, Int index) {
  if (kind == Kind::Value)
    return headOf(places.value, problem.value, index, cache.valueSize);
  return kind == Kind::Query
             ? headOf(places.query, problem.query, index, cache.keySize)
             : headOf(places.key, problem.key, index, cache.keySize);
}

Global Body::keysOf(Int head) {
  return page.at(head, cache.keyOffset(1) - cache.keyOffset(0));
}

Body::Head Body::rotated(Kind kind, Int index, Reader reader) {
  if (kind == Kind::Value || !problem.norm) {
    Head head = load(reader, sizeOf(kind));
    if (kind != Kind::Value)
      rotate(head, reader);
    return head;
  }
  // Ahead of the head, so that one trip to memory brings both.
  Head scales =
      load([&](Int at) { return scalesOf(kind, index, at); }, cache.keySize);
  Head head = load(reader, cache.keySize);
  Statistic statistic = statisticOf(head);
  for (size_t chunk = 0; chunk < head.size(); ++chunk) {
    Run &run = head[chunk];
    run = normalise(run, scales[chunk], statistic);
    if (apart) // zeros less a mean are none
      run = insideOf(run, channel(int64_t(chunk)), cache.keySize);
  }
  rotate(head, [&](Int at) {
    return normalise(reader(at), scalesOf(kind, index, at), statistic);
  });
  return head;
}

void Body::store(Kind kind, const Head &head, Int index) {
  if (kind == Kind::Query)
    storeQuery(head, index);
  else if (kind == Kind::Key)
    append(head, keysOf(index), cache.keyRow(), cache.key);
  else
    append(head, keysOf(index).at(cache.valueOffset(0)), cache.valueRow(),
           cache.value);
}

void Body::run(Int job) {
  bool keepsQueries =
      problem.queries == Queries::InPlace && !changesQueries(problem);
  forKind(job, [&](Kind kind, Int index) {
    if (kind == Kind::Query && keepsQueries)
      return;
    if (kind == Kind::Key && cache.keyGroup()) {
      appendKeys(index, keysOf(index));
    } else {
      Global source = sourceOf(kind, index);
      store(kind, rotated(kind, index, readerOf(source, sizeOf(kind))), index);
    }
    if (cache.recent && kind != Kind::Query)
      appendLatest(kind, index);
  });
}
