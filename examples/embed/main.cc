// Kvasir inside another program: load a model, ask it one question, print the answer as it comes.
//
//   embed smollm2 "What is the capital of France?"
#include <kvasir/engine.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace {

/// A JSON string with this text.
std::string Quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      char escape[7];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      json += escape;
    } else {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
  }
  return json + '"';
}

/// Every step can fail for reasons that are not ours (no such file, no memory), so each gives a Result.
kvasir::Result<kvasir::Generation> Answer(const std::string& model, std::string_view question) {
  kvasir::EngineOptions options;
  options.model = model;
  auto engine = kvasir::Engine::Load(options);
  if (!engine) return std::unexpected(engine.error());
  auto chat_template = (*engine)->chat_template();
  if (!chat_template) return std::unexpected(chat_template.error());
  auto prompt = (*chat_template)
                    ->Apply(R"({"add_generation_prompt": true, "messages": [{"role": "user", "content": )" +
                            Quoted(question) + "}]}");
  if (!prompt) return std::unexpected(prompt.error());
  auto session = (*engine)->NewSession();
  if (!session) return std::unexpected(session.error());

  kvasir::Request request;
  // The template has written the special tokens itself.
  request.prompt = (*engine)->tokenizer().Encode(*prompt, {.add_special = false, .parse_special = true});
  request.max_tokens = 40;
  request.sampling.temperature = 0;
  request.on_token = [](const kvasir::TokenEvent& event) {
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    std::fflush(stdout);
    return true;  // false would cancel
  };
  return (*session)->Generate(request);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: embed MODEL QUESTION\n");
    return 2;
  }
  const auto answer = Answer(argv[1], argv[2]);
  if (!answer) {
    std::fprintf(stderr, "embed: %s\n", answer.error().message.c_str());
    return 1;
  }
  const size_t count = answer->tokens.size();
  std::printf("\n[%zu tokens", count);
  // One token comes with the prompt and takes no time of its own.
  if (answer->decode_seconds > 0) std::printf(", %.1f a second", static_cast<double>(count) / answer->decode_seconds);
  std::printf("]\n");
  return 0;
}
