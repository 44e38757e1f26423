// The file of a receipt.
//
// It is written by hand, in an order that people can read, and read with toml++. What it says of the model and of its
// calibration is checked before its cache is used: figures of another model, or of codes chosen with other knowledge,
// are none. All else in it is for people.
#include "kvasir/receipt.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <xxhash.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/mmap_file.h"
#include "engine/calibration_file.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSchema = 1;
constexpr size_t kMostBytes = size_t{1} << 20;  // a receipt has about one thousand
constexpr const char* kWayOut = "'kvasir tune' writes a new one, --no-receipt looks for none";

// As a basic string of TOML, which is one of JSON but for one control character.
std::string Quoted(const std::string& text) {
  std::string quoted;
  for (const char c : nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    quoted += c == '\x7f' ? std::string("\\u007F") : std::string(1, c);
  }
  return quoted;
}

// A number that is a float in TOML, too.
std::string Real(double value) {
  if (!std::isfinite(value)) return "nan";  // which ParseReceipt refuses
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string IntervalLines(const char* name, const std::optional<Interval>& interval) {
  if (!interval) return "";
  return fmt::format("{0}_low = {1}\n{0}_high = {2}\n", name, Real(interval->low), Real(interval->high));
}

// Reads members of a table; the first that is missing or of another type is remembered.
class Reader {
 public:
  Reader(const toml::table& table, std::string prefix) : table_(table), prefix_(std::move(prefix)) {}

  std::string Text(const char* key) { return Get<std::string>(key, "a text"); }
  double Real(const char* key) {
    const auto value = Get<double>(key, "a number");
    if (!std::isfinite(value)) Note(key, "a finite number");
    return value;
  }
  int64_t Whole(const char* key) {
    const auto value = Get<int64_t>(key, "a whole number");
    if (value < 0) Note(key, "0 or more");
    return value;
  }
  int Count(const char* key) {
    const int64_t value = Whole(key);
    if (value > std::numeric_limits<int>::max()) Note(key, "a smaller number");
    return static_cast<int>(value);
  }
  std::optional<Interval> Range(const std::string& name) {
    const std::string low = name + "_low", high = name + "_high";
    if (!table_.contains(low) && !table_.contains(high)) return std::nullopt;
    return Interval{.low = Real(low.c_str()), .high = Real(high.c_str())};
  }
  void Note(const char* key, std::string_view what) {
    if (!problem_.empty()) return;
    const toml::node* node = table_.get(key);
    const std::string line = node == nullptr ? "" : fmt::format(", line {}", node->source().begin.line);
    problem_ = fmt::format("cannot be used{}: {}{} must be {}", line, prefix_, key, what);
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  template <typename T>
  T Get(const char* key, std::string_view what) {
    const auto value = table_[key].value<T>();
    if (value) return *value;
    Note(key, what);
    return {};
  }

  const toml::table& table_;
  std::string prefix_;
  std::string problem_;
};

Result<toml::table> ParseToml(const std::string& text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("cannot be used, line {}: {}", error.source().begin.line, error.description()));
  }
}

ReceiptFigures ReadFigures(Reader& reader) {
  return {.mean_kld = reader.Real("mean_kld"),
          .mean_kld_interval = reader.Range("mean_kld"),
          .perplexity_ratio = reader.Real("perplexity_ratio"),
          .perplexity_ratio_interval = reader.Range("perplexity_ratio"),
          .same_top = reader.Real("same_top"),
          .chunks = reader.Count("chunks"),
          .bits_per_element = reader.Real("bits_per_element"),
          .bytes = static_cast<size_t>(reader.Whole("bytes")),
          .peak_bytes = static_cast<size_t>(reader.Whole("peak_bytes")),
          .tokens_per_gib = reader.Whole("tokens_per_gib"),
          .decode_tokens_per_second = reader.Real("decode_tokens_per_second"),
          .f16_decode_tokens_per_second = reader.Real("f16_decode_tokens_per_second")};
}

