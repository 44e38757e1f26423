// POST /v1/embeddings, in OpenAI's words (serving.md D).
#include <fmt/format.h>

#include "base/check.h"
#include "server/embedding_queue.h"
#include "server/fields.h"
#include "server/generation.h"
#include "server/routes.h"

namespace kvasir::server {
namespace {

constexpr size_t kMostInputs = 2048;  // OpenAI's
constexpr int kMostDimensions = 1 << 20;

class EmbeddingAnswer final : public Exchange {
 public:
  EmbeddingAnswer(std::shared_ptr<EmbeddingJob> job, std::string model)
      : job_(std::move(job)), model_(std::move(model)) {}
  ~EmbeddingAnswer() override { job_->Cancel(); }

  void Start(std::function<void()> wake) override { job_->OnFinished(std::move(wake)); }
  void Cancel() override { job_->Cancel(); }
  std::optional<HttpHead> Head() override {
    if (!job_->finished()) return std::nullopt;
    response_ = Response();
    return response_.head;
  }
  bool Poll(std::string& body) override {
    body += response_.body;
    return true;
  }
  [[nodiscard]] LogFields Summary() const override {
    LogFields fields = {{"texts", fmt::to_string(job_->texts())},
                        {"prompt_tokens", fmt::to_string(job_->tokens())},
                        {"finished", job_->finished() ? "yes" : "no"}};
    fields.insert(fields.end(), response_.log.begin(), response_.log.end());
    return fields;
  }

 private:
  // Vectors are written already, so the whole is put together as text.
  [[nodiscard]] HttpResponse Response() const {
    if (job_->error()) return ErrorResponse(FromEngine(*job_->error()));
    std::string body = R"({"object":"list","data":[)";
    for (size_t i = 0; i < job_->vectors().size(); ++i) {
      fmt::format_to(std::back_inserter(body), R"({}{{"object":"embedding","index":{},"embedding":{}}})",
                     i == 0 ? "" : ",", i, job_->vectors()[i]);
    }
    fmt::format_to(std::back_inserter(body), R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                   DumpJson(Json(model_)), job_->tokens(), job_->tokens());
    return {.head = {.status = 200, .headers = {{"content-type", "application/json"}}}, .body = body + "\n"};
  }

  std::shared_ptr<EmbeddingJob> job_;
  std::string model_;
  HttpResponse response_;
};

ApiError TooLong(const std::string& path, size_t tokens, int most, std::string message) {
  ApiError error = Refuse(400, fmt::format("{}: {}", path, message), "context_length_exceeded").error();
  error.param = path;
  error.details = {{"n_prompt_tokens", tokens}, {"n_ctx", most}};
  return error;
}

// One text, or one list of token ids.
std::vector<int32_t> ReadInput(const Json& value, const std::string& path, Fields& fields, const Embedder& embedder) {
  const EmbedderInfo& info = embedder.info();
  std::vector<int32_t> tokens;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.empty()) fields.Problem(path, "is empty, but it must be a text");
    tokens = embedder.Encode(text);
  } else if (value.is_array() && !value.empty()) {
    const Json holder = {{path, value}};
    Fields ids(holder);
    tokens = ids.Integers(path, 0, info.vocabulary - 1, SIZE_MAX);
    ids.FinishInto(fields);
  } else {
    fields.Problem(path, fmt::format("is {}, but it must be a text or a list of token ids",
                                     value.is_array() ? "an empty list" : Shown(value)));
  }
  if (!fields.ok()) return {};
  if (const Status status = embedder.Check(tokens); !status) {
    if (tokens.size() > static_cast<size_t>(info.max_tokens)) {
      fields.Problem(TooLong(path, tokens.size(), info.max_tokens, status.error().message));
    } else {
      fields.Problem(path, fmt::format("cannot be embedded: {}", status.error().message));
    }
  }
  return tokens;
}

std::vector<std::vector<int32_t>> ReadInputs(Fields& fields, const Embedder& embedder) {
  std::vector<std::vector<int32_t>> inputs;
  fields.Inputs("input", kMostInputs, [&](const Json& value, const std::string& path) {
    inputs.push_back(ReadInput(value, path, fields, embedder));
  });
  return inputs;
}

VectorEncoding ReadEncoding(Fields& fields) {
  const std::string name = fields.Text("encoding_format").value_or("float");
  if (name == "base64") return VectorEncoding::kBase64;
  if (name != "float") {
    fields.Problem("encoding_format", fmt::format("is {}, but it must be \"float\" or \"base64\"", Shown(Json(name))));
  }
  return VectorEncoding::kFloats;
}

// Vectors can be cut only where the model was trained for it (Matryoshka), which no recipe that is read here says.
void ReadDimensions(Fields& fields, const EmbedderInfo& info) {
  const auto dimensions = fields.Integer("dimensions", 1, kMostDimensions);
  if (!dimensions || *dimensions == info.dimensions) return;
  fields.Problem("dimensions",
                 fmt::format("is {}, but this model's vectors have {} and lose their meaning when they are "
                             "cut; leave it out",
                             *dimensions, info.dimensions));
}

}  // namespace

Handled HandleEmbeddings(const Call& call) {
  KV_TRY(CheckReady(call.app));
  const EmbeddingModel& model = *call.app.embedding();
  Fields fields(call.body);
  KV_TRY(CheckModelName(fields, model.id, " for embeddings"));
  const VectorEncoding encoding = ReadEncoding(fields);
  ReadDimensions(fields, model.embedder->info());
  (void)fields.Text("user");  // who asks, for the provider's own statistics
  std::vector<std::vector<int32_t>> inputs = ReadInputs(fields, *model.embedder);
  KV_TRY(fields.Finish());
  const auto job = std::make_shared<EmbeddingJob>(std::move(inputs), encoding, call.http.tenant);
  KV_TRY(model.queue->Submit(job));
  return std::make_shared<EmbeddingAnswer>(job, model.id);
}

}  // namespace kvasir::server
