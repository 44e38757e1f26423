// The variables a chat template sees, prepared the way the transformers library prepares them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "jinja/template.h"
#include "kvasir/result.h"

namespace kvasir::jinja {

/// What a conversation asks of a template. A null `tools` or `documents` is None in the template, as when absent.
struct ChatRequest {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();  ///< [{"role": ..., "content": ...}, ...]
  nlohmann::ordered_json tools;                                       ///< OpenAI tool schemas, or null
  nlohmann::ordered_json documents;                                   ///< Documents for retrieval, or null
  bool add_generation_prompt = false;                                 ///< End with the opening of the answer.
  /// Further variables, such as {"enable_thinking": false}. They win over bos_token and eos_token, never over the
  /// members above.
  nlohmann::ordered_json extra = nlohmann::ordered_json::object();
};

/// Reads a request object: members messages (required), tools, documents, add_generation_prompt, chat_template_kwargs
/// (an object, merged into `extra`); every other member is taken as an extra variable.
/// Errors: kInvalidArgument naming the member of a wrong type.
[[nodiscard]] Result<ChatRequest> ParseChatRequest(const nlohmann::ordered_json& request);

/// Renders `chat` with `chat_template`. `bos_token` and `eos_token` are the texts of the model's special tokens; an
/// empty one is passed as an empty string.
[[nodiscard]] Result<std::string> ApplyChatTemplate(const Template& chat_template, const ChatRequest& chat,
                                                    std::string_view bos_token, std::string_view eos_token,
                                                    const RenderOptions& options = {});

}  // namespace kvasir::jinja