// The hash of the calibration that `spec` uses for the model file `model`, empty where it uses none.
std::string CalibrationHash(const KvSpec& spec, const std::string& model) {
  if (!WantsCalibration(spec)) return "";
  const auto file = base::MmapFile::Open(CalibrationPath(model));
  if (!file) return "";
  const XXH128_hash_t hash = XXH3_128bits(file->data(), file->size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string PathBeside(const std::string& model) {
  return fs::path(model).replace_extension(".kvasir.toml").string();
}

// Whether that is a decoder's file, for which alone there are receipts.
Result<std::string> ModelFile(const std::string& model) {
  KV_ASSIGN(std::string path, ResolveModel(model));
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is no model file, so it cannot have a receipt", path));
}

Result<Receipt> ReadReceipt(const std::string& path) {
  std::error_code error;
  if (fs::file_size(path, error) > kMostBytes || error) return Fail(ErrorCode::kCorrupt, "is no receipt");
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Fail(ErrorCode::kIo, "cannot be read");
  return ParseReceipt(text.str());
}

Status CheckFits(const Receipt& receipt, const std::string& model, const std::string& hash) {
  if (receipt.model_hash != hash) return Fail(ErrorCode::kInvalidArgument, "belongs to another model");
  const std::string calibration = CalibrationHash(receipt.kv, model);
  if (calibration == receipt.calibration) return {};
  return Fail(ErrorCode::kInvalidArgument,
              receipt.calibration.empty() ? "was measured without the calibration that there is now"
              : calibration.empty()       ? "was measured with a calibration that is no longer there"
                                          : "was measured with another calibration");
}

}  // namespace

std::string ReceiptText(const Receipt& receipt) {
  const ReceiptFigures& figures = receipt.figures;
  std::string text =
      "# The cache that `kvasir tune` chose for a model. `kvasir run`, `chat`, `serve`, `bench` and `inspect` take it\n"
      "# where no --kv is given; --no-receipt, another --kv, or removing this file ends that.\n";
  text += fmt::format("schema = {}\nkv = {}\ncontext = {}\nmodel_hash = {}\ncalibration_hash = {}\n", kSchema,
                      Quoted(KvSpecText(receipt.kv)), receipt.context_tokens, Quoted(receipt.model_hash),
                      Quoted(receipt.calibration));
  text +=
      fmt::format("\n[measured]  # intervals: 95 %, over chunks\nmean_kld = {}\n{}perplexity_ratio = {}\n{}",
                  Real(figures.mean_kld), IntervalLines("mean_kld", figures.mean_kld_interval),
                  Real(figures.perplexity_ratio), IntervalLines("perplexity_ratio", figures.perplexity_ratio_interval));
  text += fmt::format(
      "same_top = {}\nchunks = {}\nbits_per_element = {}\nbytes = {}\npeak_bytes = {}\ntokens_per_gib = {}\n"
      "decode_tokens_per_second = {}\nf16_decode_tokens_per_second = {}\n",
      Real(figures.same_top), figures.chunks, Real(figures.bits_per_element), figures.bytes, figures.peak_bytes,
      figures.tokens_per_gib, Real(figures.decode_tokens_per_second), Real(figures.f16_decode_tokens_per_second));
  text +=
      fmt::format("\n[made]\ncommand = {}\ndate = {}\nkvasir = {}\nisa = {}\ncpu = {}\nthreads = {}\ncompute = {}\n",
                  Quoted(receipt.command), Quoted(receipt.date), Quoted(receipt.version), Quoted(receipt.isa),
                  Quoted(receipt.cpu), receipt.threads, Quoted(receipt.compute));
  return text;
}

Result<Receipt> ParseReceipt(const std::string& text) {
  KV_ASSIGN(const toml::table table, ParseToml(text));
  Reader reader(table, "");
  const int64_t schema = reader.Whole("schema");
  if (!reader.problem().empty()) return Fail(ErrorCode::kCorrupt, reader.problem());
  if (schema != kSchema) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("is of schema {}, but this version of Kvasir reads {}", schema, kSchema));
  }
  for (const char* part : {"measured", "made"}) {
    if (!table[part].is_table()) reader.Note(part, "a table");
  }
  if (!reader.problem().empty()) return Fail(ErrorCode::kCorrupt, reader.problem());
  Reader measured(*table["measured"].as_table(), "measured.");
  Reader made(*table["made"].as_table(), "made.");
  const std::string kv = reader.Text("kv");
  Receipt receipt{.context_tokens = reader.Count("context"),
                  .figures = ReadFigures(measured),
                  .command = made.Text("command"),
                  .date = made.Text("date"),
                  .version = made.Text("kvasir"),
                  .isa = made.Text("isa"),
                  .cpu = made.Text("cpu"),
                  .compute = made.Text("compute"),
                  .threads = made.Count("threads"),
                  .model_hash = reader.Text("model_hash"),
                  .calibration = reader.Text("calibration_hash")};
  for (const Reader* each : {&reader, &measured, &made}) {
    if (!each->problem().empty()) return Fail(ErrorCode::kCorrupt, each->problem());
  }
  auto spec = ParseKvSpec(kv);
  if (!spec) {
    return Fail(ErrorCode::kCorrupt, fmt::format("cannot be used, line {}: {}", table["kv"].node()->source().begin.line,
                                                 spec.error().message));
  }
  receipt.kv = *std::move(spec);
  return receipt;
}

Result<std::string> WriteReceipt(const std::string& model, Receipt receipt, const std::string& given) {
  KV_ASSIGN(const std::string file, ModelFile(model));
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(file));
  receipt.model_hash = ModelHash(gguf);
  receipt.calibration = CalibrationHash(receipt.kv, file);
  const std::string text = ReceiptText(receipt);
  const auto write = [&](const std::string& path) -> Status {
    KV_ASSIGN(base::AtomicFile out, base::AtomicFile::Create(path));
    KV_TRY(out.Write(std::as_bytes(std::span(text))));
    return out.Commit();
  };
  if (!given.empty()) {
    KV_TRY(write(given));
    return given;
  }
  std::string beside = PathBeside(file);
  if (write(beside)) return beside;
  std::string cached = ReceiptCachePath(file);
  KV_TRY(write(cached));
  return cached;
}

ReceiptSearch FindReceipt(const std::string& model) {
  ReceiptSearch search;
  const auto file = ModelFile(model);
  if (!file) return search;  // loading it will say why
  std::string hash;          // of the model, once it is needed
  for (const std::string& path : {PathBeside(*file), ReceiptCachePath(*file)}) {
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    auto receipt = ReadReceipt(path);
    if (receipt && hash.empty()) {
      const auto gguf = files::GgufFile::Open(*file);
      if (!gguf) return search;
      hash = ModelHash(*gguf);
    }
    const Status fits = receipt ? CheckFits(*receipt, *file, hash) : std::unexpected(receipt.error());
    if (!fits) {
      search.warnings.push_back(fmt::format("the receipt {} {}; {}", path, fits.error().message, kWayOut));
    } else if (!search.file || search.file->receipt.date < receipt->date) {
      search.file = ReceiptSearch::File{path, *std::move(receipt)};
    }
  }
  return search;
}

}  // namespace kvasir
