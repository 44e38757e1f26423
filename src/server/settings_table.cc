// The table of settings. A new one: a member of ServeSettings and an entry here; flag, variable, TOML key, help,
// completion and --print-config follow.
#include <fmt/format.h>

#include <array>
#include <concepts>

#include "base/check.h"
#include "server/setting_values.h"
#include "server/settings.h"

namespace kvasir::server {
namespace {

using S = ServeSettings;
using Text = std::string_view;
using Values = std::vector<std::string>;

constexpr const char* kModel = "Model";
constexpr const char* kNetwork = "Network";
constexpr const char* kAccess = "Access";
constexpr const char* kLimits = "Limits";
constexpr const char* kScheduling = "Scheduling";
constexpr const char* kDefaults = "Sampling of requests that say nothing";
constexpr const char* kOperation = "Operation";

Status SetInt(int& target, Text text, int low, int high) {
  KV_ASSIGN(const int64_t value, ParseWhole(text, low, high));
  target = static_cast<int>(value);
  return {};
}

Status SetSize(size_t& target, Text text) {
  KV_ASSIGN(target, ParseBytes(text));
  return {};
}

Status SetSeconds(std::chrono::milliseconds& target, Text text) {
  KV_ASSIGN(const double seconds, ParseReal(text, 0.01, 86'400));
  target = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  return {};
}

Status SetFloat(float& target, Text text, double low, double high) {
  KV_ASSIGN(const double value, ParseReal(text, low, high));
  target = static_cast<float>(value);
  return {};
}

Status SetSwitch(bool& target, Text text) {
  KV_ASSIGN(target, ParseSwitch(text));
  return {};
}

Status AddText(std::vector<std::string>& target, Text text) {
  if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "is empty, but it must be some text");
  target.emplace_back(text);
  return {};
}

Values One(std::string text) {
  return {std::move(text)};
}
Values One(std::integral auto value) {
  return {fmt::to_string(value)};
}
Values One(std::floating_point auto value) {
  return {fmt::format("{}", value)};
}
Values Bytes(size_t bytes) {
  return {FormatBytes(bytes)};
}
Values Switch(bool value) {
  return {value ? "true" : "false"};
}
Values Seconds(std::chrono::milliseconds time) {
  return {fmt::format("{}", static_cast<double>(time.count()) / 1e3)};
}

Status SetLog(S& s, Text text) {
  if (text == "text") {
    s.log = LogFormat::kText;
  } else if (text == "json") {
    s.log = LogFormat::kJson;
  } else if (text == "off") {
    s.log = LogFormat::kOff;
  } else {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be one of text, json, off", text));
  }
  return {};
}

Status SetCompute(S& s, Text text) {
  auto mode = ParseComputeMode(text);
  if (!mode) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("is '{}', but it must be one of fast, balanced, precise, exact", text));
  }
  s.engine.compute = *mode;
  return {};
}

// With an eviction and no budget it is fine where kv-budget says one; GatherSettings sees both.
Status SetKv(S& s, Text text) {
  const auto spec = ParseKvSpec(text);
  if (!spec && !ParseKvSpec(text, "50%")) {
    return Fail(spec.error().code, fmt::format("is '{}': {}", text, spec.error().message));
  }
  s.kv = text;
  return {};
}

Status SetKvBudget(S& s, Text text) {
  if (!text.empty()) KV_TRY(CheckKvBudget(text));
  s.kv_budget = text;
  return {};
}

constexpr auto kNumber = SettingKind::kNumber;
constexpr auto kText = SettingKind::kText;
constexpr auto kList = SettingKind::kList;
constexpr auto kFlag = SettingKind::kFlag;
constexpr int kMany = 1'000'000;

constexpr auto kSettings = std::to_array<Setting>({
    {"model", "-m", kText, "MODEL", kModel, "GGUF file, encoder's folder, or the name of an installed model",
     [](S& s, Text t) -> Status {
       if (t.empty()) return Fail(ErrorCode::kInvalidArgument, "is empty, but it must be a file or an installed name");
       s.engine.model = t;
       return {};
     },
     [](const S& s) { return One(s.engine.model); }},
    {"model-name", "", kText, "NAME", kModel, "what requests call the model (default: as it was given)",
     [](S& s, Text t) -> Status {
       s.model_name = t;
       return {};
     },
     [](const S& s) { return One(s.model_name); }},
    {"chat-template", "", kText, "FILE", kModel, "chat template (Jinja) to use instead of the model's own",
     [](S& s, Text t) -> Status {
       s.chat_template_file = t;
       return {};
     },
     [](const S& s) { return One(s.chat_template_file); }},
    {"thoughts", "", kText, "HOW", kModel,
     "how clients get what a model thinks before it answers: separate, as reasoning_content, or text, in the answer "
     "(default separate)",
     [](S& s, Text t) -> Status {
       if (t != "separate" && t != "text") {
         return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be separate or text", t));
       }
       s.separate_thoughts = t == "separate";
       return {};
     },
     [](const S& s) { return One(std::string(s.separate_thoughts ? "separate" : "text")); }},
    {"embedding-model", "", kText, "MODEL", kModel,
     "what makes embeddings: an encoder, or a GGUF file (default: the model itself)",
     [](S& s, Text t) -> Status {
       s.embedding_model = t;
       return {};
     },
     [](const S& s) { return One(s.embedding_model); }},
    {"embedding-threads", "", kNumber, "N", kModel,
     "CPU threads of an encoder; 0 takes one per CPU, or for every second CPU beside another model (default 0)",
     [](S& s, Text t) { return SetInt(s.embedding_threads, t, 0, 1024); },
     [](const S& s) { return One(s.embedding_threads); }},
    {"threads", "-t", kNumber, "N", kModel, "CPU threads; 0 takes one per CPU (default 0)",
     [](S& s, Text t) { return SetInt(s.engine.threads, t, 0, 1024); },
     [](const S& s) { return One(s.engine.threads); }},
    {"ctx", "-c", kNumber, "N", kModel,
     "tokens that a request may have; 0 is what the model was trained for (default 0)",
     [](S& s, Text t) { return SetInt(s.engine.context_tokens, t, 0, 1 << 24); },
     [](const S& s) { return One(s.engine.context_tokens); }},
    {"compute", "", kText, "fast|balanced|precise|exact", kModel, "precision of the arithmetic (default balanced)",
     SetCompute, [](const S& s) { return One(std::string(ComputeModeName(s.engine.compute))); }},
    {"kv", "", kText, "SPEC", kModel,
     "how keys and values are stored: f16, q8, ch4, auto:3.5bits, ... (default auto: f16, or what kvasir tune has "
     "chosen)",
     SetKv, [](const S& s) { return One(s.kv); }},
    {"kv-budget", "", kText, "N", kModel,
     "with kv ...,evict=POLICY: what it keeps, whatever budget= says there; 4096 tokens per layer and head, 50% of the "
     "prompt, or 64M, bytes of a request",
     SetKvBudget, [](const S& s) { return One(s.kv_budget); }},
    {"no-receipt", "", kFlag, "", kModel, "without kv, do not look for the cache that kvasir tune has chosen",
     [](S& s, Text t) { return SetSwitch(s.no_receipt, t); }, [](const S& s) { return Switch(s.no_receipt); }},
    {"packed-cache", "", kFlag, "", kModel, "keep the packed weights in a file and start from it the next time",
     [](S& s, Text t) { return SetSwitch(s.engine.packed_cache, t); },
     [](const S& s) { return Switch(s.engine.packed_cache); }},
    {"memory", "", kText, "SIZE", kModel,
     "memory for weights, cache and scratch, such as 4G; 0 takes up to half of what is free (default 0)",
     [](S& s, Text t) { return SetSize(s.memory_bytes, t); }, [](const S& s) { return Bytes(s.memory_bytes); }},

    {"host", "", kText, "ADDRESS", kNetwork,
     "address to listen at; 0.0.0.0 is all of this machine's (default 127.0.0.1)",
     [](S& s, Text t) -> Status {
       s.http.host = t;
       return {};
     },
     [](const S& s) { return One(s.http.host); }},
    {"port", "", kNumber, "N", kNetwork, "port to listen at; 0 is any free one (default 8080)",
     [](S& s, Text t) { return SetInt(s.http.port, t, 0, 65'535); }, [](const S& s) { return One(s.http.port); }},
    {"tls-cert", "", kText, "FILE", kNetwork, "certificate for HTTPS, PEM, with those that lead to its issuer",
     [](S& s, Text t) -> Status {
       s.http.tls_certificate_file = t;
       return {};
     },
     [](const S& s) { return One(s.http.tls_certificate_file); }},
    {"tls-key", "", kText, "FILE", kNetwork, "its private key, PEM, without a password",
     [](S& s, Text t) -> Status {
       s.http.tls_key_file = t;
       return {};
     },
     [](const S& s) { return One(s.http.tls_key_file); }},
    {"http-threads", "", kNumber, "N", kNetwork,
     "threads for connections, and as many for reading requests (default 2)",
     [](S& s, Text t) -> Status {
       KV_TRY(SetInt(s.http.io_threads, t, 1, 64));
       s.http.worker_threads = s.http.io_threads;
       return {};
     },
     [](const S& s) { return One(s.http.io_threads); }},

    {"api-key-file", "", kText, "FILE", kAccess, "file of API keys, a line each: KEY or NAME KEY, perhaps priority=N",
     [](S& s, Text t) -> Status {
       s.api_key_file = t;
       return {};
     },
     [](const S& s) { return One(s.api_key_file); }},
    {"allowed-host", "", kList, "NAME", kAccess, "a name by which clients may call this machine, besides localhost",
     [](S& s, Text t) { return AddText(s.allowed_hosts, t); }, [](const S& s) { return s.allowed_hosts; }},
    {"cors-origin", "", kList, "ORIGIN", kAccess, "a web site whose pages may use the server; * is any",
     [](S& s, Text t) { return AddText(s.cors_origins, t); }, [](const S& s) { return s.cors_origins; }},

    {"max-running", "", kNumber, "N", kScheduling, "requests computed together at most (default 64)",
     [](S& s, Text t) { return SetInt(s.scheduler.max_running, t, 1, 512); },
     [](const S& s) { return One(s.scheduler.max_running); }},
    {"max-queue", "", kNumber, "N", kScheduling,
     "requests that may wait, those of one API key up to three quarters; one more gets status 429 (default 512)",
     [](S& s, Text t) { return SetInt(s.scheduler.max_waiting, t, 1, kMany); },
     [](const S& s) { return One(s.scheduler.max_waiting); }},
    {"itl-target-ms", "", kNumber, "X", kScheduling,
     "time between two tokens of a stream that prompts of others may cause; 0 is no target (default 100)",
     [](S& s, Text t) -> Status {
       KV_ASSIGN(s.scheduler.itl_target_ms, ParseReal(t, 0, 1e6));
       return {};
     },
     [](const S& s) { return One(s.scheduler.itl_target_ms); }},
    {"prefix-cache", "", kText, "on|off", kScheduling,
     "start from the longest beginning that was computed before (default on)",
     [](S& s, Text t) { return SetSwitch(s.scheduler.prefix_cache, t); },
     [](const S& s) { return One(std::string(s.scheduler.prefix_cache ? "on" : "off")); }},
    {"shadow-check", "", kNumber, "N", kScheduling,
     "compare one in N requests with exact attention, for /metrics; 0 is none (default 0)",
     [](S& s, Text t) { return SetInt(s.scheduler.shadow_check_every, t, 0, kMany); },
     [](const S& s) { return One(s.scheduler.shadow_check_every); }},

    {"max-connections", "", kNumber, "N", kLimits, "connections at once (default 4096)",
     [](S& s, Text t) { return SetInt(s.http.max_connections, t, 1, kMany); },
     [](const S& s) { return One(s.http.max_connections); }},
    {"max-header", "", kText, "SIZE", kLimits, "bytes of a request's header (default 64K)",
     [](S& s, Text t) { return SetSize(s.http.max_header_bytes, t); },
     [](const S& s) { return Bytes(s.http.max_header_bytes); }},
    {"max-body", "", kText, "SIZE", kLimits, "bytes of a request's body (default 16M)",
     [](S& s, Text t) { return SetSize(s.http.max_body_bytes, t); },
     [](const S& s) { return Bytes(s.http.max_body_bytes); }},
    {"max-json-depth", "", kNumber, "N", kLimits, "lists and objects inside each other (default 64)",
     [](S& s, Text t) { return SetInt(s.json.max_depth, t, 4, 1000); },
     [](const S& s) { return One(s.json.max_depth); }},
    {"idle-timeout", "", kNumber, "SECONDS", kLimits, "for the next request of a connection (default 75)",
     [](S& s, Text t) { return SetSeconds(s.http.idle_timeout, t); },
     [](const S& s) { return Seconds(s.http.idle_timeout); }},
    {"header-timeout", "", kNumber, "SECONDS", kLimits, "for a request's header to arrive (default 10)",
     [](S& s, Text t) { return SetSeconds(s.http.header_timeout, t); },
     [](const S& s) { return Seconds(s.http.header_timeout); }},
    {"body-timeout", "", kNumber, "SECONDS", kLimits, "for a request's body to arrive (default 60)",
     [](S& s, Text t) { return SetSeconds(s.http.body_timeout, t); },
     [](const S& s) { return Seconds(s.http.body_timeout); }},
    {"write-timeout", "", kNumber, "SECONDS", kLimits, "for a client to take 64 KiB of its answer (default 60)",
     [](S& s, Text t) { return SetSeconds(s.http.write_timeout, t); },
     [](const S& s) { return Seconds(s.http.write_timeout); }},
    {"ping-interval", "", kNumber, "SECONDS", kLimits,
     "of a stream on which nothing happens, to its next sign of life (default 15)",
     [](S& s, Text t) { return SetSeconds(s.http.ping_interval, t); },
     [](const S& s) { return Seconds(s.http.ping_interval); }},
    {"drain-timeout", "", kNumber, "SECONDS", kLimits,
     "for answers under way when the server is told to stop (default 30)",
     [](S& s, Text t) { return SetSeconds(s.http.drain_timeout, t); },
     [](const S& s) { return Seconds(s.http.drain_timeout); }},

    {"temperature", "", kNumber, "X", kDefaults, "(default 1, as OpenAI's)",
     [](S& s, Text t) { return SetFloat(s.sampling.temperature, t, 0, 100); },
     [](const S& s) { return One(s.sampling.temperature); }},
    {"top-p", "", kNumber, "X", kDefaults, "(default 1: off)",
     [](S& s, Text t) { return SetFloat(s.sampling.top_p, t, 0, 1); },
     [](const S& s) { return One(s.sampling.top_p); }},
    {"top-k", "", kNumber, "N", kDefaults, "(default 0: off)",
     [](S& s, Text t) { return SetInt(s.sampling.top_k, t, 0, 1 << 30); },
     [](const S& s) { return One(s.sampling.top_k); }},
    {"min-p", "", kNumber, "X", kDefaults, "(default 0: off)",
     [](S& s, Text t) { return SetFloat(s.sampling.min_p, t, 0, 1); },
     [](const S& s) { return One(s.sampling.min_p); }},

    {"log", "", kText, "text|json|off", kOperation, "a line per request on standard error (default text)", SetLog,
     [](const S& s) {
       return One(std::string(s.log == LogFormat::kText ? "text" : s.log == LogFormat::kJson ? "json" : "off"));
     }},
    {"vllm-metrics", "", kText, "on|off", kOperation,
     "at /metrics, repeat what vLLM has too under its names (default on)",
     [](S& s, Text t) { return SetSwitch(s.vllm_metrics, t); },
     [](const S& s) { return One(std::string(s.vllm_metrics ? "on" : "off")); }},
});

}  // namespace

std::span<const Setting> Settings() {
  return kSettings;
}

}  // namespace kvasir::server
